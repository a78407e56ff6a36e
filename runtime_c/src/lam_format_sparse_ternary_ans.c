#include "lam_format_sparse_ternary_ans.h"

#include "lam_ans_gaps.h"

void lam_sparse_ternary_ans_unpack(lam_stream *stream, int16_t *levels, uint32_t n)
{
    static const int16_t sign_level[2] = {1, -1};
    lam_ans_gap_unpack(stream, levels, n, sign_level);
}

void lam_sparse_ternary_ans_positions(lam_stream *stream, uint32_t cols, uint16_t *index, uint32_t capacity,
                                      uint32_t *plus, uint32_t *minus)
{
    uint16_t *next_plus = index, *last_minus = index + capacity;
    uint32_t code = lam_ans_gap_code(stream), at = code >> 1;
    while (at < cols) {
        if (code & 1u) {
            *--last_minus = (uint16_t)at;
        } else {
            *next_plus++ = (uint16_t)at;
        }
        lam_ans_gap_next(stream);
        code = stream->run;
        at += (code >> 1) + 1u;
    }
    stream->run = (at - cols) << 1 | (code & 1u);
    *plus = (uint32_t)(next_plus - index);
    *minus = (uint32_t)(index + capacity - last_minus);
}
