/* Weight format ternary: docs/FORMATS.md describes every bit. */
#ifndef LAM_FORMAT_TERNARY_H
#define LAM_FORMAT_TERNARY_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

void lam_ternary_unpack(lam_stream *stream, int16_t *levels, uint32_t n);

/* Two levels, as uint16_t: a Cortex-M0 takes two instructions to load a signed one. */
typedef struct {
    uint16_t first, second;
} lam_ternary_pair;

/* The same with other values in place of -1, 0, 1: pair[3 * i + j] holds those of the digits i and j. */
void lam_ternary_unpack_as(lam_stream *stream, int16_t *levels, uint32_t n, const lam_ternary_pair *pair);

#ifdef __cplusplus
}
#endif
#endif
