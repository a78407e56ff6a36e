#include "lam_format_int4.h"

/* Bits i to i + 3 of `bits` as a number from -8 to 7. */
#define LAM_INT4_LEVEL(bits, i) ((int16_t)((int32_t)((uint32_t)(bits) << (28 - (i))) >> 28))

static inline void lam_int4_byte(uint32_t bits, int16_t *levels)
{
    levels[0] = LAM_INT4_LEVEL(bits, 0);
    levels[1] = LAM_INT4_LEVEL(bits, 4);
}

/* stream->bits holds the high nibble of the last byte while stream->n_bits is 4. */
void lam_int4_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    const uint8_t *next = stream->next;
    uint32_t bits = stream->bits, n_bits = stream->n_bits;
    while (n > 0) {
        if (n_bits == 0) {
            for (; n >= 8; n -= 8, next += 4, levels += 8) {
                lam_int4_byte(next[0], levels);
                lam_int4_byte(next[1], levels + 2);
                lam_int4_byte(next[2], levels + 4);
                lam_int4_byte(next[3], levels + 6);
            }
            if (n == 0) {
                break;
            }
            bits = *next++;
            n_bits = 8;
        }
        *levels++ = LAM_INT4_LEVEL(bits, 0);
        bits >>= 4;
        n_bits -= 4;
        n--;
    }
    stream->next = next;
    stream->bits = bits;
    stream->n_bits = n_bits;
}
