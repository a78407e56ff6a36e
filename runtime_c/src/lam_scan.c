#include "lam_scan.h"

#include <string.h>

void lam_scan(const lam_scan_desc *d, const uint8_t *x, uint8_t *y, void *a)
{
    uint8_t *const memory = a;
    for (uint32_t s = 0; s < d->n_states; s++) {
        memset(memory + d->states[s].at, d->states[s].first, d->states[s].bytes);
    }
    for (uint32_t t = 0; t < d->steps; t++) {
        memcpy(memory + d->in_at, x, d->in_bytes);
        x += d->in_bytes;
        d->step(memory);
        if (d->sequence || t + 1u == d->steps) {
            memcpy(y, memory + d->out_at, d->out_bytes);
            y += d->out_bytes;
        }
        for (uint32_t s = 0; s < d->n_states; s++) {
            memmove(memory + d->states[s].at, memory + d->states[s].next, d->states[s].bytes);
        }
    }
}
