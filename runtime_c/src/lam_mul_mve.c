#include "lam_elementwise_mve.h"
#include "lam_mve.h"

#if defined(__ARM_FEATURE_MVE)

typedef struct {
    int32_t a_less, b_less, zero;
    int32x4_t scale, low, high;
} lam_mul_task;

static inline uint32x4_t lam_mul_four(const lam_mul_task *t, uint32x4_t a, uint32x4_t b)
{
    const int32x4_t va = vaddq_n_s32(vreinterpretq_s32_u32(a), t->a_less);
    const int32x4_t vb = vaddq_n_s32(vreinterpretq_s32_u32(b), t->b_less);
    return vreinterpretq_u32_s32(lam_mve_scale(vmulq_s32(va, vb), t->scale, t->zero, t->low, t->high));
}

void lam_mul_mve(const lam_mul_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const lam_requant_one q = lam_requant_at(&d->q, 0);
    lam_mul_task t;
    t.a_less = -d->a_zero;
    t.b_less = -d->b_zero;
    t.zero = q.zero;
    t.scale = vdupq_n_s32(q.multiplier);
    t.low = vdupq_n_s32(q.low);
    t.high = vdupq_n_s32(q.high);
    uint32_t n = d->n;
    for (; n >= 4u; n -= 4u, a += 4, b += 4, y += 4) {
        vstrbq_u32(y, lam_mul_four(&t, vldrbq_u32(a), vldrbq_u32(b)));
    }
    if (n > 0) {
        const mve_pred16_t first = vctp32q(n);
        vstrbq_p_u32(y, lam_mul_four(&t, vldrbq_z_u32(a, first), vldrbq_z_u32(b, first)), first);
    }
}

#endif
