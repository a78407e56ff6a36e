/* The input of the sparse convolutions, as their inner loops want it; for those kernels only. */
#ifndef LAM_CONV2D_SPARSE_BAND_H
#define LAM_CONV2D_SPARSE_BAND_H

#include "lam_conv2d.h"

/* Output pixels that the inner loops sum at a time. */
#define LAM_SPARSE_TILE 16u

/* A band (lam_sparse_band in lam_conv2d.h) is the part of one group's input that some output rows need, with the
 * padding filled in. The columns and rows that
 * a stride makes one output row meet together lie together: phase (a, b) of a channel holds rows a, a + stride_h, ..
 * and columns b, b + stride_w, .. of the padded image, `pitch` pixels from row to row. So each level meets the pixels
 * of an output row side by side, whatever the stride, and those of the next output row `pitch` pixels further: an
 * image of output pixels is one run, with reach_w pixels of no use between its rows.
 *
 * Where loads of a word must be aligned, a level may meet any pixel all the same: copy number s of the band lies s
 * pixels lower. */

/* How a kernel keeps pixels. */
typedef struct {
    uint32_t pixel_shift; /* a pixel has 1 << pixel_shift bytes */
    uint32_t word;        /* loads begin at multiples of so many pixels, 1, 2 or 4; copies serve for the others */
    uint32_t in_place;    /* 1: may read the input itself where it is as it should be */
    /* Brings `rows` rows of n pixels, `step` apart, into the first copy (or more: `copies` of `size` pixels each). */
    void (*rows)(const lam_sparse_band *b, uint8_t *to, const uint8_t *x, uint32_t x_pitch, uint32_t rows, uint32_t n,
                 uint32_t step);
    /* Makes the other copies from the first one; NULL if rows has done it. */
    void (*copy)(const lam_sparse_band *b, uint8_t *band);
} lam_band_format;

static inline uint32_t lam_least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* n rounded up to a multiple of a power of two. */
static inline uint32_t lam_up_to(uint32_t n, uint32_t power)
{
    return (n + power - 1u) & ~(power - 1u);
}

/* Works out d->band. */
void lam_band_plan(lam_conv2d_sparse_desc *d, const lam_band_format *f);

/* offset_of[column of the weights] = the first of its pixels: a multiple of `word` from the start of the band. */
void lam_band_offsets(const lam_conv2d_sparse_desc *d, const lam_band_format *f, uint16_t *offset_of);

/* Fills the band with what `out_rows` rows of the convolution from `out_row` on need. x: the group's first channel. */
void lam_band_load(const lam_conv2d_sparse_desc *d, const lam_band_format *f, const uint8_t *x, uint32_t out_row,
                   uint32_t out_rows, uint8_t *band);

#endif
