#include "lam_format_int16.h"

#include <string.h>

/* The array is declared as int16_t, so its bytes are in the order of the core. */
void lam_int16_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    memcpy(levels, stream->next, 2u * n);
    stream->next += 2u * n;
}
