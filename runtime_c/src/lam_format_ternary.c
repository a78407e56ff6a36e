#include "lam_format_ternary.h"

/* A byte is a fraction of 256 whose base 3 digits are the levels + 1: tripling moves the next digit to bit 8.
 * stream->bits is the fraction still to be read, stream->n_bits the number of digits in it. */
void lam_ternary_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    const uint8_t *next = stream->next;
    uint32_t fraction = stream->bits, digits = stream->n_bits;
    for (uint32_t i = 0; i < n; i++) {
        if (digits == 0) {
            fraction = *next++;
            digits = 5;
        }
        fraction *= 3u;
        levels[i] = (int16_t)((int32_t)(fraction >> 8) - 1);
        fraction &= 0xffu;
        digits--;
    }
    stream->next = next;
    stream->bits = fraction;
    stream->n_bits = digits;
}
