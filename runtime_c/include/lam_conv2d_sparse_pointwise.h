/* Ternary 1 x 1 convolution, of few output instructions: stride 1, no padding, no groups, no pooling. */
#ifndef LAM_CONV2D_SPARSE_POINTWISE_H
#define LAM_CONV2D_SPARSE_POINTWISE_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* From the sum of an output channel's pixels to y, with s = sum + offset, which fits in 16 bits with its sign.
 *   Long:  y = floor((s * 2^16 + fraction) * multiplier / 2^48) brought into 0 .. 255; multiplier 2 .. 2^31-2, even.
 *   Short: y = 0 if s < 0, else floor((s * m + fraction * 2^(shift - 16)) / 2^shift), 255 at most, where no number
 *          leaves 32 bits; multiplier = m + shift * 2^24, shift 16 .. 24.
 * The generator has proved that this is the layer's requantisation, its bias and zero points included, for every sum
 * that inputs can give; the long form, too, if 16 bits of s * multiplier are dropped before the fraction's share is
 * added (codegen/narrow_requant.py). */
typedef struct {
    uint32_t multiplier;
    uint16_t fraction;
    int16_t offset;
} lam_pointwise_scale;

/* Computes a tile of all output channels in a list (lam_conv2d_sparse_pointwise_tile.h), `pitch` bytes from channel to
 * channel of y. Named by the pixels of a tile and the form of the scales: 16 for Armv7-M, 16_short for Armv6-M, 32 for
 * RISC-V, all of them in C for others. */
typedef void lam_pointwise_tile_fn(const uint32_t *list, const uint32_t *pixels, uint8_t *y, uint32_t pitch);

void lam_pointwise_tile_16(const uint32_t *list, const uint32_t *pixels, uint8_t *y, uint32_t pitch);
void lam_pointwise_tile_16_short(const uint32_t *list, const uint32_t *pixels, uint8_t *y, uint32_t pitch);
void lam_pointwise_tile_32(const uint32_t *list, const uint32_t *pixels, uint8_t *y, uint32_t pitch);

typedef struct {
    lam_positions_fn *positions;
    const void *weights;
    const lam_pointwise_scale *scale; /* out_c */
    lam_pointwise_tile_fn *tile;
    uint32_t pixels; /* of the image */
    uint16_t in_c, out_c;
    uint16_t together;    /* output channels whose positions are kept at the same time: 1 .. out_c */
    uint16_t tile_pixels; /* 16 or 32, as the tile's name says */
    uint8_t is_short;     /* 1: scales have the short form; as the tile's name says */
    uint32_t list_words;  /* of those `together` that need most: 6 a channel (short: 7), 1 a non-zero level, 1 for every
                             eight levels of one sign or a part of them, and 1 at the end */
} lam_conv2d_sparse_pointwise_desc;

/* x: in_c * pixels. y: out_c * pixels. Both begin at multiples of LAM_SCRATCH_ALIGN.
 * scratch: lam_conv2d_sparse_pointwise_scratch(d) bytes,
 *   2 * tile_pixels * in_c + 4 * list_words, and tile_pixels * together if tiles of y are copied: where the image
 *   is smaller than a tile, or has no whole number of words and the core stores these at their own addresses only. */
void lam_conv2d_sparse_pointwise(const lam_conv2d_sparse_pointwise_desc *d, const uint8_t *x, uint8_t *y,
                                 void *scratch);
size_t lam_conv2d_sparse_pointwise_scratch(const lam_conv2d_sparse_pointwise_desc *d);

#ifdef __cplusplus
}
#endif
#endif
