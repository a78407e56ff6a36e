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
    const void *bias; /* out_c, for lam_bias_at */
    lam_requant q;
    uint16_t in_c, in_h, in_w;
    uint16_t out_c, out_h, out_w; /* before pooling */
    uint16_t group_in_c, group_out_c; /* of each group: in_c and out_c, unless there are several */
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t dilation_h, dilation_w;
    uint16_t pad_top, pad_left;
    uint8_t in_zero;
    uint8_t narrow_bias;
    lam_fused_pool pool;
} lam_conv2d_shape;

/* Any weight format that unpacks. */
typedef struct {
    lam_conv2d_shape shape;
    lam_unpack_fn *unpack;
    const void *weights; /* out_c rows of group_in_c * kernel_h * kernel_w levels, packed */
} lam_conv2d_desc;

/* x: in_c * in_h * in_w. y: out_c * pool.out_h * pool.out_w.
 * scratch: one row of levels, 2 * group_in_c * kernel_h * kernel_w bytes. */
void lam_conv2d(const lam_conv2d_desc *d, const uint8_t *x, uint8_t *y, void *scratch);

/* How a sparse convolution keeps its input; lam_conv2d_sparse_band.h tells why. Worked out by the generator, or by
 * lam_conv2d_sparse_.._plan, from the rest of the descriptor. */
typedef struct {
    uint16_t channels;           /* of a group */
    uint16_t phases_h, phases_w; /* stride, or fewer if a stride is wider than the kernel */
    uint16_t reach_h, reach_w;   /* rows and columns of a phase that a window has beyond its first */
    uint16_t pitch;              /* pixels from row to row of a phase */
    uint16_t plane;              /* pixels from phase to phase */
    uint16_t size;               /* pixels of one copy, with what a tile may read beyond the last; multiple of 4 */
    uint16_t out_w;              /* columns of the convolution that pooling uses */
    uint16_t line;               /* results from row to row, if they are kept */
    uint16_t kept;               /* bytes of results that wait for being pooled or brought together; multiple of 4 */
    uint8_t copies;              /* 0: the input itself serves */
    uint8_t is_flat;             /* tiles run over row ends */
    uint8_t pools_sums;          /* maxima over 2 x 2 are taken of sums: a quarter of the requantisations */
} lam_sparse_band;

/* Ternary weights as positions. For each output channel and each non-zero weight a whole run of output pixels is
 * added, several pixels at a time. */
typedef struct {
    lam_conv2d_shape shape;
    lam_positions_fn *positions;
    const void *weights;
    uint16_t capacity;  /* at least the number of non-zero levels in any row */
    uint16_t band_rows; /* pooled output rows computed from one preparation of the input: 1 .. pool.out_h */
    lam_sparse_band band;
} lam_conv2d_sparse_desc;

/* lam_conv2d_sparse: pixels of 16 bits, two in one addition, for any core.
 * lam_conv2d_sparse_dsp: pixels of 8 bits, four in a load, for cores that add bytes to halves of a word (UXTAB16), with
 * a copy of the band for each alignment; elsewhere it gives the same result slowly. x is aligned to LAM_SCRATCH_ALIGN.
 * lam_conv2d_sparse_dsp_lean: the same with one copy, for cores that load words from any address.
 * scratch: lam_conv2d_sparse_.._scratch(d) bytes; codegen/kernels/conv2d_sparse_shape.py has the formula.
 * No more than 65535 columns, pixels in the band with its copies, and bytes kept. */
