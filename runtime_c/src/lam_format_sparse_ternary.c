#include "lam_format_sparse_ternary.h"

#include <string.h>

/* Only with an instruction for it is counting zeros faster than shifting them out one by one: there are few. */
#if defined(__GNUC__) && (!defined(__arm__) || defined(__ARM_FEATURE_CLZ)) && \
    (!defined(__riscv) || defined(__riscv_zbb))
#define LAM_COUNT_ZEROS 1
#else
#define LAM_COUNT_ZEROS 0
#endif

/* State of the stream: `bits` holds n_bits unread bits at its upper end and zeros below them, `parameter` k + 1, `run`
 * the code of the next non-zero level, with the zeros that earlier calls have already taken off its gap.
 * Bytes are fetched only when a bit of them is needed, so nothing behind the packed bytes is ever read. */

/* The next code, as 2 * gap + sign: its upper bits are so many zeros and a one, its lower k + 1 bits follow. */
static inline uint32_t lam_gap_read(lam_stream *s)
{
    const uint32_t k1 = s->parameter;
    uint32_t code = 0;
    while (s->bits == 0) {
        code += s->n_bits;
        s->bits = (uint32_t)*s->next++ << 24;
        s->n_bits = 8;
    }
#if LAM_COUNT_ZEROS
    uint32_t zeros = (uint32_t)__builtin_clz(s->bits);
    code += zeros;
    s->bits <<= zeros;
    s->n_bits -= zeros;
#else
    while (s->bits < 0x80000000u) {
        code++;
        s->bits <<= 1;
        s->n_bits--;
    }
#endif
    s->bits <<= 1;
    s->n_bits--;
    while (s->n_bits < k1) {
        s->bits |= (uint32_t)*s->next++ << (24u - s->n_bits);
        s->n_bits += 8u;
    }
    code = code << k1 | s->bits >> (32u - k1);
    s->bits <<= k1;
    s->n_bits -= k1;
    return code;
}

/* A copy of the stream in registers, its header and first code read. */
static inline lam_stream lam_gap_open(const lam_stream *stream)
{
    lam_stream s = *stream;
    if (s.parameter == 0) {
        s.parameter = *s.next++ + 1u;
        s.run = lam_gap_read(&s);
    }
    return s;
}

void lam_sparse_ternary_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    lam_stream s = lam_gap_open(stream);
    memset(levels, 0, 2u * n);
    uint32_t code = s.run, at = code >> 1;
    while (at < n) {
        levels[at] = (int16_t)(1 - 2 * (int32_t)(code & 1u));
        code = lam_gap_read(&s);
        at += (code >> 1) + 1u;
    }
    s.run = (at - n) << 1 | (code & 1u);
    *stream = s;
}

void lam_sparse_ternary_positions(lam_stream *stream, uint32_t cols, uint16_t *index, uint32_t capacity, uint32_t *plus,
                                  uint32_t *minus)
{
    lam_stream s = lam_gap_open(stream);
    uint16_t *next_plus = index, *last_minus = index + capacity;
    uint32_t code = s.run, at = code >> 1;
    while (at < cols) {
        if (code & 1u) {
            *--last_minus = (uint16_t)at;
        } else {
            *next_plus++ = (uint16_t)at;
        }
        code = lam_gap_read(&s);
        at += (code >> 1) + 1u;
    }
    s.run = (at - cols) << 1 | (code & 1u);
    *stream = s;
    *plus = (uint32_t)(next_plus - index);
    *minus = (uint32_t)(index + capacity - last_minus);
}
