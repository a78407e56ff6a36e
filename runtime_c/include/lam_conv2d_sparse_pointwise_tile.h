/* What the driver of the pointwise convolution and its inner loops agree on; for that kernel only.
 *
 * Pixels: those of a tile, widened to 16 bits, tile after tile of the input channels. Of four neighbouring pixels one
 * word has the first and the third, the next word the second and the fourth: so two masks widen them.
 * A word of sums is upper * 2^16 + lower, one addition for both: what the lower one borrows meanwhile it gives back.
 *
 * A list says, channel after channel, what is to be done; `place` is where the pixels of an input channel are.
 * In C: the places to subtract, 0, the word from which the sums start, the places to add, 0, words of arithmetic; 1
 * behind the last channel.
 * In assembly there is no such loop: each part of the code ends with a jump to the address that is next in the list.
 * Parts: the first place to subtract, places to add (those of up to eight one behind the other, entered where as many
 * are left as there shall be), sums negated and started, or only started, and so on (lam_pointwise_code).
 */
#ifndef LAM_CONV2D_SPARSE_POINTWISE_TILE_H
#define LAM_CONV2D_SPARSE_POINTWISE_TILE_H

#include "lam_conv2d_sparse_pointwise.h"
#include "lam_requant.h"
#include "lam_simd.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "the sparse convolutions take the first of several pixels from the lowest bits of a word: little endian only"
#endif

#define LAM_POINTWISE_STOP 0u /* ends the places of one sign */
#define LAM_POINTWISE_LAST 1u /* ends the list */

/* The core whose loop is in assembly, if any. */
#define LAM_POINTWISE_C 0
#define LAM_POINTWISE_ARMV6M 1
#define LAM_POINTWISE_ARMV7M 2
#define LAM_POINTWISE_RISCV 3
#if !defined(__GNUC__) || defined(LAM_NO_ASSEMBLY)
#define LAM_POINTWISE_CORE LAM_POINTWISE_C
#elif defined(__thumb2__)
#define LAM_POINTWISE_CORE LAM_POINTWISE_ARMV7M
#elif defined(__thumb__)
#define LAM_POINTWISE_CORE LAM_POINTWISE_ARMV6M
#elif defined(__riscv_mul) && __riscv_xlen == 32 && !defined(__riscv_32e)
#define LAM_POINTWISE_CORE LAM_POINTWISE_RISCV
#else
#define LAM_POINTWISE_CORE LAM_POINTWISE_C
#endif

/* Whether sums are scaled in 32 bits, 2^16 * sum + fraction, instead of 16. */
#if LAM_POINTWISE_CORE == LAM_POINTWISE_ARMV7M && !LAM_HAS_DSP
#define LAM_POINTWISE_LONG_LANES 1
#else
#define LAM_POINTWISE_LONG_LANES 0
#endif

/* Whether words may lie at any address. */
#if defined(__ARM_FEATURE_UNALIGNED) || defined(__x86_64__) || defined(__aarch64__)
#define LAM_POINTWISE_ANY_ADDRESS 1
#else
#define LAM_POINTWISE_ANY_ADDRESS 0
#endif

#if LAM_POINTWISE_CORE != LAM_POINTWISE_C

#define LAM_POINTWISE_STEPS 8u

/* Addresses of the parts, with what follows them in the list. */
typedef struct {
    uint32_t first;      /* a place: takes its pixels as sums */
    uint32_t negate;     /* the word from which sums start: less the sums until now */
    uint32_t start;      /* the same word: sums without any pixel subtracted */
    uint32_t put;        /* two words of arithmetic, three of the short form: requantises and stores */
    uint32_t last;       /* nothing: returns */
    uint32_t steps_end;  /* n places: begin n steps before here */
    uint32_t step_bytes; /* of code */
} lam_pointwise_code;

extern const lam_pointwise_code lam_pointwise_code_of_core;

#endif

/* A place: the address of a tile; where addresses have more than 32 bits, its distance from two words before the first
 * tile, so that it is none of the marks. */
static inline uint32_t lam_pointwise_place(const uint32_t *pixels, uint32_t words)
{
#if UINTPTR_MAX == UINT32_MAX
    return (uint32_t)(uintptr_t)(pixels + words);
#else
    (void)pixels;
    return words + 2u;
#endif
}

static inline const uint32_t *lam_pointwise_at(const uint32_t *pixels, uint32_t place)
{
#if UINTPTR_MAX == UINT32_MAX
    (void)pixels;
    return (const uint32_t *)(uintptr_t)place;
#else
    return pixels + (place - 2u);
#endif
}

#endif
