/* Fully connected layer: y[r] = requant(bias[r] + sum over c of level[r][c] * x[c]). */
#ifndef LAM_DENSE_H
#define LAM_DENSE_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const void *bias; /* rows, for lam_bias_at; holds the correction for the zero point of x already */
    lam_requant q;
    uint16_t rows;
    uint16_t cols;
    uint16_t batch; /* vectors in x and in y, one after the other */
    uint8_t narrow_bias; /* 0 where a kernel does not say that it may be 1 */
} lam_dense_shape;

/* Any weight format that unpacks. */
typedef struct {
    lam_dense_shape shape;
    lam_unpack_fn *unpack;
    const void *weights; /* rows * cols levels, packed */
} lam_dense_desc;
void lam_dense(const lam_dense_desc *d, const uint8_t *x, uint8_t *y);

/* Levels as int8_t, read in place. */
typedef struct {
    lam_dense_shape shape;
    const int8_t *weights;
} lam_dense_int8_desc;
void lam_dense_int8(const lam_dense_int8_desc *d, const uint8_t *x, uint8_t *y);

/* Ternary weights as positions. scratch: 2 * capacity bytes. */
typedef struct {
    lam_dense_shape shape;
    lam_positions_fn *positions;
    const void *weights;
    uint16_t capacity; /* the largest number of non-zero levels in a row */
} lam_dense_sparse_desc;
void lam_dense_sparse(const lam_dense_sparse_desc *d, const uint8_t *x, uint8_t *y, void *scratch);

/* Levels in blocks of two or four rows, each kernel with a weight format of its own (docs/FORMATS.md). _pairs: for
 * cores with DSP instructions, scratch: 2 * units * columns of a unit bytes. _quads, _bytes: for all others, scratch:
 * units * columns of a unit bytes, NULL where that is cols. A unit has 2, 4, 5, 8 or 10 columns, by the format. */
typedef struct {
    lam_dense_shape shape;
    const uint32_t *weights;
    uint16_t units; /* of a block: cols divided by the columns of a unit, rounded up */
    uint16_t chunk; /* units whose products the lanes of the inner loop hold whatever x is: proved by the generator */
    uint8_t by_pieces; /* 1: inputs are widened a chunk at a time, anew for every 16 rows, so that scratch holds no more */
} lam_dense_blocks_desc;
void lam_dense_int8_pairs(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_dense_int8_quads(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_dense_int4_pairs(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_dense_int4_quads(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_dense_int2_pairs(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_dense_int2_quads(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_dense_ternary_pairs(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_dense_ternary_quads(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
void lam_dense_ternary_bytes(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch);

/* Ternary weights, `digits` columns a byte in base 3: formats ternary_fours (4) and ternary_fives (5). The sums of all
 * combinations of a group's columns are computed once and looked up by every row.
 * scratch: 4 * (3^digits + rows) bytes. */
typedef struct {
    lam_dense_shape shape;
    const uint8_t *weights;
    uint8_t digits;
} lam_dense_sums_desc;
void lam_dense_ternary_sums(const lam_dense_sums_desc *d, const uint8_t *x, uint8_t *y, void *scratch);

/* Ternary weights as ready columns, format sparse_ternary_index. */
typedef struct {
    lam_dense_shape shape;
    const uint8_t *weights;
} lam_dense_index_desc;
void lam_dense_index(const lam_dense_index_desc *d, const uint8_t *x, uint8_t *y);

#ifdef __cplusplus
}
#endif
#endif
