#include "lam_move.h"

#include <string.h>

/* The `middle` pieces of x, each of them `copies` times in a row. */
static uint8_t *lam_expand_row(const lam_expand_desc *d, const uint8_t *x, uint8_t *y)
{
    const uint32_t inner = d->inner, copies = d->copies;
    const uint8_t *const end = x + (size_t)d->middle * inner;
    if (inner == 1u) {
        for (; x != end; y += copies) {
            memset(y, *x++, copies);
        }
        return y;
    }
    for (; x != end; x += inner) {
        for (uint32_t copy = 0; copy < copies; copy++, y += inner) {
            memcpy(y, x, inner);
        }
    }
    return y;
}

void lam_expand(const lam_expand_desc *d, const uint8_t *x, uint8_t *y)
{
    const size_t row = (size_t)d->middle * d->inner;
    for (uint32_t block = 0; block < d->outer; block++, x += row) {
        for (uint32_t time = 0; time < d->times; time++) {
            y = lam_expand_row(d, x, y);
        }
    }
}
