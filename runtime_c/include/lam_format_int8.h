/* Weight format int8: docs/FORMATS.md describes every bit. */
#ifndef LAM_FORMAT_INT8_H
#define LAM_FORMAT_INT8_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

void lam_int8_unpack(lam_stream *stream, int16_t *levels, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif
