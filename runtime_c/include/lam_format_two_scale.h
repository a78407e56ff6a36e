/* Weight format two_scale: docs/FORMATS.md describes every bit. */
#ifndef LAM_FORMAT_TWO_SCALE_H
#define LAM_FORMAT_TWO_SCALE_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

void lam_two_scale_unpack(lam_stream *stream, int16_t *levels, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif
