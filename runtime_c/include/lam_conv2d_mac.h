/* What the convolutions with multiplications share: lam_conv2d_pairs, lam_conv2d_columns, lam_conv2d_bytes; for them
 * only.
 *
 * One or two output channels at a time are computed for a run of neighbouring pixels, four or eight of them in
 * registers. The inner loop knows nothing of kernels, strides or channels: it follows a stream of words that says how
 * far to go on in the input and what to multiply there,
 *
 *   line 0: step, weights   line 1: step, weights   ..   LAM_MAC_END
 *
 * where step is the number of bytes from the previous line to this one (from the run's first pixel for line 0), and
 * weights are those of `taps` neighbouring elements, for each element one word per output channel. Steps stay as they
 * are for the whole layer; weights are filled in when an output channel has been unpacked.
 */
#ifndef LAM_CONV2D_MAC_H
#define LAM_CONV2D_MAC_H

#include "lam_conv2d.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "lam_conv2d_pairs takes the first of two values from the lower half of a word: little endian cores only"
#endif

/* Adding this to any address carries, adding a step never does: one addition moves on and finds the end. */
#define LAM_MAC_END 0xffffffffu

/* Elements that a run may read behind its last one: runs are computed in tiles. */
#define LAM_MAC_SLACK 7u

/* Pixels from accumulation to requantisation, where no pooling asks for a whole row. */
#define LAM_MAC_CHUNK 64u

/* The input of a group as the inner loop sees it: element ((plane * rows + row) * phases + phase) * pitch + at belongs
 * to column at * stride_w + phase of the padded image, so that the elements which one tap meets along an output row
 * lie side by side, whatever the stride. Rows and phases that a stride wider than the kernel would skip are not kept.
 * In place, it is the input itself. */
typedef struct {
    uint32_t planes;   /* a channel each, or two */
    uint32_t element;  /* bytes */
    uint32_t rows, phases, pitch;
    uint32_t row_step; /* kept rows from one output row to the next */
    uint32_t copy;     /* elements of the first copy, if there is a second one, that starts an element later; or 0 */
    uint32_t bytes;    /* of all planes and the slack behind them; 0 in place */
    uint32_t out_w;    /* pixels of an output row, those that pooling uses */
    uint32_t columns;  /* elements of a kernel's row */
    uint32_t channels; /* of the group */
} lam_mac_band;

/* An element of a kernel's row: its first column, and how far from the row's first element it lies. */
typedef struct {
    uint16_t column, place;
} lam_mac_tap;

/* How the elements are made. */
typedef struct {
    uint32_t bytes;   /* of an element */
    uint32_t deep;    /* channels in an element */
    uint32_t wide;    /* columns of the kernel in an element */
    uint32_t even;    /* 1: only even elements can be reached, odd ones by way of the second copy; or 0 */
    /* Words of the stream. */
    size_t (*words)(const lam_conv2d_mac_desc *d, const lam_mac_band *b);
    /* Prepares the stream, once. */
    void (*lay)(const lam_conv2d_mac_desc *d, const lam_mac_band *b, const lam_mac_tap *row, uint32_t *stream);
    /* Copies what `n_rows` kept rows from row `top` of the padded image on need. x: the group's first channel. */
    void (*load)(const lam_conv2d_shape *s, const lam_mac_band *b, const uint8_t *x, uint32_t top, uint32_t n_rows,
                 void *to);
    /* Fills one output channel's levels in. to: its number among those computed together + 1 words behind the start of
     * the stream; row: the taps of a kernel's row. */
    void (*weave)(const lam_conv2d_mac_desc *d, const lam_mac_band *b, const int16_t *levels, const lam_mac_tap *row,
                  uint32_t *to);
} lam_mac_layout;

void lam_mac_convolve(const lam_conv2d_mac_desc *d, const lam_mac_layout *layout, const uint8_t *x, uint8_t *y,
                      void *scratch);
size_t lam_mac_scratch(const lam_conv2d_mac_desc *d, const lam_mac_layout *layout);

/* `words` and `lay` of a stream of lines, and the words of a line. */
size_t lam_mac_stream_words(const lam_conv2d_mac_desc *d, const lam_mac_band *b);
void lam_mac_lay(const lam_conv2d_mac_desc *d, const lam_mac_band *b, const lam_mac_tap *row, uint32_t *stream);
uint32_t lam_mac_line(const lam_conv2d_mac_desc *d);

/* For `load`: what all elements are before any pixel is copied, where a window leaves the image at all. */
void lam_mac_pad(const lam_conv2d_shape *s, const lam_mac_band *b, uint32_t word, uint32_t *band);

/* n pixels, `step` apart, into neighbouring elements; other: bytes from one channel to the next. */
typedef void lam_mac_copy_fn(void *to, const uint8_t *x, uint32_t n, uint32_t step, size_t other);

/* For `load`: the pixels of a channel into a plane. skipped: columns between the padded image's first one and that of
 * the plane's first element; bytes: of an element. */
void lam_mac_copy(const lam_conv2d_shape *s, const lam_mac_band *b, const uint8_t *x, uint32_t top, uint32_t n_rows,
                  uint32_t skipped, lam_mac_copy_fn *copy, uint32_t bytes, void *plane);

#endif
