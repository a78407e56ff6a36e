#include "lam_move.h"

#include <string.h>

void lam_slice(const lam_slice_desc *d, const uint8_t *x, uint8_t *y)
{
    x += d->start;
    for (uint32_t run = 0; run < d->runs; run++) {
        memcpy(y, x, d->bytes);
        x += d->pitch;
        y += d->bytes;
    }
}
