/* Sums, products and tables for cores with vectors of integers (Arm's MVE, Helium). */
#ifndef LAM_ELEMENTWISE_MVE_H
#define LAM_ELEMENTWISE_MVE_H

#include "lam_elementwise.h"

#ifdef __cplusplus
extern "C" {
#endif

/* lam_add, for shifts from 17 on. y may be a or b. */
void lam_add_mve(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y);

/* lam_mul, for a shift of 32. y may be a or b. */
void lam_mul_mve(const lam_mul_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y);

/* lam_table. y may be x. */
void lam_table_mve(const lam_table_desc *d, const uint8_t *x, uint8_t *y);

#ifdef __cplusplus
}
#endif
#endif
