/* What the dense kernels share that compute several rows at a time; for them only.
 *
 * In most of them the levels of a block of two or four rows lie in units: a few columns of all its rows, in whole
 * words, packed so that the inner loop multiplies what it loads with as little unpacking as possible
 * (docs/FORMATS.md). Rows and columns that fill the last block or unit hold level 0. Where levels are stored with an
 * offset, the sum of the inputs takes it back, once a row.
 */
#ifndef LAM_DENSE_BLOCKS_H
#define LAM_DENSE_BLOCKS_H

#include "lam_dense.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "these kernels read bytes and half words of words by their place: little endian cores only"
#endif

/* Rows from one requantisation to the next: a multiple of every block. */
#define LAM_DENSE_GROUP 16u

/* Requantises rows r .. r + n - 1 from their sums, bias included. y: of row r. */
void lam_dense_store(const lam_dense_shape *s, uint32_t r, uint32_t n, const int32_t *sum, uint8_t *y);

/* Adds the products of `units` units of a block with x to the sum of each row. x: as `prepare` left it. next: words to
 * the next block, for a function that computes two blocks; 0 if there is none: it may compute the same one twice. */
typedef void lam_dense_dot_fn(const uint32_t *w, const void *x, uint32_t units, int32_t *sums, uint32_t next);

/* A vector that the inner loop can read: followed by zeros up to `padded` columns. */
typedef struct {
    const void *x;
    uint32_t sum; /* of all inputs */
} lam_dense_input;

typedef lam_dense_input lam_dense_prepare_fn(const uint8_t *x, uint32_t cols, uint32_t padded, void *scratch);

/* What a format and its inner loop need. */
typedef struct {
    lam_dense_dot_fn *dot;
    lam_dense_prepare_fn *prepare;
    uint8_t rows;         /* of a block: 2 or 4 */
    uint8_t blocks;       /* that one call of dot computes: 1 or 2 */
    uint8_t cols, words;  /* of a unit */
    uint8_t x_bytes;      /* of an element that dot reads */
    uint8_t period;       /* 2 or 4: in the last of so many rows .. */
    int16_t offset, last; /* .. sums contain last * the sum of the inputs, in the others offset * that */
} lam_dense_layout;

void lam_dense_blocks(const lam_dense_blocks_desc *d, const lam_dense_layout *layout, const uint8_t *x, uint8_t *y,
                      void *scratch);

/* Elements of 16 bits, for inner loops that multiply two at once. scratch: 2 * padded bytes. */
lam_dense_prepare_fn lam_dense_widened;

/* The input as it lies, or if it must be padded a copy of it. scratch: padded bytes, none if padded == cols. */
lam_dense_prepare_fn lam_dense_padded;

/* Sums are exact modulo 2^32 while `offset` is in them, and fit in the end. */
static inline void lam_dense_add(int32_t *sum, uint32_t more)
{
    *sum = (int32_t)((uint32_t)*sum + more);
}

/* Hints to compilers that else lose their way in long bodies of loops. KEEP: a constant belongs into a register (a mask
 * and a shift are then one instruction on Thumb-2). STEP: load nothing from below in advance; as many inputs and
 * factors as a body has would not fit into registers. STEP16: the same for cores with 16 registers. */
#if defined(__GNUC__)
#define LAM_DENSE_KEEP(value) __asm__("" : "+r"(value))
#define LAM_DENSE_STEP() __asm__ volatile("" : : : "memory")
#else
#define LAM_DENSE_KEEP(value) (void)0
#define LAM_DENSE_STEP() (void)0
#endif
#if defined(__GNUC__) && defined(__thumb2__)
#define LAM_DENSE_STEP16(a, b, x) __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(x))
#elif defined(__arm__)
#define LAM_DENSE_STEP16(a, b, x) LAM_DENSE_STEP()
#else
#define LAM_DENSE_STEP16(a, b, x) (void)0
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP) && !defined(LAM_NO_SIMD)
#define LAM_DENSE_DSP 1
#define LAM_DENSE_NAKED __attribute__((naked))
#define LAM_DENSE_ARGUMENT __attribute__((unused))
#else
#define LAM_DENSE_DSP 0
#endif

#endif
