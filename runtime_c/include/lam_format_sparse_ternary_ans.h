/* Weight format sparse_ternary_ans: docs/FORMATS.md describes every bit. */
#ifndef LAM_FORMAT_SPARSE_TERNARY_ANS_H
#define LAM_FORMAT_SPARSE_TERNARY_ANS_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

void lam_sparse_ternary_ans_unpack(lam_stream *stream, int16_t *levels, uint32_t n);
void lam_sparse_ternary_ans_positions(lam_stream *stream, uint32_t cols, uint16_t *index, uint32_t capacity,
                                      uint32_t *plus, uint32_t *minus);

#ifdef __cplusplus
}
#endif
#endif
