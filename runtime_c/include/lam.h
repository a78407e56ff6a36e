/* Lamella runtime: what every kernel shares.
 *
 * C99, no allocation, no state, no floating point. Activations are uint8_t, planar (channel, row, column);
 * the real value of x is scale * (x - zero). Weights are integer levels, accumulators int32_t: the generator has
 * proved from the actual weights that no partial sum leaves int32_t, whatever the inputs.
 * Every buffer belongs to the caller. Scratch is aligned to LAM_SCRATCH_ALIGN and its content is lost.
 */
#ifndef LAM_H
#define LAM_H

#include <stddef.h>
#include <stdint.h>

/* Generated code names the API it was written for and refuses to compile with another. */
#define LAM_RUNTIME_API 1

#define LAM_SCRATCH_ALIGN 4u

#ifdef __cplusplus
extern "C" {
#endif

enum lam_status {
    LAM_OK = 0,
    LAM_ERROR_ARGUMENT = 1, /* a null or misaligned pointer */
    LAM_ERROR_SELFTEST = 2  /* an output byte differs from the recorded one */
};

/* From an accumulator to an activation, in exact integer arithmetic with one rounding, half up:
 *   y = clamp(zero + floor((acc * multiplier + 2^(shift-1)) / 2^shift), low, high) */
typedef struct {
    const int32_t *multiplier; /* 0 .. 2^31-1; one, or one per output channel */
    const uint8_t *shift;      /* 1 .. 32, counted as multiplier, which is at least 2^30 where it is below 32;
                                * NULL: 32 everywhere */
    uint8_t per_channel;       /* 0: multiplier[0] serves all channels */
    uint8_t zero;              /* zero point of y */
    uint8_t low, high;         /* range of y, activation function included */
} lam_requant;

/* Entry i of a list of biases: int16_t where all fit (narrow), else int32_t. */
static inline int32_t lam_bias_at(const void *bias, uint8_t narrow, uint32_t i)
{
    return narrow ? ((const int16_t *)bias)[i] : ((const int32_t *)bias)[i];
}

/* Reads the levels of a layer one after the other, in row order. lam_stream_of starts it. */
typedef struct {
    const uint8_t *next; /* first byte not yet read */
    uint32_t bits;       /* bits read from memory and not yet used */
    uint32_t n_bits;     /* how many of them */
    uint32_t run;        /* state of the format, e.g. zeros still to come */
    uint32_t parameter;  /* header of the stream, once read */
    const void *table;   /* part of the header that stays in memory, e.g. a codebook */
} lam_stream;

/* A stream at the first level of the packed ones. */
static inline lam_stream lam_stream_of(const void *packed)
{
    lam_stream stream = {NULL, 0, 0, 0, 0, NULL};
    stream.next = packed;
    return stream;
}

/* Writes the next n levels of the stream. One such function per weight format. */
typedef void lam_unpack_fn(lam_stream *stream, int16_t *levels, uint32_t n);

/* Writes the columns of the non-zero levels in the next row of `cols` levels, each level -1, 0 or +1:
 *   columns of +1: index[0 .. *plus), ascending;
 *   columns of -1: index[capacity-1], index[capacity-2], .. index[capacity-*minus], ascending.
 * *plus + *minus <= capacity. One such function per sparse format. */
typedef void lam_positions_fn(lam_stream *stream, uint32_t cols, uint16_t *index, uint32_t capacity, uint32_t *plus,
                              uint32_t *minus);

#ifdef __cplusplus
}
#endif
#endif
