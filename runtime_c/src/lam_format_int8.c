#include "lam_format_int8.h"

void lam_int8_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    const int8_t *next = (const void *)stream->next;
    for (; n >= 8; n -= 8, next += 8, levels += 8) {
        levels[0] = next[0];
        levels[1] = next[1];
        levels[2] = next[2];
        levels[3] = next[3];
        levels[4] = next[4];
        levels[5] = next[5];
        levels[6] = next[6];
        levels[7] = next[7];
    }
    for (; n > 0; n--) {
        *levels++ = *next++;
    }
    stream->next = (const void *)next;
}
