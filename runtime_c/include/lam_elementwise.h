/* Addition, products, rescaling (activation functions included), functions by table, softmax. */
#ifndef LAM_ELEMENTWISE_H
#define LAM_ELEMENTWISE_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = clamp(zero + round_half_up(((a - a_zero) * a_multiplier + (b - b_zero) * b_multiplier) / 2^shift), low, high),
 * the sum exact in 64 bits. A negative multiplier subtracts. y may be a or b. */
typedef struct {
    uint32_t n;
    int32_t a_multiplier, b_multiplier; /* -(2^31-1) .. 2^31-1 */
    uint8_t shift;                      /* 1 .. 32 */
    uint8_t a_zero, b_zero;
    uint8_t zero, low, high;
} lam_add_desc;
void lam_add(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y);
/* The same, faster, for -2^shift < b_multiplier < 0 <= a_multiplier < 2^shift. */
void lam_subtract(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y);

/* A factor applied with two roundings: x * multiplier / 2^31, half up; that / 2^right, half away from zero. */
typedef struct {
    int32_t multiplier; /* 0 .. 2^31-1 */
    uint8_t right;      /* 0 .. 31 */
} lam_twice;
/* The sum or difference of TensorFlow Lite Micro, with its roundings:
 *   first  = (a - a_zero) * 2^20 by the factor a, times -1 where a_negative;  second = the same of b
 *   y      = clamp(zero + (first + second) by the factor total, low, high). y may be a or b. */
typedef struct {
    uint32_t n;
    lam_twice a, b, total;
    uint8_t a_negative, b_negative;
    uint8_t a_zero, b_zero;
    uint8_t zero, low, high;
} lam_add_as_tflite_desc;
void lam_add_as_tflite(const lam_add_as_tflite_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y);
/* The same with constants for `second`: `count` of them, each for `inner` values in turn, all of them `times` times. y may be x. */
typedef struct {
    uint32_t count, inner, times;
    const int32_t *constants;
    lam_twice a, total;
    uint8_t a_negative;
    uint8_t a_zero;
    uint8_t zero, low, high;
} lam_add_constants_as_tflite_desc;
void lam_add_constants_as_tflite(const lam_add_constants_as_tflite_desc *d, const uint8_t *x, uint8_t *y);

/* y = requant((a - a_zero) * (b - b_zero)). y may be a or b. */
typedef struct {
    uint32_t n;
    uint8_t a_zero, b_zero;
    lam_requant q; /* never per channel */
} lam_mul_desc;
void lam_mul(const lam_mul_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y);

/* y = table[x]. y may be x. */
typedef struct {
    uint32_t n;
    const uint8_t *table; /* 256 */
} lam_table_desc;
void lam_table(const lam_table_desc *d, const uint8_t *x, uint8_t *y);

/* y = requant(x - in_zero) from in_zero on, else below((x - in_zero) * slope); `count` slopes, each for `inner` values in turn,
 * all of them `times` times. y may be x. */
typedef struct {
    uint32_t count, inner, times;
    const int16_t *slopes;
    uint8_t in_zero;
    lam_requant q;     /* never per channel */
    lam_requant below; /* per channel: of each slope; zero point and range are q's */
} lam_prelu_desc;
void lam_prelu(const lam_prelu_desc *d, const uint8_t *x, uint8_t *y);

/* y = requant(x - in_zero). y may be x. */
typedef struct {
    uint32_t n;
    uint8_t in_zero;
    lam_requant q; /* never per channel */
} lam_rescale_desc;
void lam_rescale(const lam_rescale_desc *d, const uint8_t *x, uint8_t *y);

/* For each row: e[c] = exp[max(x) - x[c]], y[c] = min(255, zero + floor((e[c] * multiplier + sum(e) / 2) / sum(e))).
 * exp[k] = round(2^23 * e^(-k * scale of x)); multiplier = 1 / scale of y, rounded. y may be x. */
typedef struct {
    uint32_t rows, cols;
    const uint32_t *exp; /* 256 */
    uint32_t multiplier; /* 1 .. 2^16 */
    uint8_t zero;
} lam_softmax_desc;
void lam_softmax(const lam_softmax_desc *d, const uint8_t *x, uint8_t *y);

#ifdef __cplusplus
}
#endif
#endif
