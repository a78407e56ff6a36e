#include "lam_format_vectors.h"

/* The header lies at stream->table: 16 * bits of a level + levels of a piece, number of pieces less one; then the pieces.
 * stream->parameter is the width of a place, stream->bits the n_bits unread bits of the last byte. Where a call ended
 * inside a piece, stream->run is 16 * its place + how many of its levels are written. */
enum { LAM_VECTORS_BOOK = 2, LAM_VECTORS_LONGEST = 8, LAM_VECTORS_AT_ONCE = 16 };

/* All levels of the pieces at some places. */
static void lam_vectors_pieces(const uint8_t *header, const uint8_t *place, uint32_t count, int16_t *levels)
{
    const uint32_t length = header[0] & 15u, depth = header[0] >> 4, size = length * depth, bytes = (size + 7u) >> 3;
    const uint32_t above = 32u - size, drop = 32u - depth;
    for (; count > 0; count--) {
        const uint8_t *piece = header + LAM_VECTORS_BOOK + *place++ * bytes, *end = piece + bytes;
        int16_t *next = levels + length;
        if (depth == 8u) {
            do {
                *--next = (int8_t)*--end;
            } while (next != levels);
        } else {
            /* One word, the first level lowest. From the highest one down, a shift extends the sign. */
            uint32_t word = 0;
            do {
                word = word << 8 | *--end;
            } while (end != piece);
            word <<= above;
            do {
                *--next = (int16_t)((int32_t)word >> drop);
                word <<= depth;
            } while (next != levels);
        }
        levels += length;
    }
}

/* Reads some places, then writes their pieces: one loop for both would keep more than a core has registers for. */
void lam_vectors_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    const uint8_t *next = stream->next, *header = stream->table;
    if (header == NULL) {
        header = next;
        stream->table = header;
        const uint32_t last = header[1], size = (header[0] & 15u) * (uint32_t)(header[0] >> 4);
        for (stream->parameter = 1; last >> stream->parameter > 0; stream->parameter++) {
        }
        next += LAM_VECTORS_BOOK + (last + 1u) * ((size + 7u) >> 3);
    }
    const uint32_t length = header[0] & 15u, width = stream->parameter, mask = (1u << width) - 1u;
    uint32_t bits = stream->bits, n_bits = stream->n_bits;
    uint8_t places[LAM_VECTORS_AT_ONCE];
    uint32_t count = 1, written = stream->run & 15u;
    places[0] = (uint8_t)(stream->run >> 4);
    while (n > 0) {
        uint32_t n_levels = 0;
        if (written == 0) {
            count = 0;
            do {
                if (n_bits < width) {
                    bits |= (uint32_t)*next++ << n_bits;
                    n_bits += 8u;
                }
                places[count++] = (uint8_t)(bits & mask);
                bits >>= width;
                n_bits -= width;
                n_levels += length;
            } while (n_levels + length <= n && count < LAM_VECTORS_AT_ONCE);
        }
        if (written == 0 && n_levels <= n) {
            lam_vectors_pieces(header, places, count, levels);
            levels += n_levels;
            n -= n_levels;
        } else { /* the call begins or ends inside a piece, or both */
            int16_t part[LAM_VECTORS_LONGEST];
            lam_vectors_pieces(header, places, 1, part);
            for (; n > 0 && written < length; n--) {
                *levels++ = part[written++];
            }
            written = written < length ? written : 0;
        }
    }
    stream->next = next;
    stream->bits = bits;
    stream->n_bits = n_bits;
    stream->run = written == 0 ? 0 : (uint32_t)places[0] << 4 | written;
}
