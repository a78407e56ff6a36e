#include "lam_elementwise.h"

static void lam_softmax_row(const lam_softmax_desc *d, const uint8_t *x, uint8_t *y)
{
    uint32_t largest = 0;
    for (uint32_t c = 0; c < d->cols; c++) {
        largest = x[c] > largest ? x[c] : largest;
    }
    uint64_t sum = 0;
    for (uint32_t c = 0; c < d->cols; c++) {
        sum += d->exp[largest - x[c]];
    }
    for (uint32_t c = 0; c < d->cols; c++) {
        uint64_t share = ((uint64_t)d->exp[largest - x[c]] * d->multiplier + sum / 2u) / sum + d->zero;
        y[c] = (uint8_t)(share > 255u ? 255u : share);
    }
}

void lam_softmax(const lam_softmax_desc *d, const uint8_t *x, uint8_t *y)
{
    for (uint32_t r = 0; r < d->rows; r++) {
        lam_softmax_row(d, x, y);
        x += d->cols;
        y += d->cols;
    }
}
