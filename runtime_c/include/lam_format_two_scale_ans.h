/* Weight format two_scale_ans: docs/FORMATS.md describes every bit. */
#ifndef LAM_FORMAT_TWO_SCALE_ANS_H
#define LAM_FORMAT_TWO_SCALE_ANS_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

void lam_two_scale_ans_unpack(lam_stream *stream, int16_t *levels, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif
