/* Sparse ternary convolution for cores with vectors of integers (lam_mve.h). Empty for others. */
#ifndef LAM_CONV2D_SPARSE_MVE_H
#define LAM_CONV2D_SPARSE_MVE_H

#include "lam_conv2d.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pixels of 8 bits, widened to sums of 16 bits as they are loaded, 48 pixels at a time.
 * scratch: as lam_conv2d_sparse_dsp_lean. */
void lam_conv2d_sparse_mve(const lam_conv2d_sparse_desc *d, const uint8_t *x, uint8_t *y, void *scratch);
size_t lam_conv2d_sparse_mve_scratch(const lam_conv2d_sparse_desc *d);

#ifdef __cplusplus
}
#endif
#endif
