#include "lam_elementwise_mve.h"
#include "lam_mve.h"

#if defined(__ARM_FEATURE_MVE)

/* The addends have 8 bits and the multipliers 31: two words of 32 bits hold the sum of the products with the upper and
 * with the lower halves of the multipliers. The lower sum's own lower 16 bits cannot change the result, for the rest,
 * rounding included, is a multiple of 2^16. */
typedef struct {
    int32_t a_upper, a_lower, b_upper, b_lower;
    int32x4_t upper, lower; /* what the sums begin with: zero points and rounding */
    int32_t down, zero;     /* down: below zero, for a shift to the right */
    int32x4_t low, high;
} lam_add_halves;

static inline uint32x4_t lam_add_four(const lam_add_halves *h, uint32x4_t a, uint32x4_t b)
{
    const int32x4_t va = vreinterpretq_s32_u32(a), vb = vreinterpretq_s32_u32(b);
    const int32x4_t upper = vmlaq_n_s32(vmlaq_n_s32(h->upper, va, h->a_upper), vb, h->b_upper);
    const int32x4_t lower = vmlaq_n_s32(vmlaq_n_s32(h->lower, va, h->a_lower), vb, h->b_lower);
    const int32x4_t scaled = vshlq_r_s32(vaddq_s32(upper, vshrq_n_s32(lower, 16)), h->down);
    return vreinterpretq_u32_s32(vminq_s32(vmaxq_s32(vaddq_n_s32(scaled, h->zero), h->low), h->high));
}

void lam_add_mve(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    lam_add_halves h;
    h.a_upper = d->a_multiplier >> 16;
    h.a_lower = d->a_multiplier & 0xffff;
    h.b_upper = d->b_multiplier >> 16;
    h.b_lower = d->b_multiplier & 0xffff;
    h.upper = vdupq_n_s32((int32_t)(1u << (d->shift - 17u)) - d->a_zero * h.a_upper - d->b_zero * h.b_upper);
    h.lower = vdupq_n_s32(-d->a_zero * h.a_lower - d->b_zero * h.b_lower);
    h.down = 16 - (int32_t)d->shift;
    h.zero = d->zero;
    h.low = vdupq_n_s32(d->low);
    h.high = vdupq_n_s32(d->high);
    uint32_t n = d->n;
    for (; n >= 4u; n -= 4u, a += 4, b += 4, y += 4) {
        vstrbq_u32(y, lam_add_four(&h, vldrbq_u32(a), vldrbq_u32(b)));
    }
    if (n > 0) {
        const mve_pred16_t first = vctp32q(n);
        vstrbq_p_u32(y, lam_add_four(&h, vldrbq_z_u32(a, first), vldrbq_z_u32(b, first)), first);
    }
}

#endif
