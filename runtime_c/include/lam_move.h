/* Operators that only move bytes: padding, concatenation, slices, transposition, repetition, the edge between the caller and the arena. */
#ifndef LAM_MOVE_H
#define LAM_MOVE_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Constant padding of rows and columns. y may begin where x does. */
typedef struct {
    uint16_t channels, in_h, in_w;
    uint16_t top, left, bottom, right;
    uint8_t value;
} lam_pad2d_desc;
void lam_pad2d(const lam_pad2d_desc *d, const uint8_t *x, uint8_t *y);

/* One part of a concatenation: `bytes` of it stand side by side in each of the `outer` blocks of y. */
typedef struct {
    uint32_t bytes;
    uint8_t rescale; /* 0: copied as it is, 1: requantised */
    uint8_t in_zero;
    lam_requant q;
    const void *values; /* a constant; NULL: the part is the next input of x */
} lam_concat_part;

typedef struct {
    uint32_t outer;
    uint16_t n_parts;
    const lam_concat_part *parts;
} lam_concat_desc;
void lam_concat(const lam_concat_desc *d, const uint8_t *const *x, uint8_t *y);

/* y: `runs` pieces of `bytes` bytes one behind the other, which lie `pitch` bytes apart in x, the first at `start`. */
typedef struct {
    uint32_t runs, pitch, start, bytes;
} lam_slice_desc;
void lam_slice(const lam_slice_desc *d, const uint8_t *x, uint8_t *y);

/* x: outer x rows x cols pieces of `inner` bytes; y: outer x cols x rows. */
typedef struct {
    uint32_t outer, rows, cols, inner;
} lam_transpose_desc;
void lam_transpose(const lam_transpose_desc *d, const uint8_t *x, uint8_t *y);

/* x: outer x middle pieces of `inner` bytes; y: each block of `middle` pieces `times` times, each piece in it `copies`
 * times in a row. */
typedef struct {
    uint32_t outer, times, middle, copies, inner;
} lam_expand_desc;
void lam_expand(const lam_expand_desc *d, const uint8_t *x, uint8_t *y);

/* Copies n bytes and adds `offset` (0 or 128) to each, modulo 256: int8_t at the model's edge is uint8_t + 128 inside.
 * y may be x. */
void lam_copy(const void *x, void *y, size_t n, uint8_t offset);

#ifdef __cplusplus
}
#endif
#endif
