#include "lam_dense.h"
#include "lam_requant.h"

/* Levels unpacked at a time, on the stack. */
#define LAM_DENSE_BLOCK 32u

static int32_t lam_dense_row(const lam_dense_desc *d, lam_stream *stream, const uint8_t *x, int32_t acc)
{
    int16_t level[LAM_DENSE_BLOCK];
    uint32_t left = d->shape.cols;
    while (left > 0) {
        uint32_t n = left < LAM_DENSE_BLOCK ? left : LAM_DENSE_BLOCK;
        d->unpack(stream, level, n);
        for (uint32_t i = 0; i < n; i++) {
            acc += level[i] * (int32_t)x[i];
        }
        x += n;
        left -= n;
    }
    return acc;
}

void lam_dense(const lam_dense_desc *d, const uint8_t *x, uint8_t *y)
{
    for (uint32_t vector = 0; vector < d->shape.batch; vector++) {
        lam_stream stream = lam_stream_of(d->weights);
        for (uint32_t r = 0; r < d->shape.rows; r++) {
            int32_t acc = lam_dense_row(d, &stream, x, lam_bias_at(d->shape.bias, d->shape.narrow_bias, r));
            y[r] = lam_requant_apply(lam_requant_of(&d->shape.q, r), acc);
        }
        x += d->shape.cols;
        y += d->shape.rows;
    }
}
