#include "lam_scan.h"

#include <string.h>

/* The bytes of step t in a sequence of steps of `bytes` bytes. */
static size_t lam_scan_place(const lam_scan_desc *d, uint32_t t, uint32_t bytes, uint8_t backwards)
{
    return (size_t)(backwards ? d->steps - 1u - t : t) * bytes;
}

static void lam_scan_begin(const lam_scan_desc *d, const uint8_t *const *given, uint8_t *memory)
{
    for (uint32_t s = 0; s < d->n_states; s++) {
        const lam_scan_state *state = &d->states[s];
        if (state->given) {
            memcpy(memory + state->at, *given++, state->bytes);
        } else if (state->first) {
            memcpy(memory + state->at, state->first, state->bytes);
        } else {
            memset(memory + state->at, state->fill, state->bytes);
        }
    }
}

static void lam_scan_take(const lam_scan_desc *d, uint32_t t, const uint8_t *memory, uint8_t *y)
{
    for (uint32_t r = 0; r < d->n_results; r++) {
        const lam_scan_result *result = &d->results[r];
        if (result->sequence) {
            memcpy(y + lam_scan_place(d, t, result->bytes, result->backwards), memory + result->at, result->bytes);
            y += (size_t)d->steps * result->bytes;
        } else {
            if (t + 1u == d->steps) {
                memcpy(y, memory + result->at, result->bytes);
            }
            y += result->bytes;
        }
    }
}

void lam_scan(const lam_scan_desc *d, const uint8_t *const *x, uint8_t *y, void *a)
{
    uint8_t *const memory = a;
    lam_scan_begin(d, x + d->n_inputs, memory);
    for (uint32_t t = 0; t < d->steps; t++) {
        for (uint32_t k = 0; k < d->n_inputs; k++) {
            const lam_scan_input *in = &d->inputs[k];
            memcpy(memory + in->at, x[k] + lam_scan_place(d, t, in->bytes, in->backwards), in->bytes);
        }
        d->step(memory);
        lam_scan_take(d, t, memory, y);
        for (uint32_t s = 0; s < d->n_states; s++) {
            memmove(memory + d->states[s].at, memory + d->states[s].next, d->states[s].bytes);
        }
    }
}
