#include "lam_matrix.h"

/* The smallest value is the largest of the complements; a later equal one wins if it counts as larger. */
static uint8_t lam_argmax_column(const lam_argmax_desc *d, const uint8_t *x)
{
    const uint8_t flip = d->smallest ? 255u : 0u;
    const uint32_t tie = d->last ? 0u : 1u;
    uint32_t best = (uint32_t)(*x ^ flip), place = 0;
    for (uint32_t k = 1; k < d->n; k++) {
        x += d->inner;
        const uint32_t value = (uint32_t)(*x ^ flip);
        if (value >= best + tie) {
            best = value;
            place = k;
        }
    }
    return (uint8_t)place;
}

void lam_argmax(const lam_argmax_desc *d, const uint8_t *x, uint8_t *y)
{
    for (uint32_t block = 0; block < d->outer; block++) {
        for (uint32_t column = 0; column < d->inner; column++) {
            *y++ = lam_argmax_column(d, x + column);
        }
        x += (size_t)d->n * d->inner;
    }
}
