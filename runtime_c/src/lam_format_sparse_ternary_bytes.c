#include "lam_format_sparse_ternary_bytes.h"

#include <string.h>

/* State of the stream: `run` is the number of zeros before the next non-zero level, `parameter` is 1 once the code
 * before the first level is read. */

/* The gap in `code`, with the bytes that follow it where it is a long one. */
static inline uint32_t lam_gap_bytes(uint32_t code, const uint8_t **next)
{
    uint32_t gap = code >> 1;
    if (gap == 127u) {
        uint32_t group, place = 0;
        do {
            group = *(*next)++;
            gap += (group & 127u) << place;
            place += 7u;
        } while (group & 128u);
    }
    return gap;
}

/* Zeros before the next non-zero level; reads the code before the first one when the stream is new. */
static inline uint32_t lam_gap_bytes_open(lam_stream *stream)
{
    if (stream->parameter == 0) {
        uint32_t code = *stream->next++;
        stream->run = lam_gap_bytes(code, &stream->next);
        stream->parameter = 1;
    }
    return stream->run;
}

void lam_sparse_ternary_bytes_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    uint32_t at = lam_gap_bytes_open(stream);
    const uint8_t *next = stream->next;
    memset(levels, 0, 2u * n);
    while (at < n) {
        uint32_t code = *next++;
        levels[at] = (int16_t)(1 - 2 * (int32_t)(code & 1u));
        at += lam_gap_bytes(code, &next) + 1u;
    }
    stream->next = next;
    stream->run = at - n;
}

void lam_sparse_ternary_bytes_positions(lam_stream *stream, uint32_t cols, uint16_t *index, uint32_t capacity,
                                        uint32_t *plus, uint32_t *minus)
{
    uint32_t at = lam_gap_bytes_open(stream);
    const uint8_t *next = stream->next;
    uint16_t *next_plus = index, *last_minus = index + capacity;
    while (at < cols) {
        uint32_t code = *next++;
        if (code & 1u) {
            *--last_minus = (uint16_t)at;
        } else {
            *next_plus++ = (uint16_t)at;
        }
        at += lam_gap_bytes(code, &next) + 1u;
    }
    stream->next = next;
    stream->run = at - cols;
    *plus = (uint32_t)(next_plus - index);
    *minus = (uint32_t)(index + capacity - last_minus);
}
