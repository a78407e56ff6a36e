/* Operators in float32: what a network falls back to where it is not quantised.
 *
 * All of them give the same bits on every machine with IEEE 754 arithmetic in float32: sums run in one order, functions are
 * fixed sequences of additions, multiplications and divisions, nothing comes from libm. The compiler must neither contract
 * a product and a sum into one operation (-std=c99 or -ffp-contract=off) nor reorder (no -ffast-math).
 *
 * Tensors are rows of floats, the last axis innermost. Every kernel takes the tensors that are no constants as an array of
 * pointers, each at a multiple of four bytes, in the order of the operator's operands.
 */
#ifndef LAM_FLOAT_H
#define LAM_FLOAT_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Axes that a tensor may have. */
#define LAM_FLOAT_AXES 8

/* y = function(x, a, b) of each of n values. */
typedef struct {
    uint32_t n;
    float (*function)(float x, float a, float b);
    float a, b;
} lam_float_unary_desc;

void lam_float_unary(const lam_float_unary_desc *d, const uint8_t *const *x, uint8_t *y);

/* y = function(a, b), both spread over the axes of y. */
typedef struct {
    float (*function)(float a, float b);
    const float *a, *b;              /* NULL: an input */
    uint32_t n, axes;                /* values and axes of y */
    const uint32_t *shape;           /* of y */
    const uint32_t *a_step, *b_step; /* along each axis of y, 0 where there is one value for all */
} lam_float_binary_desc;

void lam_float_binary(const lam_float_binary_desc *d, const uint8_t *const *x, uint8_t *y);

/* y = (start, or the first x, then function(sum, x) for each further x) / divisor, over some axes. */
typedef struct {
    float (*function)(float sum, float x);
    float start, divisor;
    uint32_t from_first;         /* 1: no start */
    uint32_t n, axes;            /* values of y, axes that are kept */
    const uint32_t *shape, *step; /* of the kept axes, steps in x */
    uint32_t inner_n, inner_axes; /* the same of the others */
    const uint32_t *inner_shape, *inner_step;
} lam_float_reduce_desc;

void lam_float_reduce(const lam_float_reduce_desc *d, const uint8_t *const *x, uint8_t *y);

/* y[i, j, ..] = x[at(0, i) + at(1, j) + ..], or `fill` where one of them lies below 0. */
typedef struct {
    uint32_t n, axes;
    const uint32_t *shape; /* of y */
    const int32_t *at;     /* for each axis of y as many as it is long */
    float fill;
} lam_float_pick_desc;

void lam_float_pick(const lam_float_pick_desc *d, const uint8_t *const *x, uint8_t *y);

/* y[n] = a[n] b[n], matrices of rows x inner and inner x cols. */
typedef struct {
    const float *a, *b; /* NULL: an input */
    uint32_t batches, rows, inner, cols;
    uint32_t a_row, a_inner, b_inner, b_col; /* steps */
    const uint32_t *a_at, *b_at;             /* where each matrix begins */
} lam_float_matmul_desc;

void lam_float_matmul(const lam_float_matmul_desc *d, const uint8_t *const *x, uint8_t *y);

/* Convolution of images, NCHW. */
typedef struct {
    const float *weights, *bias; /* NULL: an input; weights are out_c x in_c / groups x kernel_h x kernel_w */
    uint32_t has_bias;
    uint32_t images, groups;
    uint32_t in_c, in_h, in_w;
    uint32_t out_c, out_h, out_w;
    uint32_t kernel_h, kernel_w;
    uint32_t stride_h, stride_w;
    uint32_t dilation_h, dilation_w;
    uint32_t pad_top, pad_left;
} lam_float_conv2d_desc;

void lam_float_conv2d(const lam_float_conv2d_desc *d, const uint8_t *const *x, uint8_t *y);

/* Pooling of planes: the largest value, or the average. */
typedef struct {
    uint32_t average;    /* 0: the largest */
    uint32_t count_pads; /* the average also counts padding */
    uint32_t planes;
    uint32_t in_h, in_w;
    uint32_t out_h, out_w;
    uint32_t kernel_h, kernel_w;
    uint32_t stride_h, stride_w;
    uint32_t dilation_h, dilation_w;
    uint32_t pad_top, pad_left, pad_bottom, pad_right;
} lam_float_pool_desc;

void lam_float_pool(const lam_float_pool_desc *d, const uint8_t *const *x, uint8_t *y);

/* uint8 from float32 and back: real value = scale * (q - zero). */
typedef struct {
    uint32_t n;
    float scale;
    int32_t zero;
} lam_float_scale_desc;

/* Rounds half to even, as QuantizeLinear does; NaN becomes 0. */
void lam_float_quantize(const lam_float_scale_desc *d, const uint8_t *const *x, uint8_t *y);
void lam_float_dequantize(const lam_float_scale_desc *d, const uint8_t *const *x, uint8_t *y);

/* Functions of one value. */
float lam_float_at_least(float x, float a, float b);
float lam_float_at_most(float x, float a, float b);
float lam_float_clip(float x, float a, float b);
float lam_float_leaky(float x, float a, float b);        /* a x below 0, b x elsewhere */
float lam_float_elu(float x, float a, float b);          /* b a (e^x - 1) below 0, b x elsewhere */
float lam_float_celu(float x, float a, float b);         /* a (e^(x / a) - 1) below 0 */
float lam_float_thresholded(float x, float a, float b);  /* x above a, else 0 */
float lam_float_shrink(float x, float a, float b);       /* x + b below -a, x - b above a, else 0 */
float lam_float_hard_sigmoid(float x, float a, float b); /* a x + b within 0 and 1 */
float lam_float_hard_swish(float x, float a, float b);
float lam_float_sigmoid(float x, float a, float b);
float lam_float_silu(float x, float a, float b); /* x sigmoid(a x) */
float lam_float_tanh(float x, float a, float b);
float lam_float_exp(float x, float a, float b);
float lam_float_log(float x, float a, float b);
float lam_float_sqrt(float x, float a, float b);
float lam_float_reciprocal(float x, float a, float b);
float lam_float_abs(float x, float a, float b);
float lam_float_neg(float x, float a, float b);
float lam_float_sign(float x, float a, float b);
float lam_float_floor(float x, float a, float b);
float lam_float_ceil(float x, float a, float b);
float lam_float_round(float x, float a, float b); /* half to even */
float lam_float_softplus(float x, float a, float b);
float lam_float_softsign(float x, float a, float b);
float lam_float_mish(float x, float a, float b);
float lam_float_erf(float x, float a, float b);
float lam_float_gelu(float x, float a, float b);
float lam_float_gelu_tanh(float x, float a, float b);
float lam_float_sin(float x, float a, float b);
float lam_float_cos(float x, float a, float b);

/* Functions of two. */
float lam_float_add(float a, float b);
float lam_float_sub(float a, float b);
float lam_float_mul(float a, float b);
float lam_float_div(float a, float b);
float lam_float_max(float a, float b);
float lam_float_min(float a, float b);
float lam_float_pow(float a, float b);
float lam_float_prelu(float a, float b);      /* a b where a is below 0 */
float lam_float_add_square(float a, float b); /* a + b b */
float lam_float_add_abs(float a, float b);
float lam_float_greater(float a, float b); /* comparisons: 1 or 0 */
float lam_float_greater_equal(float a, float b);
float lam_float_equal(float a, float b);
float lam_float_keep(float a, float b); /* b where a is not 0, else 0 */

#ifdef __cplusplus
}
#endif
#endif
