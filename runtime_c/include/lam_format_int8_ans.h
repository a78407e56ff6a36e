/* Weight format int8_ans: docs/FORMATS.md describes every bit. */
#ifndef LAM_FORMAT_INT8_ANS_H
#define LAM_FORMAT_INT8_ANS_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

void lam_int8_ans_unpack(lam_stream *stream, int16_t *levels, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif
