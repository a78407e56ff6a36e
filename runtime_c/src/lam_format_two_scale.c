#include "lam_format_two_scale.h"

#include "lam_format_ternary.h"

/* A level in the header: two bytes, the low one first. */
static uint16_t lam_two_scale_level(const uint8_t *p)
{
    return (uint16_t)(p[0] | (uint32_t)p[1] << 8);
}

void lam_two_scale_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    if (stream->table == NULL) {
        stream->table = stream->next;
        stream->next += 4;
    }
    const uint8_t *header = stream->table;
    const uint16_t value[3] = {lam_two_scale_level(header), 0, lam_two_scale_level(header + 2)};
    lam_ternary_pair pair[9], *next = pair;
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t j = 0; j < 3; j++, next++) {
            next->first = value[i];
            next->second = value[j];
        }
    }
    lam_ternary_unpack_as(stream, levels, n, pair);
}
