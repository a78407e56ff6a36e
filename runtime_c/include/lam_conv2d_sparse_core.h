/* What the sparse convolutions have in common; for those kernels only. A kernel is the common part with inner loops of
 * its own, so that a firmware links those of its core and no others. */
#ifndef LAM_CONV2D_SPARSE_CORE_H
#define LAM_CONV2D_SPARSE_CORE_H

#include "lam_conv2d_sparse_band.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "the sparse convolutions take the first of several pixels from the lowest bits of a word: little endian only"
#endif

/* Not inlined: each loop needs all registers of a small core for itself. */
#if defined(__GNUC__)
#define LAM_SPARSE_APART static __attribute__((noinline))
#else
#define LAM_SPARSE_APART static
#endif

/* Ends a list of offsets: the only one that overflows when it is added to an address. */
#define LAM_SPARSE_END 0xffffffffu

/* A lane of 16 bits can take so many pixels of 255 of one sign. */
#define LAM_SPARSE_DEPTH 128u

/* One output channel's share of the work.
 * A word holds two sums of 16 bits. They start from `start`, minus the pixels of the first list, plus those of the
 * second; only the final sums need to stay within 16 bits. The members' places are known to code in assembly. */
typedef struct {
    uint32_t step;                /* bytes from one tile to the next; a whole number of words */
    const uint32_t *minus, *plus; /* offsets in bytes, whole words */
    uint32_t start;               /* the bias in both halves, as the kernel's arithmetic has it */
    int32_t multiplier;           /* 1 .. 2^31-1 */
    int32_t round;                /* 2^15 + zero * 2^16 */
} lam_sparse_sum;

typedef struct {
    lam_band_format band;
    uint32_t carries; /* 1: the halves of a word are low + 2^16 * high with both taken as signed; 0: apart */
    /* y[i] = (multiplier * sum[i] / 2^16 + round) / 2^16 brought into 0 .. 255, both quotients rounded down, for n
     * tiles of pixels from x on. */
    void (*tiles)(const lam_sparse_sum *s, const uint8_t *x, uint8_t *y, uint32_t n);
    /* The sums themselves, 8 words a tile. */
    void (*sums)(const lam_sparse_sum *s, const uint8_t *x, uint32_t *sums, uint32_t n);
    /* The same as `tiles` for n maxima over 2 x 2 sums each, of two rows. Both begin at a multiple of 4 pixels. */
    void (*pool_2x2)(const lam_sparse_sum *s, const uint32_t *top, const uint32_t *bottom, uint8_t *y, uint32_t n);
    /* acc[i] += sum[i], modulo 2^32, of one tile. */
    void (*add_tile)(const uint32_t *sums, int32_t *acc);
} lam_sparse_core;

void lam_sparse_convolve(const lam_conv2d_sparse_desc *d, const lam_sparse_core *core, const uint8_t *x, uint8_t *y,
                         void *scratch);
size_t lam_sparse_scratch(const lam_conv2d_sparse_desc *d, const lam_sparse_core *core);

#endif
