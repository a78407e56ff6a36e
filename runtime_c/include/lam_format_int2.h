/* Weight format int2: docs/FORMATS.md describes every bit. */
#ifndef LAM_FORMAT_INT2_H
#define LAM_FORMAT_INT2_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

void lam_int2_unpack(lam_stream *stream, int16_t *levels, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif
