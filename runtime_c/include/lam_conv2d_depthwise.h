/* What the depthwise kernels share; for them only.
 *
 * One channel at a time: its rows are widened to 16 bits and surrounded by their padding, a band of rows in scratch.
 * From there a lam_depthwise_rows_fn, of which each kernel has its own, computes the output rows of the channel without
 * a look at the edges of the image.
 */
#ifndef LAM_CONV2D_DEPTHWISE_H
#define LAM_CONV2D_DEPTHWISE_H

#include "lam_conv2d.h"
#include "lam_requant.h"

/* Also at -Os: one body serves all shapes, and shrinks to a few instructions only where the shape is known. */
#if defined(__GNUC__)
#define LAM_DEPTHWISE_INLINE static inline __attribute__((always_inline))
#else
#define LAM_DEPTHWISE_INLINE static inline
#endif

/* Pixels that are computed together. A row of the band is long enough for a whole tile at its end. */
#define LAM_DEPTHWISE_TILE 4u

/* A multiplier taken apart, high_part * 2^shift + low_part (lam_conv2d_depthwise_desc.split), so that no product leaves
 * 32 bits: ((acc * low_part >> shift) + acc * high_part + round) >> rest. To drop the lower bits of the smaller product
 * first does not change the result, because all else is whole there. */
typedef struct {
    int32_t low_part, high_part;
    uint32_t shift, rest; /* shift + rest = 32; shift 0: not to be used */
    int32_t round;        /* zero point of y, and one half */
} lam_depthwise_split;

/* Accumulators of neighbouring pixels. */
typedef struct {
    int32_t a, b, c, d;
} lam_depthwise_sums;

/* One output channel. */
typedef struct {
    const lam_conv2d_shape *s;
    uint32_t pitch;        /* pixels from one row of the band to the next; even */
    const uint32_t *level; /* kernel_h * kernel_w words, see lam_depthwise_word; bias, multiplier, zero point of y */
    lam_requant_one q;
    lam_depthwise_split split;
    int32_t *line; /* scratch for the accumulators of a row, in whole tiles */
} lam_depthwise_channel;

/* Output rows from the band, whose first row is that of the first window, on a word's boundary. */
typedef void lam_depthwise_rows_fn(const lam_depthwise_channel *t, const uint16_t *band, uint32_t rows, uint8_t *y);

/* The first n accumulators of the line to activations. */
void lam_depthwise_finish(const lam_depthwise_channel *t, uint32_t n, uint8_t *y);

void lam_depthwise_run(const lam_conv2d_depthwise_desc *d, const uint8_t *x, uint8_t *y, void *scratch,
                       lam_depthwise_rows_fn *rows);

#endif
