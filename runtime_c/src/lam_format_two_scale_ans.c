#include "lam_format_two_scale_ans.h"

#include "lam_ans_gaps.h"

/* A level in the header: two bytes, the low one first. */
static int16_t lam_two_scale_ans_level(const uint8_t *p)
{
    return (int16_t)(uint16_t)(p[0] | (uint32_t)p[1] << 8);
}

void lam_two_scale_ans_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    if (stream->table == NULL) {
        stream->table = stream->next;
        stream->next += 4;
    }
    const uint8_t *header = stream->table;
    const int16_t sign_level[2] = {lam_two_scale_ans_level(header + 2), lam_two_scale_ans_level(header)};
    lam_ans_gap_unpack(stream, levels, n, sign_level);
}
