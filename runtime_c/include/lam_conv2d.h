/* Two-dimensional convolution: groups, depthwise, strides, dilation, padding, and a pooling behind it. */
#ifndef LAM_CONV2D_H
#define LAM_CONV2D_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lam_pool { LAM_POOL_NONE = 0, LAM_POOL_MAX = 1, LAM_POOL_AVERAGE = 2 };

/* Pooling that the convolution applies to its own result, so that this result never lies in RAM as a whole.
 * No padding; stride >= kernel, so that no pixel is computed twice. LAM_POOL_NONE: kernel and stride are 1. */
typedef struct {
    uint8_t kind;                /* enum lam_pool */
    uint16_t kernel_h, kernel_w; /* pixels */
    uint16_t stride_h, stride_w;
    uint16_t out_h, out_w;
    int32_t bias;  /* LAM_POOL_AVERAGE: -kernel_h * kernel_w * zero point of the convolution */
    lam_requant q; /* LAM_POOL_AVERAGE: from the sum of a window to y, never per channel */
} lam_fused_pool;

/* Shape and arithmetic of a convolution, whatever its weight format:
 *   acc[o][i][j] = bias[o] + sum over c, u, v of level[o][c][u][v] * x[g + c][i * stride_h + u * dilation_h - pad_top]
 *                                                                           [j * stride_w + v * dilation_w - pad_left]
 * with x = in_zero outside the image, and g the first input channel of the group of o.
 * bias holds the correction for the zero point of x already. */
typedef struct {
    const int32_t *bias; /* out_c */
    lam_requant q;
    uint16_t in_c, in_h, in_w;
    uint16_t out_c, out_h, out_w; /* before pooling */
    uint16_t groups;              /* divides in_c and out_c */
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t dilation_h, dilation_w;
    uint16_t pad_top, pad_left;
    uint8_t in_zero;
    lam_fused_pool pool;
} lam_conv2d_shape;

/* Any weight format that unpacks. */
typedef struct {
    lam_conv2d_shape shape;
    lam_unpack_fn *unpack;
    const void *weights; /* out_c rows of (in_c / groups) * kernel_h * kernel_w levels, packed */
} lam_conv2d_desc;

/* x: in_c * in_h * in_w. y: out_c * pool.out_h * pool.out_w.
 * scratch: one row of levels, 2 * (in_c / groups) * kernel_h * kernel_w bytes. */
void lam_conv2d(const lam_conv2d_desc *d, const uint8_t *x, uint8_t *y, void *scratch);

/* Ternary weights as positions. For each output channel and each non-zero weight a whole run of output pixels is
 * added, two pixels in one 32-bit addition, from input rows widened to 16 bit. */
typedef struct {
    lam_conv2d_shape shape;
    lam_positions_fn *positions;
    const void *weights;
    uint16_t capacity;  /* the largest number of non-zero levels in a row */
    uint16_t band_rows; /* pooled output rows computed from one widening of the input: 1 .. pool.out_h */
    uint8_t copies;     /* 2: a second copy of the band, one pixel off, for cores that fault on unaligned loads */
} lam_conv2d_sparse_desc;

/* scratch: lam_conv2d_sparse_scratch(d) bytes, with
 *   reach_h = (kernel_h - 1) * dilation_h + 1, reach_w alike, even(n) = n rounded up to an even number,
 *   used_w = (pool.out_w - 1) * pool.stride_w + pool.kernel_w,
 *   rows = ((band_rows - 1) * pool.stride_h + pool.kernel_h - 1) * min(stride_h, reach_h) + reach_h,
 *   band = (in_c / groups) * rows * min(stride_w, reach_w) * even(used_w + (reach_w - 1) / stride_w):
 *     2 * (copies * band + 6)                                the band, widened
 *   + 4 * (used_w <= 4 ? 4 : 2) * (even(used_w) + 4)         accumulators of some rows
 *   + 4 * pool.out_w, with pooling
 *   + 2 * ((in_c / groups) * kernel_h * kernel_w + capacity) offsets.
 * copies * band <= 65535, and no more than 65535 columns: offsets have 16 bits.
 * With copies == 1 a core that faults on unaligned loads still gets the right result, several times slower. */
void lam_conv2d_sparse(const lam_conv2d_sparse_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
size_t lam_conv2d_sparse_scratch(const lam_conv2d_sparse_desc *d);

#ifdef __cplusplus
}
#endif
#endif
