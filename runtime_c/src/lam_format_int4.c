#include "lam_format_int4.h"

/* The low nibble of `bits` as a number from -8 to 7. */
static int16_t lam_int4_level(uint32_t bits)
{
    return (int16_t)((int32_t)((bits & 15u) ^ 8u) - 8);
}

/* stream->bits holds the high nibble of the last byte while stream->n_bits is 4. */
void lam_int4_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    const uint8_t *next = stream->next;
    if (n > 0 && stream->n_bits) {
        *levels++ = lam_int4_level(stream->bits);
        stream->n_bits = 0;
        n--;
    }
    for (; n >= 2; n -= 2, levels += 2) {
        uint32_t pair = *next++;
        levels[0] = lam_int4_level(pair);
        levels[1] = lam_int4_level(pair >> 4);
    }
    if (n) {
        uint32_t pair = *next++;
        levels[0] = lam_int4_level(pair);
        stream->bits = pair >> 4;
        stream->n_bits = 4;
    }
    stream->next = next;
}