void lam_conv2d_sparse(const lam_conv2d_sparse_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_conv2d_sparse_dsp(const lam_conv2d_sparse_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_conv2d_sparse_dsp_lean(const lam_conv2d_sparse_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
size_t lam_conv2d_sparse_scratch(const lam_conv2d_sparse_desc *d);
size_t lam_conv2d_sparse_dsp_scratch(const lam_conv2d_sparse_desc *d);
size_t lam_conv2d_sparse_dsp_lean_scratch(const lam_conv2d_sparse_desc *d);
void lam_conv2d_sparse_plan(lam_conv2d_sparse_desc *d);
void lam_conv2d_sparse_dsp_plan(lam_conv2d_sparse_desc *d);
void lam_conv2d_sparse_dsp_lean_plan(lam_conv2d_sparse_desc *d);

/* Convolution with multiplications, a run of pixels at a time (lam_conv2d_mac.h tells how). */
typedef struct {
    const uint32_t *stream;
    int32_t bias[2];
    uint32_t pitch; /* accumulators from one output channel to the next */
} lam_mac_run;

/* Accumulators of n pixels, for each output channel; up to the tile's width more may be written, and read.
 * One such function per kind of element, tile and number of taps in a line of the stream. lam_mac_bytes_1x8 is for
 * cores with eight registers for data, lam_mac_bytes_2x4 for all others; on Arm there is only the one that fits. */
typedef void lam_mac_tile_fn(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc);

void lam_mac_bytes_1x8(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc);
void lam_mac_bytes_1x8_by3(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc);
void lam_mac_bytes_2x4(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc);
void lam_mac_bytes_2x4_by3(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc);
void lam_mac_bytes_2x4_by5(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc);
void lam_mac_lanes_1x16(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc);
void lam_mac_pairs_2x4(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc);
void lam_mac_pairs_2x4_by3(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc);
void lam_mac_pairs_2x4_by5(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc);

typedef struct {
    lam_conv2d_shape shape;
    lam_unpack_fn *unpack;
    const void *weights;
    lam_mac_tile_fn *tile; /* of the kernel's kind of element */
    uint8_t together;      /* output channels the tile computes, as its name says: 1 or 2 */
    uint8_t taps;          /* that the tile takes from a line: 1, 3 or 5; more than 1 only where this divides kernel_w,
                              and stride_w and dilation_w are 1 */
    uint8_t in_place;      /* lam_conv2d_bytes only; then: no padding, stride_w 1, rows (with pool.kind NONE and
                              kernel_w 1: images) of 4 pixels at least, band_rows == pool.out_h */
    uint16_t band_rows;    /* pooled output rows computed from one loading of the input: 1 .. pool.out_h */
    uint32_t capacity;     /* lam_conv2d_lanes: words of the stream, for the output channel that needs most of them */
} lam_conv2d_mac_desc;

/* lam_conv2d_pairs, _columns: words of two channels of a pixel, or of two neighbouring columns (for few channels), 16
 * bits each, for cores that multiply and add two pairs at once. lam_conv2d_bytes: single pixels, for others.
 * lam_conv2d_lanes: words of two neighbouring pixels, for levels of few bits (-128 .. 128) on cores that multiply one
 * pair at a time. An output channel's stream has two words for each level that is not zero, and two for each part: a
 * part ends, at the latest, where the sum of its positive or of its negative levels would leave -128 .. 128. No more
 * than 65535 elements in the band with its copy.
 * scratch: lam_conv2d_.._scratch(d) bytes; the generator's codegen/kernels/conv2d_mac.py has the formula. */
void lam_conv2d_pairs(const lam_conv2d_mac_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_conv2d_columns(const lam_conv2d_mac_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_conv2d_bytes(const lam_conv2d_mac_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_conv2d_lanes(const lam_conv2d_mac_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
size_t lam_conv2d_pairs_scratch(const lam_conv2d_mac_desc *d);
size_t lam_conv2d_columns_scratch(const lam_conv2d_mac_desc *d);
size_t lam_conv2d_bytes_scratch(const lam_conv2d_mac_desc *d);
size_t lam_conv2d_lanes_scratch(const lam_conv2d_mac_desc *d);

/* Depthwise: group_in_c == 1, so that each output channel sees one input channel; no pooling. Each input channel is
 * widened to 16 bits, with its padding, and read by all its output channels. */
typedef struct {
    lam_conv2d_shape shape;
    lam_unpack_fn *unpack;
    const void *weights; /* out_c rows of kernel_h * kernel_w levels, packed */
    uint16_t band_rows;  /* output rows computed from one widening of the input: 1 .. out_h */
    uint8_t split;       /* for cores that multiply no further than 32 bits, 0: unknown. Otherwise all shifts are 32, and
                            for every acc that inputs can give, with rest = 32 - split: |acc| * (2^split - 1) < 2^31,
                            |acc| * (multiplier / 2^split + 1) + zero * 2^rest + 2^(rest - 1) < 2^31 */
} lam_conv2d_depthwise_desc;

/* lam_conv2d_depthwise: any kernel. The others: the kernel of their name, stride_w 1 or 2, dilation_w and _h 1.
 * scratch: lam_conv2d_depthwise_scratch(d) bytes, with
 *   line = out_w rounded up to a multiple of 4, taps = kernel_h * kernel_w,
 *   pitch = (line - 1) * stride_w + (kernel_w - 1) * dilation_w + 1, rounded up to an even number,
 *   rows = (band_rows - 1) * stride_h + (kernel_h - 1) * dilation_h + 1:
 *     4 * (line + taps + 3)           accumulators, levels as the kernel wants them, bias, multiplier, zero
 *   + 2 * pitch * rows                the band
 *   + 2 * (out_c / in_c) * taps       levels as they are unpacked */
void lam_conv2d_depthwise(const lam_conv2d_depthwise_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_conv2d_depthwise_3x3(const lam_conv2d_depthwise_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_conv2d_depthwise_5x5(const lam_conv2d_depthwise_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
size_t lam_conv2d_depthwise_scratch(const lam_conv2d_depthwise_desc *d);

#ifdef __cplusplus
}
#endif
#endif
