/* The inner loop of the pointwise convolution in C, for that kernel only. Who includes it says for how many words of
 * sums, 8 or 16, and whether scales have the short form. */
#ifndef LAM_CONV2D_SPARSE_POINTWISE_LOOP_H
#define LAM_CONV2D_SPARSE_POINTWISE_LOOP_H

#include "lam_conv2d_sparse_pointwise_tile.h"

#if !defined(LAM_POINTWISE_WORDS)
#define LAM_POINTWISE_WORDS 8
#endif
#if !defined(LAM_POINTWISE_SHORT)
#define LAM_POINTWISE_SHORT 0
#endif

/* Loops written out: so each sum is a register of its own, at any level of optimisation. */
#define LAM_POINTWISE_EACH_8(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#if LAM_POINTWISE_WORDS == 16
#define LAM_POINTWISE_EACH(DO)                                                                                        \
    LAM_POINTWISE_EACH_8(DO) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#else
#define LAM_POINTWISE_EACH(DO) LAM_POINTWISE_EACH_8(DO)
#endif

#define LAM_POINTWISE_LOAD(i) sum[i] = p[i];
#define LAM_POINTWISE_ADD(i) sum[i] += p[i];
#define LAM_POINTWISE_NEGATE(i) sum[i] = start - sum[i];
#define LAM_POINTWISE_START(i) sum[i] = start;
#define LAM_POINTWISE_KEEP(i) kept[i] = sum[i];
#define LAM_POINTWISE_PUT(i)                                                                                          \
    if (i % 2 == 0) {                                                                                                 \
        lam_pointwise_clear(y + 2 * (i));                                                                             \
    }                                                                                                                 \
    lam_pointwise_put(sum[i], y + 4 * (i / 2) + i % 2, scale);

static inline void lam_pointwise_clear(uint8_t *y)
{
#if defined(__GNUC__) && !LAM_POINTWISE_ANY_ADDRESS
    y = __builtin_assume_aligned(y, 4);
#endif
    lam_store32(y, 0);
}

/* y of s >= 0; scale: the words of arithmetic. */
static inline uint8_t lam_pointwise_byte(uint32_t s, const uint32_t *scale)
{
#if LAM_POINTWISE_SHORT
    const uint32_t value = (s * scale[1] + scale[0]) >> scale[2];
    return value > 255u ? 255u : (uint8_t)value;
#else
#if LAM_NO_LONG_MULTIPLY
    const uint32_t scaled = s * (scale[1] >> 16) + (s * (scale[1] & 0xffffu) >> 16) + scale[0];
#else
    const uint32_t scaled = (uint32_t)((uint64_t)(s << 16) * scale[1] >> 32) + scale[0];
#endif
    return scaled > 0xffffffu ? 255u : (uint8_t)(scaled >> 16);
#endif
}

/* Two pixels, the second one behind that of the next word. y is 0 there already: most often nothing is to be done, for
 * after a ReLU every other pixel is 0. The lower lane is 2^15 too large, so the upper one never lends it anything, and
 * its sign is bit 15 the other way round. */
static inline void lam_pointwise_put(uint32_t sums, uint8_t *y, const uint32_t *scale)
{
    if (sums & 0x8000u) {
        y[0] = lam_pointwise_byte(sums & 0x7fffu, scale);
    }
    if ((int32_t)sums >= 0) {
        y[2] = lam_pointwise_byte(sums >> 16, scale);
    }
}

static inline void lam_pointwise_run(const uint32_t *list, const uint32_t *pixels, uint8_t *y, uint32_t pitch)
{
    (void)pixels;
    for (uint32_t place = *list++; place != LAM_POINTWISE_LAST; place = *list++, y += pitch) {
        uint32_t sum[LAM_POINTWISE_WORDS];
        if (place != LAM_POINTWISE_STOP) {
            const uint32_t *p = lam_pointwise_at(pixels, place);
            LAM_POINTWISE_EACH(LAM_POINTWISE_LOAD)
            for (place = *list++; place != LAM_POINTWISE_STOP; place = *list++) {
                p = lam_pointwise_at(pixels, place);
                LAM_POINTWISE_EACH(LAM_POINTWISE_ADD)
            }
            const uint32_t start = *list++;
            LAM_POINTWISE_EACH(LAM_POINTWISE_NEGATE)
        } else {
            const uint32_t start = *list++;
            LAM_POINTWISE_EACH(LAM_POINTWISE_START)
        }
        for (place = *list++; place != LAM_POINTWISE_STOP; place = *list++) {
            const uint32_t *const p = lam_pointwise_at(pixels, place);
            LAM_POINTWISE_EACH(LAM_POINTWISE_ADD)
        }
        const uint32_t *const scale = list;
        list += LAM_POINTWISE_SHORT ? 3 : 2;
#if defined(__OPTIMIZE_SIZE__)
        uint32_t kept[LAM_POINTWISE_WORDS];
        LAM_POINTWISE_EACH(LAM_POINTWISE_KEEP)
        for (uint32_t i = 0; i < LAM_POINTWISE_WORDS; i += 2) {
            uint8_t *const four = y + 2u * i;
            lam_pointwise_clear(four);
            lam_pointwise_put(kept[i], four, scale);
            lam_pointwise_put(kept[i + 1u], four + 1, scale);
        }
#else
        LAM_POINTWISE_EACH(LAM_POINTWISE_PUT)
#endif
    }
}

#endif
