#include "lam_ans_gaps.h"

#include "lam_ans.h"

/* Of a stream, `bits` is the coder's state, `n_bits` the probability of another 2^k zeros, of 2^12, and `parameter` the
 * header, 0 as long as it is not read. */
void lam_ans_gap_next(lam_stream *stream)
{
    const uint32_t all = 1u << LAM_ANS_BITS;
    const uint8_t *next = stream->next;
    uint32_t x = stream->bits, more = stream->n_bits, code = 0;
    if (stream->parameter == 0) {
        stream->parameter = *next++;
        x = lam_ans_start(&next);
        more = all / 2u;
    }
    const uint32_t k1 = (stream->parameter & 15u) + 1u, rate = stream->parameter >> 4;
    /* No probability falls below 2^rate - 1 of 2^12: it does not move any more there. */
    for (;;) {
        const uint32_t low = x & (all - 1u);
        x >>= LAM_ANS_BITS;
        if (low >= more) {
            x = lam_ans_refill_once((all - more) * x + low - more, &next);
            more -= more >> rate;
            break;
        }
        x = lam_ans_refill_once(more * x + low, &next);
        more += (all - more) >> rate;
        code += 1u << k1;
    }
    stream->run = code + (x & ((1u << k1) - 1u));
    stream->bits = lam_ans_refill(x >> k1, &next);
    stream->n_bits = more;
    stream->next = next;
}

void lam_ans_gap_unpack(lam_stream *stream, int16_t *levels, uint32_t n, const int16_t *sign_level)
{
    uint32_t code = lam_ans_gap_code(stream);
    for (; n > 0; n--) {
        if (code >= 2u) {
            *levels++ = 0;
            code -= 2u;
        } else {
            *levels++ = sign_level[code];
            lam_ans_gap_next(stream);
            code = stream->run;
        }
    }
    stream->run = code;
}
