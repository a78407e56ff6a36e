#include "lam_format_int2.h"

/* Bits i and i + 1 of `bits` as a number from -2 to 1. */
#define LAM_INT2_LEVEL(bits, i) ((int16_t)((int32_t)((uint32_t)(bits) << (30 - (i))) >> 30))

static inline void lam_int2_byte(uint32_t bits, int16_t *levels)
{
    levels[0] = LAM_INT2_LEVEL(bits, 0);
    levels[1] = LAM_INT2_LEVEL(bits, 2);
    levels[2] = LAM_INT2_LEVEL(bits, 4);
    levels[3] = LAM_INT2_LEVEL(bits, 6);
}

/* stream->bits holds the stream->n_bits unread bits of the last byte. */
void lam_int2_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    const uint8_t *next = stream->next;
    uint32_t bits = stream->bits, n_bits = stream->n_bits;
    while (n > 0) {
        if (n_bits == 0) {
            for (; n >= 16; n -= 16, next += 4, levels += 16) {
                lam_int2_byte(next[0], levels);
                lam_int2_byte(next[1], levels + 4);
                lam_int2_byte(next[2], levels + 8);
                lam_int2_byte(next[3], levels + 12);
            }
            if (n == 0) {
                break;
            }
            bits = *next++;
            n_bits = 8;
        }
        *levels++ = LAM_INT2_LEVEL(bits, 0);
        bits >>= 2;
        n_bits -= 2;
        n--;
    }
    stream->next = next;
    stream->bits = bits;
    stream->n_bits = n_bits;
}
