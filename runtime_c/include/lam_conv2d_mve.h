/* Convolution for cores with vectors of integers (lam_mve.h). Empty for others. */
#ifndef LAM_CONV2D_MVE_H
#define LAM_CONV2D_MVE_H

#include "lam_conv2d.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The input is laid into scratch so that 16 channels of a pixel lie side by side (a cell), padding included, and then
 * read as often as kernel and output channels want it. Where there are few channels, `flat` is better: a cell then
 * holds 16 levels' worth of one output pixel's window, and the kernel is one of a single pixel. */
typedef struct {
    lam_conv2d_shape shape; /* bias: + 128 * the sum of the row's levels; stride_w at most 17 */
    lam_unpack_fn *unpack;  /* NULL: weights are int8_t and read where they are, at most 17 of a channel (or flat) */
    const void *weights;    /* out_c rows of group_in_c * kernel_h * kernel_w levels, within -128 .. 127 */
    uint8_t flat;
    uint16_t band_rows; /* pooled output rows computed from one laying of the input: 1 .. pool.out_h */
} lam_conv2d_mve_desc;

/* scratch: lam_conv2d_mve_scratch(d) bytes; codegen/kernels/conv2d_mve.py has the formula. */
void lam_conv2d_mve(const lam_conv2d_mve_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
size_t lam_conv2d_mve_scratch(const lam_conv2d_mve_desc *d);

#ifdef __cplusplus
}
#endif
#endif
