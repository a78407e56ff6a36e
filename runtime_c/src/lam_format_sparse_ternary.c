#include "lam_format_sparse_ternary.h"

#include <string.h>

/* Only with an instruction for it is counting zeros faster than shifting them out one by one: there are few. */
#if defined(__GNUC__) && (!defined(__arm__) || defined(__ARM_FEATURE_CLZ)) && \
    (!defined(__riscv) || defined(__riscv_zbb))
#define LAM_COUNT_ZEROS 1
#else
#define LAM_COUNT_ZEROS 0
#endif

/* State of the stream: `bits` holds the unread bits of the last words at its upper end, then a one that marks their end,
 * and zeros; `parameter` is k + 1; `run` twice the zeros before the next non-zero level, plus its sign.
 * Words of 16 bits are fetched only when a bit of them is needed, so nothing behind the packed ones is ever read. */
typedef struct {
    const uint16_t *next;
    uint32_t bits;
    uint32_t k;
    uint32_t sign; /* bit 0: the sign of the level last found */
} lam_rice;

static inline lam_rice lam_rice_of(const lam_stream *stream)
{
    const lam_rice r = {(const void *)stream->next, stream->bits, stream->parameter - 1u, stream->run};
    return r;
}

static inline void lam_rice_keep(const lam_rice *r, lam_stream *stream, uint32_t zeros)
{
    stream->next = (const void *)r->next;
    stream->bits = r->bits;
    stream->run = zeros << 1 | (r->sign & 1u);
}

/* The place of the next non-zero level behind `at`. Its code is so many zeros and a one, then k + 1 bits. */
static inline uint32_t lam_rice_next(lam_rice *r, uint32_t at)
{
    const uint32_t k = r->k;
    uint32_t bits = r->bits;
    at++;
    for (;;) {
#if LAM_COUNT_ZEROS
        const uint32_t zeros = (uint32_t)__builtin_clz(bits);
        at += zeros << k;
        bits <<= zeros;
#else
        while ((int32_t)bits >= 0) {
            at += 1u << k;
            bits <<= 1;
        }
#endif
        bits <<= 1;
        if (bits << (k + 1u) != 0) {
            break;
        }
        /* The one found is the mark, or the mark is among the k + 1 bits: they need another word. */
        const uint32_t word = 2u * *r->next++ + 1u; /* and the mark */
        if (bits != 0) {
            const uint32_t mark = bits & (0u - bits);
            bits += word * (mark >> 16) - mark;
            break;
        }
        bits = word << 15;
    }
    r->sign = bits >> (31u - k);
    r->bits = bits << (k + 1u);
    return at + (r->sign >> 1);
}

/* The stream with its header and first code read. */
static void lam_rice_open(lam_stream *stream)
{
    if (stream->parameter == 0) {
        const uint16_t *next = (const void *)stream->next;
        lam_rice r = {next + 1, 0x80000000u, *next, 0};
        stream->parameter = r.k + 1u;
        const uint32_t at = lam_rice_next(&r, 0xffffffffu);
        lam_rice_keep(&r, stream, at);
    }
}

void lam_sparse_ternary_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    lam_rice_open(stream);
    lam_rice r = lam_rice_of(stream);
    uint32_t at = stream->run >> 1;
    memset(levels, 0, 2u * n);
    while (at < n) {
        levels[at] = (int16_t)(1 - 2 * (int32_t)(r.sign & 1u));
        at = lam_rice_next(&r, at);
    }
    lam_rice_keep(&r, stream, at - n);
}

void lam_sparse_ternary_positions(lam_stream *stream, uint32_t cols, uint16_t *index, uint32_t capacity, uint32_t *plus,
                                  uint32_t *minus)
{
    lam_rice_open(stream);
    lam_rice r = lam_rice_of(stream);
    uint32_t at = stream->run >> 1;
    uint16_t *next_plus = index, *last_minus = index + capacity;
    while (at < cols) {
        if (r.sign & 1u) {
            *--last_minus = (uint16_t)at;
        } else {
            *next_plus++ = (uint16_t)at;
        }
        at = lam_rice_next(&r, at);
    }
    lam_rice_keep(&r, stream, at - cols);
    *plus = (uint32_t)(next_plus - index);
    *minus = (uint32_t)(index + capacity - last_minus);
}
