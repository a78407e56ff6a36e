/* Requantisation, as lamella/requant.py defines it; for the kernels only.
 *
 * All kernels rely on >> of a negative number being arithmetic and on conversion to a narrower signed type wrapping.
 * C99 leaves both to the implementation; every compiler for the supported cores does so, and the self-test would tell.
 */
#ifndef LAM_REQUANT_H
#define LAM_REQUANT_H

#include "lam.h"

/* Cores without a 32 x 32 -> 64 bit multiplication: the compiler would call a library function for each pixel. */
#ifndef LAM_NO_LONG_MULTIPLY
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define LAM_NO_LONG_MULTIPLY 1
#else
#define LAM_NO_LONG_MULTIPLY 0
#endif
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
    /* Most accumulators have 16 bits: then two multiplications do, and nothing overflows. */
    if ((int16_t)acc == acc) {
        return (acc * (multiplier >> 16) + (acc * (multiplier & 0xffff) >> 16) + 0x8000) >> 16;
    }
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

/* Shifts below 32 belong to scales of one half and more, so the result may leave int32_t. */
static inline uint8_t lam_requant_wide(lam_requant_one q, int32_t acc)
{
    int64_t value = (((int64_t)acc * q.multiplier + ((int64_t)1 << (q.shift - 1u))) >> q.shift) + q.zero;
    value = value < q.low ? q.low : value;
    return (uint8_t)(value > q.high ? q.high : value);
}

static inline uint8_t lam_requant_apply(lam_requant_one q, int32_t acc)
{
    if (q.shift != 32u) {
        return lam_requant_wide(q, acc);
    }
    return lam_clamp(lam_scale_by_2_32(acc, q.multiplier) + q.zero, q.low, q.high);
}

#endif
