#include "lam_format_palette.h"

/* The array is of int16_t, so all words are aligned and in the byte order of the core. stream->table is the codebook,
 * stream->parameter the width of a place, stream->bits the n_bits unread bits of the last word. */
void lam_palette_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    const uint16_t *next = (const void *)stream->next;
    if (stream->table == NULL) {
        const uint32_t entries = *next++;
        stream->table = next;
        next += entries;
        stream->parameter = entries > 8u ? 4u : entries > 4u ? 3u : entries > 2u ? 2u : 1u;
    }
    const int16_t *book = stream->table;
    const uint32_t width = stream->parameter, mask = (1u << width) - 1u;
    uint32_t bits = stream->bits, n_bits = stream->n_bits;
    for (; n >= 4; n -= 4, levels += 4) {
        if (n_bits < 4u * width) {
            bits |= (uint32_t)*next++ << n_bits;
            n_bits += 16u;
        }
        levels[0] = book[bits & mask];
        levels[1] = book[bits >> width & mask];
        bits = bits >> width >> width;
        levels[2] = book[bits & mask];
        levels[3] = book[bits >> width & mask];
        bits = bits >> width >> width;
        n_bits -= 4u * width;
    }
    for (; n > 0; n--) {
        if (n_bits < width) {
            bits |= (uint32_t)*next++ << n_bits;
            n_bits += 16u;
        }
        *levels++ = book[bits & mask];
        bits >>= width;
        n_bits -= width;
    }
    stream->next = (const void *)next;
    stream->bits = bits;
    stream->n_bits = n_bits;
}
