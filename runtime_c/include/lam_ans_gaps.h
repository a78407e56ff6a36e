/* Entropy-coded gaps and signs, inside the runtime: lamella/formats/gap_code.py and docs/FORMATS.md explain them. */
#ifndef LAM_ANS_GAPS_H
#define LAM_ANS_GAPS_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Puts the code of the next non-zero level, 2 * gap + sign, into stream->run. */
void lam_ans_gap_next(lam_stream *stream);

/* The code that stream->run holds, less the zeros that earlier calls have taken off its gap. */
static inline uint32_t lam_ans_gap_code(lam_stream *stream)
{
    if (stream->parameter == 0) {
        lam_ans_gap_next(stream);
    }
    return stream->run;
}

/* The next n levels: 0, sign_level[0] for a level above it, sign_level[1] for one below. */
void lam_ans_gap_unpack(lam_stream *stream, int16_t *levels, uint32_t n, const int16_t *sign_level);

#ifdef __cplusplus
}
#endif
#endif
