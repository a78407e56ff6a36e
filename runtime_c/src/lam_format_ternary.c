#include "lam_format_ternary.h"

/* A byte is a fraction of 256 whose base 3 digits are the levels + 1: multiplying it by three moves the next digit, and
 * by nine the next two, to bit 8 and above. stream->bits is the fraction still to be read, stream->n_bits the number of
 * digits in it. */
void lam_ternary_unpack_as(lam_stream *stream, int16_t *levels, uint32_t n, const lam_ternary_pair *pair)
{
    const uint8_t *next = stream->next;
    uint32_t fraction = stream->bits, digits = stream->n_bits;
    while (n > 0) {
        if (digits == 0) {
            for (; n >= 5; n -= 5, levels += 5) {
                const uint32_t first = *next++ * 9u, second = (first & 0xffu) * 9u, last = (second & 0xffu) * 3u;
                const lam_ternary_pair *a = &pair[first >> 8];
                const uint16_t a0 = a->first, a1 = a->second;
                levels[0] = (int16_t)a0;
                levels[1] = (int16_t)a1;
                const lam_ternary_pair *b = &pair[second >> 8];
                const uint16_t b0 = b->first, b1 = b->second;
                levels[2] = (int16_t)b0;
                levels[3] = (int16_t)b1;
                levels[4] = (int16_t)pair[last >> 8].second;
            }
            if (n == 0) {
                break;
            }
            fraction = *next++;
            digits = 5;
        }
        fraction *= 3u;
        *levels++ = (int16_t)pair[fraction >> 8].second;
        fraction &= 0xffu;
        digits--;
        n--;
    }
    stream->next = next;
    stream->bits = fraction;
    stream->n_bits = digits;
}

void lam_ternary_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    enum { M = 0xffff }; /* -1 */
    static const lam_ternary_pair pair[9] = {
        {M, M}, {M, 0}, {M, 1}, {0, M}, {0, 0}, {0, 1}, {1, M}, {1, 0}, {1, 1},
    };
    lam_ternary_unpack_as(stream, levels, n, pair);
}
