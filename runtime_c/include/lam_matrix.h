/* Operators on matrices of activations: products, normalisation of rows, the place of the largest value. */
#ifndef LAM_MATRIX_H
#define LAM_MATRIX_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y[r][c] = requant(sum over k of (a[r][k] - a_zero) * (b[k * b_step + c * b_next] - b_zero)), for each of `batch` pairs.
 * a: rows x depth, depth at most 33025; b: depth x cols values; y: rows x cols. */
typedef struct {
    uint16_t batch, rows, depth, cols;
    uint16_t b_step, b_next;
    uint8_t a_zero, b_zero;
    lam_requant q; /* never per channel */
} lam_matmul_desc;
void lam_matmul(const lam_matmul_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y);

/* Layer normalisation. For each row of n = cols values, with s = sum(x) and w = n * sum(x * x) - s * s + epsilon (1 if 0):
 *   e: the even number with 2^60 <= w * 2^e < 2^62;  r = floor((2^62 - 1) / floor(sqrt(w * 2^e)))
 *   z[c] = floor(((n * x[c] - s) * r + 2^(49 - e/2)) / 2^(50 - e/2))    4096 times the normalised value
 *   y[c] = requant(z[c] * gamma[c] + beta[c])
 * y may be x. */
typedef struct {
    uint16_t rows, cols;
    uint64_t epsilon;     /* below 2^60 */
    const int16_t *gamma; /* cols, within +-1023 */
    const int32_t *beta;  /* cols, within +-2^30 */
    lam_requant q;        /* never per channel */
} lam_layernorm_desc;
void lam_layernorm(const lam_layernorm_desc *d, const uint8_t *x, uint8_t *y);

/* y: for each of outer x inner columns of n values (1 .. 256), `inner` bytes apart, the place of the largest, or of the
 * smallest; of equal ones the first, or the last. */
typedef struct {
    uint32_t outer, n, inner;
    uint8_t smallest, last;
} lam_argmax_desc;
void lam_argmax(const lam_argmax_desc *d, const uint8_t *x, uint8_t *y);

#ifdef __cplusplus
}
#endif
#endif
