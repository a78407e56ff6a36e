/* The entropy coder of the formats *_ans, inside the runtime: lamella/formats/rans.py and docs/FORMATS.md explain it. */
#ifndef LAM_ANS_H
#define LAM_ANS_H

#include "lam.h"

#define LAM_ANS_BITS 12u /* frequencies are parts of 2^12 */

/* The coder's state before the first symbol. */
static inline uint32_t lam_ans_start(const uint8_t **next)
{
    const uint8_t *p = *next;
    *next = p + 4;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* After each symbol: as many bytes as the encoder put aside there, so never one behind the last. */
static inline uint32_t lam_ans_refill(uint32_t x, const uint8_t **next)
{
    while (x < 1u << 23) {
        x = x << 8 | *(*next)++;
    }
    return x;
}

/* The same after a symbol with a frequency of at least 16 of 2^12: one byte is enough. */
static inline uint32_t lam_ans_refill_once(uint32_t x, const uint8_t **next)
{
    if (x < 1u << 23) {
        x = x << 8 | *(*next)++;
    }
    return x;
}

#endif
