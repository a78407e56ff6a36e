/* The input of lam_conv2d_sparse, as its inner loops want it; for that kernel only. */
#ifndef LAM_CONV2D_SPARSE_BAND_H
#define LAM_CONV2D_SPARSE_BAND_H

#include "lam_conv2d.h"

/* The part of one group's input that a band of output rows needs, widened to 16 bit with the padding filled in:
 * element ((channel * rows + row) * phases + phase) * pitch + at holds column at * stride_w + phase of the padded
 * image. So the pixels that one level meets along an output row lie side by side, whatever the stride. Rows and phases
 * that a stride wider than the kernel would skip are not kept. */
typedef struct {
    uint32_t channels, rows, phases, pitch;
    uint32_t row_step;    /* kept rows from one output row to the next */
    uint32_t kernel_rows; /* kept rows that one output row looks at */
    uint32_t size;        /* elements of one copy */
    uint32_t out_rows;    /* of the convolution, that a full band gives */
    uint32_t out_w;       /* of these, pixels that pooling uses */
    uint32_t tile_rows;   /* rows computed together */
    uint32_t line;        /* accumulators kept for each of them */
} lam_band;

/* Elements behind the band that a tile may read when it reaches past the last row. */
#define LAM_BAND_SLACK 6u

static inline uint32_t lam_least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t lam_even(uint32_t n)
{
    return (n + 1u) & ~1u;
}

lam_band lam_band_of(const lam_conv2d_sparse_desc *d);

/* offset_of[column of the weights] = where its pixels start. With two copies, odd starts lie one lower in the second,
 * so that all are even. */
void lam_band_offsets(const lam_conv2d_sparse_desc *d, const lam_band *b, uint16_t *offset_of);

/* Widens what `out_rows` rows of the convolution from `out_row` on need. x: the group's first channel. */
void lam_band_load(const lam_conv2d_sparse_desc *d, const lam_band *b, const uint8_t *x, uint32_t out_row,
                   uint32_t out_rows, uint16_t *pixels);

#endif
