#include "lam_dense.h"
#include "lam_requant.h"

static int32_t lam_dense_int8_row(const int8_t *w, const uint8_t *x, uint32_t n, int32_t acc)
{
    for (; n >= 4; n -= 4, w += 4, x += 4) {
        acc += w[0] * (int32_t)x[0];
        acc += w[1] * (int32_t)x[1];
        acc += w[2] * (int32_t)x[2];
        acc += w[3] * (int32_t)x[3];
    }
    for (; n > 0; n--) {
        acc += *w++ * (int32_t)*x++;
    }
    return acc;
}

void lam_dense_int8(const lam_dense_int8_desc *d, const uint8_t *x, uint8_t *y)
{
    const uint32_t rows = d->shape.rows, cols = d->shape.cols;
    for (uint32_t vector = 0; vector < d->shape.batch; vector++) {
        const int8_t *w = d->weights;
        for (uint32_t r = 0; r < rows; r++) {
            int32_t acc = lam_dense_int8_row(w, x, cols, lam_bias_at(d->shape.bias, d->shape.narrow_bias, r));
            y[r] = lam_requant_apply(lam_requant_of(&d->shape.q, r), acc);
            w += cols;
        }
        x += cols;
        y += rows;
    }
}
