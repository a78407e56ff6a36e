/* Mel-frequency cepstral coefficients of sound, in integers: samples in, a row of a network's input out.
 *
 * lamella/mfcc/integer.py is the same arithmetic in Python, and every byte is equal. Tables come from `lamella features`.
 * State and scratch belong to the caller; scratch may lie in a model's arena, and its content is lost.
 */
#ifndef LAM_MFCC_H
#define LAM_MFCC_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* N = 2^log2_frame samples are looked at together. All fractions are rounded half up.
 * An energy is a sum of weight * amplitude^2 over bins. Amplitudes are twice those of the spectrum of N samples under a
 * Hann window, with 13 - log2_frame fraction bits; weights have weight_bits. */
typedef struct {
    uint8_t log2_frame;     /* 5 .. 11 */
    uint8_t filters;        /* even, 2 .. 64 */
    uint8_t coefficients;   /* 1 .. filters */
    uint8_t weight_bits;    /* 8 .. 14, and at most 65536 >> weight_bits bins between two corners */
    uint16_t hop;           /* samples from one frame to the next, 1 .. N */
    uint16_t first_bin;     /* of the spectrum, above the lowest corner of a filter; at least 1 */
    int32_t log_floor;      /* log2(floor), 14 fraction bits */
    uint64_t floor;         /* added to the energy of each filter; below 2^62 */
    const uint16_t *sine;   /* N/4 + 1: of 2 pi k / N, 15 fraction bits */
    const uint8_t *bins;    /* filters + 1: bins between a corner and the next; between three there is one at least */
    const uint16_t *rising; /* one a bin: weight in the filter that begins at the corner below, less than 1; in the filter
                             * before it the weight is 1 minus that */
    const uint16_t *log2;   /* 33: log2(1 + k / 32), 14 fraction bits */
    const int16_t *cosine;  /* coefficients x filters/2: the first half of each row of the transform, the second is its
                             * mirror image, in odd rows with the other sign; the normalisation is in it */
    const int32_t *offset;  /* coefficients: added to each sum, 1/2 and the zero point included */
    const uint8_t *shift;   /* coefficients, 1 .. 30: fraction bits of cosine and offset */
} lam_mfcc_desc;

/* Samples of state: what the next frame shares with the last. */
#define LAM_MFCC_STATE(log2_frame, hop) ((1u << (log2_frame)) - (hop))
/* Words of scratch. */
#define LAM_MFCC_SCRATCH(log2_frame) (1u << (log2_frame))

/* Takes the next `hop` samples and writes the coefficients of the frame that ends with them.
 * state: LAM_MFCC_STATE samples, all 0 before the first call: then silence went before. */
void lam_mfcc_push(const lam_mfcc_desc *d, int16_t *state, const int16_t *samples, int32_t *scratch, uint8_t *features);

#ifdef __cplusplus
}
#endif
#endif
