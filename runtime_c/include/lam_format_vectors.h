/* Weight format vectors: docs/FORMATS.md describes every bit. */
#ifndef LAM_FORMAT_VECTORS_H
#define LAM_FORMAT_VECTORS_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

void lam_vectors_unpack(lam_stream *stream, int16_t *levels, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif
