#include "lam_format_int8.h"

void lam_int8_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    const uint8_t *next = stream->next;
    for (uint32_t i = 0; i < n; i++) {
        levels[i] = (int8_t)next[i];
    }
    stream->next = next + n;
}
