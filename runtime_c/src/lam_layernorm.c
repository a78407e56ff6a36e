#include "lam_matrix.h"
#include "lam_requant.h"

/* floor(sqrt(w)) of 2^60 <= w < 2^62, bit by bit from above. */
static uint32_t lam_layernorm_root(uint64_t w)
{
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 60; bit != 0u; bit >>= 2) {
        const uint64_t trial = root + bit;
        root >>= 1;
        if (w >= trial) {
            w -= trial;
            root += bit;
        }
    }
    return (uint32_t)root;
}

static void lam_layernorm_row(const lam_layernorm_desc *d, const uint8_t *x, uint8_t *y)
{
    const lam_requant_one q = lam_requant_at(&d->q, 0);
    const int32_t n = d->cols;
    uint32_t sum = 0, squares = 0; /* of at most 4096 values: below 2^28 */
    for (int32_t c = 0; c < n; c++) {
        sum += x[c];
        squares += (uint32_t)x[c] * x[c];
    }
    uint64_t w = (uint64_t)squares * (uint32_t)n - (uint64_t)sum * sum + d->epsilon;
    w = w == 0u ? 1u : w;
    uint32_t shift = 50u;
    for (; w >> 60 == 0u; w <<= 2) {
        shift--;
    }
    /* floor((2^62 - 1) / root), with both four times as large: an unsigned division even for a clever compiler. */
    const uint32_t reciprocal = (uint32_t)(UINT64_MAX / ((uint64_t)lam_layernorm_root(w) << 2));
    const int64_t round = (int64_t)1 << (shift - 1u);
    for (int32_t c = 0; c < n; c++) {
        const int32_t centred = n * x[c] - (int32_t)sum;
        const int32_t z = (int32_t)(((int64_t)centred * reciprocal + round) >> shift);
        y[c] = lam_requant_apply(q, z * d->gamma[c] + d->beta[c]);
    }
}

void lam_layernorm(const lam_layernorm_desc *d, const uint8_t *x, uint8_t *y)
{
    for (uint32_t r = 0; r < d->rows; r++) {
        lam_layernorm_row(d, x, y);
        x += d->cols;
        y += d->cols;
    }
}
