/* Fully connected layer: y[r] = requant(bias[r] + sum over c of level[r][c] * x[c]). */
#ifndef LAM_DENSE_H
#define LAM_DENSE_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const int32_t *bias; /* rows; holds the correction for the zero point of x already */
    lam_requant q;
    uint16_t rows;
    uint16_t cols;
    uint16_t batch; /* vectors in x and in y, one after the other */
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

#ifdef __cplusplus
}
#endif
#endif
