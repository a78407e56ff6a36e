/* Weight format binary: docs/FORMATS.md describes every bit. */
#ifndef LAM_FORMAT_BINARY_H
#define LAM_FORMAT_BINARY_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

void lam_binary_unpack(lam_stream *stream, int16_t *levels, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif
