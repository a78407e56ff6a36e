/* Depthwise convolution for cores with vectors of integers (lam_mve.h). Empty for others. */
#ifndef LAM_CONV2D_DEPTHWISE_MVE_H
#define LAM_CONV2D_DEPTHWISE_MVE_H

#include "lam_conv2d.h"

#ifdef __cplusplus
extern "C" {
#endif

/* group_in_c == 1, so that each output channel sees one input channel; no pooling. Each input channel is copied with its
 * padding, and read by all its output channels, eight pixels at a time. */
typedef struct {
    lam_conv2d_shape shape;
    lam_unpack_fn *unpack;
    const void *weights; /* out_c rows of kernel_h * kernel_w levels, packed */
    uint16_t band_rows;  /* output rows computed from one copy of the input: 1 .. out_h */
} lam_conv2d_depthwise_mve_desc;

/* scratch: lam_conv2d_depthwise_mve_scratch(d) bytes, with taps = kernel_h * kernel_w,
 *   line = out_w rounded up to a multiple of 8, pitch = (line - 1) * stride_w + (kernel_w - 1) * dilation_w + 1,
 *   rows = (band_rows rounded up to an even number, - 1) * stride_h + (kernel_h - 1) * dilation_h + 1:
 *     8 * taps                   levels with their places
 *   + 4 * capacity               accumulators: where out_w == line or line == 8, the larger of 2 * line and 96, + 8;
 *                                else 2 * line
 *   + pitch * rows               the band, rounded up to a multiple of 16
 *   + 2 * (out_c / in_c) * taps  levels as they are unpacked */
void lam_conv2d_depthwise_mve(const lam_conv2d_depthwise_mve_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
size_t lam_conv2d_depthwise_mve_scratch(const lam_conv2d_depthwise_mve_desc *d);

#ifdef __cplusplus
}
#endif
#endif
