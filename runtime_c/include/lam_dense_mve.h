/* Dense layers for cores with vectors of integers (lam_mve.h). Empty for others. */
#ifndef LAM_DENSE_MVE_H
#define LAM_DENSE_MVE_H

#include "lam_dense.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Levels as int8_t, read in place, four rows together. */
typedef struct {
    lam_dense_shape shape; /* bias: + 128 * the sum of the row's levels */
    const int8_t *weights;
} lam_dense_int8_mve_desc;
void lam_dense_int8_mve(const lam_dense_int8_mve_desc *d, const uint8_t *x, uint8_t *y);

/* Levels of four or two bits, two or four rows a byte: formats int4_rows and int2_rows. */
typedef struct {
    lam_dense_shape shape;
    const uint8_t *weights;
    uint8_t bits; /* 4 or 2 */
} lam_dense_rows_mve_desc;
void lam_dense_rows_mve(const lam_dense_rows_mve_desc *d, const uint8_t *x, uint8_t *y);

/* Any weight format that unpacks. scratch: one row of levels, 2 * cols bytes. */
void lam_dense_mve(const lam_dense_desc *d, const uint8_t *x, uint8_t *y, void *scratch);

#ifdef __cplusplus
}
#endif
#endif
