/* Requantisation, as lamella/requant.py defines it; for the kernels only.
 *
 * All kernels rely on >> of a negative number being arithmetic and on conversion to a narrower signed type wrapping.
 * C99 leaves both to the implementation; every compiler for the supported cores does so, and the self-test would tell.
 */
#ifndef LAM_REQUANT_H
#define LAM_REQUANT_H

#include "lam.h"
#include "lam_simd.h"

/* Cores without a 32 x 32 -> 64 bit multiplication: the compiler would call a library function for each pixel. */
#ifndef LAM_NO_LONG_MULTIPLY
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define LAM_NO_LONG_MULTIPLY 1
#else
#define LAM_NO_LONG_MULTIPLY 0
#endif
#endif

/* 1: models may round as TensorFlow Lite Micro does. */
#ifndef LAM_AS_TFLITE
#define LAM_AS_TFLITE 0
#endif

/* One channel's share of a lam_requant, in registers: stores to y cannot change it. */
typedef struct {
    int32_t multiplier;
    uint32_t shift;
    int32_t zero, low, high;
} lam_requant_one;

/* The entry `index` of q's lists. */
static inline lam_requant_one lam_requant_at(const lam_requant *q, uint32_t index)
{
    lam_requant_one one;
    one.multiplier = q->multiplier[index];
    one.shift = q->shift ? q->shift[index] : 32u;
    one.zero = q->zero;
    one.low = q->low;
    one.high = q->high;
    return one;
}

static inline lam_requant_one lam_requant_of(const lam_requant *q, uint32_t channel)
{
    return lam_requant_at(q, q->per_channel ? channel : 0u);
}

/* floor((acc * multiplier + 2^31) / 2^32), multiplier in 0 .. 2^31-1. The result stays within +-2^30. */
static inline int32_t lam_scale_by_2_32(int32_t acc, int32_t multiplier)
{
#if LAM_NO_LONG_MULTIPLY
#ifndef __OPTIMIZE_SIZE__
    /* Most accumulators have 16 bits: then two multiplications do, and nothing overflows. */
    if ((int16_t)acc == acc) {
        return (acc * (multiplier >> 16) + (acc * (multiplier & 0xffff) >> 16) + 0x8000) >> 16;
    }
#endif
    /* Schoolbook in halves. `middle` and `cross` count 2^16; their sum could overflow, so only its carry is taken. */
    uint32_t low = (uint32_t)acc & 0xffffu, m_low = (uint32_t)multiplier & 0xffffu;
    int32_t high = acc >> 16, m_high = multiplier >> 16;
    uint32_t middle = low * (uint32_t)m_high + (low * m_low >> 16) + 0x8000u;
    int32_t cross = high * (int32_t)m_low;
    uint32_t carry = ((middle & 0xffffu) + ((uint32_t)cross & 0xffffu)) >> 16;
    return high * m_high + (cross >> 16) + (int32_t)((middle >> 16) + carry);
#else
    return (int32_t)(((int64_t)acc * multiplier + ((int64_t)1 << 31)) >> 32);
#endif
}

static inline uint8_t lam_clamp(int32_t value, int32_t low, int32_t high)
{
    value = value < low ? low : value;
    return (uint8_t)(value > high ? high : value);
}

#if LAM_AS_TFLITE
#define LAM_TWICE 64u /* and more: the shift to the right is what is above */
#define LAM_AWAY 255u

/* The rounding of TensorFlow Lite Micro: half up to 2^31, then half away from zero; or the mean of `multiplier` integers
 * with sign, half away from zero. The accumulator stays within +-2^30. */
static inline uint8_t lam_requant_as_tflite(lam_requant_one q, int32_t acc)
{
    int32_t value;
    if (q.shift == LAM_AWAY) {
        const int32_t sum = acc + q.multiplier * (q.zero - 128), half = q.multiplier / 2;
        value = 128 + (sum < 0 ? sum - half : sum + half) / q.multiplier;
    } else {
        const uint32_t right = q.shift - LAM_TWICE;
        const int32_t x = lam_scale_by_2_32((int32_t)((uint32_t)acc << 1), q.multiplier);
        value = q.zero + ((x + (int32_t)(1u << (right - 1u)) - (x < 0)) >> right);
    }
    return lam_clamp(value, q.low, q.high);
}
#endif

/* Shifts below 32 belong to scales of one half and more, and so to multipliers of 2^30 and more. The accumulator times
 * 2^(32 - shift) gives the same number with a shift of 32; one too large for that has its result far outside any range. */
static inline uint8_t lam_requant_wide(lam_requant_one q, int32_t acc)
{
#if LAM_AS_TFLITE
    if (q.shift >= LAM_TWICE) {
        return lam_requant_as_tflite(q, acc);
    }
#endif
    const uint32_t up = 32u - q.shift;
    const int32_t limit = INT32_MAX >> up;
    if (acc > limit) {
        return (uint8_t)q.high;
    }
    if (acc < -limit) {
        return (uint8_t)q.low;
    }
    return lam_clamp(lam_scale_by_2_32((int32_t)((uint32_t)acc << up), q.multiplier) + q.zero, q.low, q.high);
}

static inline uint8_t lam_requant_apply(lam_requant_one q, int32_t acc)
{
    if (q.shift != 32u) {
        return lam_requant_wide(q, acc);
    }
    return lam_clamp(lam_scale_by_2_32(acc, q.multiplier) + q.zero, q.low, q.high);
}

/* Requantisation of accumulators that are known to fit in 16 bits, with a shift of 32 and the range 0 .. 255:
 *   floor((floor(acc * multiplier / 2^16) + round) / 2^16), round = zero * 2^16 + 2^15,
 * which is the same number: what the inner division drops is less than one, and round is whole. Nothing overflows. */
static inline int32_t lam_round_of(int32_t zero)
{
    return (int32_t)((uint32_t)zero << 16 | 0x8000u);
}

/* high: the accumulator times 2^16. */
static inline uint8_t lam_requant_short(int32_t high, int32_t multiplier, int32_t round)
{
#if LAM_NO_LONG_MULTIPLY
    const int32_t acc = high >> 16;
    const int32_t scaled = acc * (multiplier >> 16) + round + (acc * (multiplier & 0xffff) >> 16);
    const int32_t value = scaled >> 16;
    return (uint8_t)((uint32_t)value <= 255u ? value : ~(value >> 31));
#else
    return (uint8_t)lam_usat8_high16((int32_t)((int64_t)high * multiplier >> 32) + round);
#endif
}

/* The lower, and the upper, of two accumulators in a word low + 2^16 * high, both with sign: 2^16 times that. */
static inline int32_t lam_requant_low16(uint32_t word)
{
    return (int32_t)(word << 16);
}

static inline int32_t lam_requant_high16(uint32_t word)
{
    return (int32_t)(word - (uint32_t)lam_low16(word));
}

#endif
