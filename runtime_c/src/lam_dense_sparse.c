#include "lam_dense.h"
#include "lam_requant.h"

static uint32_t lam_dense_sum_at(const uint8_t *x, const uint16_t *index, uint32_t n)
{
    uint32_t sum = 0;
    for (; n >= 4; n -= 4, index += 4) {
        sum += (uint32_t)x[index[0]] + x[index[1]] + x[index[2]] + x[index[3]];
    }
    for (; n > 0; n--) {
        sum += x[*index++];
    }
    return sum;
}

void lam_dense_sparse(const lam_dense_sparse_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    const uint32_t rows = d->shape.rows, cols = d->shape.cols, batch = d->shape.batch;
    uint16_t *index = scratch;
    lam_stream stream = lam_stream_of(d->weights);
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t plus, minus;
        d->positions(&stream, cols, index, d->capacity, &plus, &minus);
        const lam_requant_one q = lam_requant_of(&d->shape.q, r);
        for (uint32_t vector = 0; vector < batch; vector++) {
            const uint8_t *v = x + (size_t)vector * cols;
            /* At most 2^16 pixels of 255 on either side: both sums fit. */
            int32_t acc = (int32_t)lam_dense_sum_at(v, index, plus);
            acc -= (int32_t)lam_dense_sum_at(v, index + d->capacity - minus, minus);
            y[(size_t)vector * rows + r] = lam_requant_apply(q, lam_bias_at(d->shape.bias, d->shape.narrow_bias, r) + acc);
        }
    }
}
