/* The inner loops of lam_conv2d_sparse: a tile of output pixels, summed in registers over a list of offsets.
 * For that kernel only; a file of their own, so that a core can have others.
 *
 * A register holds two neighbouring pixels, 16 bits each, and one 32-bit addition serves both. The sum of a word is
 * low + 65536 * high with both taken as signed, so low = the lower half as int16_t and high = (word - low) / 65536 as
 * long as either stays within 16 bits: 128 pixels of at most 255 on each side make 32640.
 */
#ifndef LAM_CONV2D_SPARSE_TILE_H
#define LAM_CONV2D_SPARSE_TILE_H

#include "lam.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "lam_conv2d_sparse takes the first of two pixels from the lower half of a word: little endian cores only"
#endif

/* Whether a load of two pixels may start at any of them. If not, odd starts are read from the band's second copy. */
#ifndef LAM_UNALIGNED_LOADS
#if defined(__ARM_FEATURE_UNALIGNED) || defined(__x86_64__) || defined(__i386__) || defined(__riscv_misaligned_fast)
#define LAM_UNALIGNED_LOADS 1
#else
#define LAM_UNALIGNED_LOADS 0
#endif
#endif

/* Armv6-M adds into high registers too, but compilers do not know how to make use of it. */
#ifndef LAM_TILE_ARMV6M
#if defined(__GNUC__) && (defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__))
#define LAM_TILE_ARMV6M 1
#else
#define LAM_TILE_ARMV6M 0
#endif
#endif

/* The largest number of words in a tile: 8 where a core has registers for 8 sums, otherwise 4. */
#ifndef LAM_TILE_WORDS
#define LAM_TILE_WORDS 8u
#endif

/* Positions of one sign that a word can take. */
#define LAM_TILE_DEPTH 128u

/* One output channel's share of the work. Offsets count pixels, from the first one of the tile. */
typedef struct {
    const uint16_t *plus, *minus; /* of the levels +1 and -1 */
    uint32_t n_plus, n_minus;     /* 0 .. LAM_TILE_DEPTH */
    uint32_t pitch; /* pixels from one row of the tile to the next */
    int32_t bias;
    uint32_t acc_pitch; /* accumulators from one row of the tile to the next */
} lam_tile;

/* acc[row][column] = bias + sum of x[plus[..] + row * pitch + column] - sum of x[minus[..] + row * pitch + column]
 * for as many rows, and twice as many columns, as the name says. Unless LAM_UNALIGNED_LOADS, x and offsets are even. */
void lam_tile_1x8(const lam_tile *t, const uint16_t *x, int32_t *acc);
void lam_tile_2x4(const lam_tile *t, const uint16_t *x, int32_t *acc);
void lam_tile_1x4(const lam_tile *t, const uint16_t *x, int32_t *acc);
void lam_tile_4x2(const lam_tile *t, const uint16_t *x, int32_t *acc);
void lam_tile_2x2(const lam_tile *t, const uint16_t *x, int32_t *acc);
void lam_tile_1x2(const lam_tile *t, const uint16_t *x, int32_t *acc);

#endif
