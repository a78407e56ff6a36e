#include "lam_matrix.h"
#include "lam_requant.h"

/* One row of a times b: a row of y. */
static uint8_t *lam_matmul_row(const lam_matmul_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const lam_requant_one q = lam_requant_at(&d->q, 0);
    const int32_t a_zero = d->a_zero, b_zero = d->b_zero;
    const uint32_t step = d->b_step;
    const uint8_t *const end = a + d->depth;
    for (uint32_t col = 0; col < d->cols; col++, b += d->b_next) {
        int32_t sum = 0;
        const uint8_t *at = b;
        for (const uint8_t *left = a; left != end; at += step) {
            sum += (*left++ - a_zero) * (*at - b_zero);
        }
        *y++ = lam_requant_apply(q, sum);
    }
    return y;
}

void lam_matmul(const lam_matmul_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    for (uint32_t pair = 0; pair < d->batch; pair++) {
        for (uint32_t row = 0; row < d->rows; row++, a += d->depth) {
            y = lam_matmul_row(d, a, b, y);
        }
        b += (uint32_t)d->depth * d->cols;
    }
}
