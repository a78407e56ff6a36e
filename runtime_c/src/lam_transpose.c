#include "lam_move.h"

#include <string.h>

/* One column of x, a row of y: pieces of `inner` bytes that lie `pitch` apart. */
static uint8_t *lam_transpose_column(const lam_transpose_desc *d, const uint8_t *x, uint8_t *y)
{
    const uint32_t inner = d->inner, pitch = d->cols * inner;
    uint8_t *const end = y + (size_t)d->rows * inner;
    if (inner == 1u) {
        for (; y != end; x += pitch) {
            *y++ = *x;
        }
        return y;
    }
    for (; y != end; x += pitch, y += inner) {
        memcpy(y, x, inner);
    }
    return y;
}

void lam_transpose(const lam_transpose_desc *d, const uint8_t *x, uint8_t *y)
{
    for (uint32_t block = 0; block < d->outer; block++) {
        for (uint32_t col = 0; col < d->cols; col++) {
            y = lam_transpose_column(d, x + (size_t)col * d->inner, y);
        }
        x += (size_t)d->rows * d->cols * d->inner;
    }
}
