#include "lam_format_int8_ans.h"

#include "lam_ans.h"

/* The header lies at stream->table: r; how many symbols there are but the first, and how many of these are large; the
 * first one's frequency, low byte first, and value; then frequency and value of each other. stream->bits is the coder's
 * state. A symbol is found by the place of its value. */
enum { LAM_INT8_ANS_FIRST = 5 };

void lam_int8_ans_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    const uint8_t *next = stream->next;
    uint32_t x = stream->bits;
    if (stream->table == NULL) {
        stream->table = next;
        next += LAM_INT8_ANS_FIRST + 1u + 2u * next[1];
        x = lam_ans_start(&next);
    }
    const uint8_t *header = stream->table;
    const uint8_t *first_symbol = header + LAM_INT8_ANS_FIRST, *last_large = first_symbol + 2u * header[2];
    const uint32_t r = header[0], first_frequency = header[3] | (uint32_t)header[4] << 8;
    for (; n > 0; n--) {
        /* The symbol in whose interval the low bits lie: few steps, because the frequent ones come first. */
        uint32_t low = x & ((1u << LAM_ANS_BITS) - 1u), frequency = first_frequency;
        const uint8_t *symbol = first_symbol;
        while (low >= frequency) {
            low -= frequency;
            symbol += 2;
            frequency = symbol[-1];
            if (symbol <= last_large) {
                frequency <<= 4;
            }
        }
        x = lam_ans_refill(frequency * (x >> LAM_ANS_BITS) + low, &next);
        uint32_t level = (uint32_t)*symbol << r;
        if (r) {
            level |= x & ((1u << r) - 1u);
            x = lam_ans_refill(x >> r, &next);
        }
        *levels++ = (int8_t)level;
    }
    stream->next = next;
    stream->bits = x;
}
