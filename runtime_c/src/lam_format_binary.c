#include "lam_format_binary.h"

/* Bit i of `bits` as a level: 1 is the sign. */
#define LAM_BINARY_LEVEL(bits, i) ((int16_t)((int32_t)((uint32_t)(bits) << (31 - (i))) >> 31 | 1))

/* stream->bits holds the stream->n_bits unread bits of the last byte. */
void lam_binary_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    const uint8_t *next = stream->next;
    uint32_t bits = stream->bits, n_bits = stream->n_bits;
    while (n > 0) {
        if (n_bits == 0) {
            for (; n >= 8; n -= 8, levels += 8) {
                const uint32_t byte = *next++;
                levels[0] = LAM_BINARY_LEVEL(byte, 0);
                levels[1] = LAM_BINARY_LEVEL(byte, 1);
                levels[2] = LAM_BINARY_LEVEL(byte, 2);
                levels[3] = LAM_BINARY_LEVEL(byte, 3);
                levels[4] = LAM_BINARY_LEVEL(byte, 4);
                levels[5] = LAM_BINARY_LEVEL(byte, 5);
                levels[6] = LAM_BINARY_LEVEL(byte, 6);
                levels[7] = LAM_BINARY_LEVEL(byte, 7);
            }
            if (n == 0) {
                break;
            }
            bits = *next++;
            n_bits = 8;
        }
        *levels++ = LAM_BINARY_LEVEL(bits, 0);
        bits >>= 1;
        n_bits--;
        n--;
    }
    stream->next = next;
    stream->bits = bits;
    stream->n_bits = n_bits;
}
