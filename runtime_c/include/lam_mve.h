/* What the kernels for cores with vectors of integers (Arm's MVE, Helium) share; for the kernels only.
 *
 * Vectors multiply and add bytes with sign only: activations, which have none, are used less 128, and the sums are made
 * good in the bias, which for these kernels is that of the shape plus 128 * the sum of the row's levels. */
#ifndef LAM_MVE_H
#define LAM_MVE_H

#include "lam_requant.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>

#define LAM_MVE_BYTES 16u /* of a vector */

/* For functions around assembly that needs most of the registers: without optimisation, GCC would keep one for itself. */
#define LAM_MVE_NOINLINE __attribute__((noinline))
#if defined(__GNUC__) && !defined(__clang__) && !defined(__OPTIMIZE__)
#define LAM_MVE_CROWDED __attribute__((noinline, optimize("O1")))
#else
#define LAM_MVE_CROWDED LAM_MVE_NOINLINE
#endif

static inline uint32_t lam_mve_least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Requantisation with a shift of 32: VRMULH is the scaling with its rounding. */
static inline int32x4_t lam_mve_scale(int32x4_t acc, int32x4_t multiplier, int32_t zero, int32x4_t low, int32x4_t high)
{
    return vminq_s32(vmaxq_s32(vaddq_n_s32(vrmulhq_s32(acc, multiplier), zero), low), high);
}

/* `vectors` times sixteen of them, for the range 0 .. 255, by narrowing that saturates: the loads take every fourth, two
 * narrowings put every second beside it. Written out, for the compiler runs out of registers here. */
static inline void lam_mve_requant16(int32_t multiplier, int32_t zero, const int32_t *acc, uint32_t vectors, uint8_t *y)
{
    __asm__ volatile("vdup.32 q4, %[multiplier]\n\t"
                     "dls lr, %[vectors]\n"
                     "1:\n\t"
                     "vld40.32 {q0, q1, q2, q3}, [%[acc]]\n\tvld41.32 {q0, q1, q2, q3}, [%[acc]]\n\t"
                     "vld42.32 {q0, q1, q2, q3}, [%[acc]]\n\tvld43.32 {q0, q1, q2, q3}, [%[acc]]!\n\t"
                     "vrmulh.s32 q0, q0, q4\n\tvrmulh.s32 q1, q1, q4\n\t"
                     "vrmulh.s32 q2, q2, q4\n\tvrmulh.s32 q3, q3, q4\n\t"
                     "vadd.i32 q0, q0, %[zero]\n\tvadd.i32 q1, q1, %[zero]\n\t"
                     "vadd.i32 q2, q2, %[zero]\n\tvadd.i32 q3, q3, %[zero]\n\t"
                     "vqmovunb.s32 q0, q0\n\tvqmovunt.s32 q0, q2\n\t"
                     "vqmovunb.s32 q1, q1\n\tvqmovunt.s32 q1, q3\n\t"
                     "vqmovnb.u16 q0, q0\n\tvqmovnt.u16 q0, q1\n\t"
                     "vstrb.8 q0, [%[y]], #16\n\t"
                     "le lr, 1b"
                     : [acc] "+r"(acc), [y] "+r"(y)
                     : [multiplier] "r"(multiplier), [zero] "r"(zero), [vectors] "r"(vectors)
                     : "q0", "q1", "q2", "q3", "q4", "lr", "cc", "memory");
}

/* y[i] = requant(acc[i]) for n of them: shifts below 32. By itself, for it would take the registers of what is frequent. */
static LAM_MVE_NOINLINE void lam_mve_requant_wide(const lam_requant_one *q, const int32_t *acc, uint32_t n, uint8_t *y)
{
    const lam_requant_one one = *q; /* stores to y cannot change it */
    for (; n > 0; n--) {
        *y++ = lam_requant_wide(one, *acc++);
    }
}

/* y[i] = requant(acc[i]) for n of them. */
static inline void lam_mve_requant(const lam_requant_one *q, const int32_t *acc, uint32_t n, uint8_t *y)
{
    if (q->shift != 32u) {
        lam_mve_requant_wide(q, acc, n, y);
        return;
    }
    const lam_requant_one one = *q;
    if (one.low == 0 && one.high == 255 && n >= 16u) { /* nearly always */
        lam_mve_requant16(one.multiplier, one.zero, acc, n / 16u, y);
        acc += n & ~15u;
        y += n & ~15u;
        n &= 15u;
    }
    const int32x4_t multiplier = vdupq_n_s32(one.multiplier), low = vdupq_n_s32(one.low), high = vdupq_n_s32(one.high);
    for (; n >= 4u; n -= 4u, acc += 4, y += 4) {
        const int32x4_t value = lam_mve_scale(vldrwq_s32(acc), multiplier, one.zero, low, high);
        vstrbq_u32(y, vreinterpretq_u32_s32(value));
    }
    if (n > 0) {
        const mve_pred16_t first = vctp32q(n);
        const int32x4_t value = lam_mve_scale(vldrwq_z_s32(acc, first), multiplier, one.zero, low, high);
        vstrbq_p_u32(y, vreinterpretq_u32_s32(value), first);
    }
}

/* y[i] = requant(acc[i]) of n channels from `channel` on. */
static inline void lam_mve_requant_rows(const lam_requant *q, uint32_t channel, uint32_t n, const int32_t *acc,
                                        uint8_t *y)
{
    if (q->shift != NULL) {
        for (uint32_t i = 0; i < n; i++) {
            y[i] = lam_requant_wide(lam_requant_of(q, channel + i), acc[i]);
        }
        return;
    }
    const uint32_t per_channel = q->per_channel;
    const int32_t *multiplier = q->multiplier + (per_channel ? channel : 0u);
    const int32_t zero = q->zero;
    const int32x4_t low = vdupq_n_s32(q->low), high = vdupq_n_s32(q->high);
    int32x4_t scale = vdupq_n_s32(*multiplier);
    for (; n >= 4u; n -= 4u, acc += 4, y += 4) {
        if (per_channel) {
            scale = vldrwq_s32(multiplier);
            multiplier += 4;
        }
        const int32x4_t value = lam_mve_scale(vldrwq_s32(acc), scale, zero, low, high);
        vstrbq_u32(y, vreinterpretq_u32_s32(value));
    }
    if (n > 0) {
        const mve_pred16_t first = vctp32q(n);
        if (per_channel) {
            scale = vldrwq_z_s32(multiplier, first);
        }
        const int32x4_t value = lam_mve_scale(vldrwq_z_s32(acc, first), scale, zero, low, high);
        vstrbq_p_u32(y, vreinterpretq_u32_s32(value), first);
    }
}

#endif
#endif
