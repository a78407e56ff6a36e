#include "lam_format_sparse_ternary_bytes.h"

/* State of the stream: `parameter` is 1 where lists have no zeros, else 2; 0 before the first row. */
enum { LAM_LISTS_NEW = 0, LAM_LISTS_OF_LEVELS = 1 };

/* A number in groups of 7 bits, lowest first. */
static uint32_t lam_list_length(const uint8_t **next)
{
    uint32_t group, length = 0, place = 0;
    do {
        group = *(*next)++;
        length |= (group & 127u) << place;
        place += 7u;
    } while (group & 128u);
    return length;
}

/* Writes the columns of a list of `length` bytes: upwards from out (way 1), or downwards from below out (way -1).
 * Returns the end of what it wrote. */
static inline uint16_t *lam_list_read(const uint8_t *list, uint32_t length, int only_levels, uint16_t *out, int way)
{
    const uint8_t *end = list + length;
    const int first = way < 0 ? -1 : 0;
    uint32_t at = 0xffffffffu;
    if (only_levels) {
        for (; end - list >= 4; list += 4, out += 4 * way) {
            out[first] = (uint16_t)(at += list[0]);
            out[first + way] = (uint16_t)(at += list[1]);
            out[first + 2 * way] = (uint16_t)(at += list[2]);
            out[first + 3 * way] = (uint16_t)(at += list[3]);
        }
    }
    while (list != end) {
        const uint32_t step = *list++;
        if (step == 0) {
            at += 255u;
        } else {
            at += step;
            out[first] = (uint16_t)at;
            out += way;
        }
    }
    return out;
}

void lam_sparse_ternary_bytes_positions(lam_stream *stream, uint32_t cols, uint16_t *index, uint32_t capacity,
                                        uint32_t *plus, uint32_t *minus)
{
    (void)cols;
    const uint8_t *next = stream->next;
    if (stream->parameter == LAM_LISTS_NEW) {
        stream->parameter = LAM_LISTS_OF_LEVELS + *next++;
    }
    const int only_levels = stream->parameter == LAM_LISTS_OF_LEVELS;
    const uint32_t plus_length = lam_list_length(&next), minus_length = lam_list_length(&next);
    *plus = (uint32_t)(lam_list_read(next, plus_length, only_levels, index, 1) - index);
    next += plus_length;
    uint16_t *end = index + capacity;
    *minus = (uint32_t)(end - lam_list_read(next, minus_length, only_levels, end, -1));
    stream->next = next + minus_length;
}
