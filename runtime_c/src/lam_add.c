#include "lam_elementwise.h"
#include "lam_requant.h"

/* The addends have 9 bits and the multipliers 31, so the sum has 41: two words of 16 and 25 bits hold it, and no core
 * needs a long multiplication. Shifts below 17 (scales above 2^14) take the plain way. */
static int32_t lam_add_scaled(const lam_add_desc *d, int32_t a, int32_t b)
{
    const uint32_t shift = d->shift;
    if (shift < 17u) {
        int64_t sum = (int64_t)a * d->a_multiplier + (int64_t)b * d->b_multiplier;
        sum = (sum + ((int64_t)1 << (shift - 1u))) >> shift;
        return sum > 255 ? 255 : sum < -255 ? -255 : (int32_t)sum;
    }
    int32_t high = a * (d->a_multiplier >> 16) + b * (d->b_multiplier >> 16);
    int32_t low = a * (d->a_multiplier & 0xffff) + b * (d->b_multiplier & 0xffff);
    /* The low word's lower 16 bits cannot change the result: the rest of the sum, rounding included, is a multiple
     * of 2^16. At shift 17 the rounding is exactly one unit of the high word. */
    return (high + (low >> 16) + (int32_t)(1u << (shift - 17u))) >> (shift - 16u);
}

/* Scales below one: with the multipliers moved up to a shift of 32, the result is the upper word of
 *   start + a * a_multiplier + b * b_multiplier,   start: zero points, zero and rounding, once for all.
 * What wraps around on the way comes back. */
typedef struct {
    uint32_t a_multiplier, b_multiplier;
    uint64_t start;
} lam_add_plan;

static lam_add_plan lam_add_plan_of(const lam_add_desc *d)
{
    const uint32_t up = 32u - d->shift;
    lam_add_plan plan;
    plan.a_multiplier = (uint32_t)d->a_multiplier << up;
    plan.b_multiplier = (uint32_t)d->b_multiplier << up;
    plan.start = ((uint64_t)d->zero << 32) + (1u << 31) - (uint64_t)d->a_zero * plan.a_multiplier -
                 (uint64_t)d->b_zero * plan.b_multiplier;
    return plan;
}

#if LAM_NO_LONG_MULTIPLY
/* In units of 2^16: what the lower halves give is below 2^26, and only its part from 2^16 on counts. */
static void lam_add_below_one(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const lam_add_plan plan = lam_add_plan_of(d);
    const int32_t a_high = (int32_t)(plan.a_multiplier >> 16), a_low = (int32_t)(plan.a_multiplier & 0xffffu);
    const int32_t b_high = (int32_t)(plan.b_multiplier >> 16), b_low = (int32_t)(plan.b_multiplier & 0xffffu);
    const int32_t high = (int32_t)(plan.start >> 16), low = (int32_t)(plan.start & 0xffffu);
    const uint8_t *const end = a + d->n;
    while (a != end) {
        const int32_t va = *a++, vb = *b++;
        const int32_t sum = va * a_high + vb * b_high + high + ((va * a_low + vb * b_low + low) >> 16);
        *y++ = lam_clamp(sum >> 16, d->low, d->high);
    }
}
#else
/* Two multiplications that accumulate in 64 bits. */
static void lam_add_below_one(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const lam_add_plan plan = lam_add_plan_of(d);
    const int32_t low = d->low, high = d->high;
    const uint8_t *const end = a + d->n;
    if (low == 0 && high == 255) { /* two constants: one saturating instruction where there is one */
        while (a != end) {
            const uint64_t sum = plan.start + (uint64_t)*a++ * plan.a_multiplier;
            *y++ = lam_clamp((int32_t)((sum + (uint64_t)*b++ * plan.b_multiplier) >> 32), 0, 255);
        }
        return;
    }
    while (a != end) {
        const uint64_t sum = plan.start + (uint64_t)*a++ * plan.a_multiplier;
        *y++ = lam_clamp((int32_t)((sum + (uint64_t)*b++ * plan.b_multiplier) >> 32), low, high);
    }
}
#endif

void lam_add(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const uint32_t one = d->shift < 32u ? 1u << d->shift : 0x80000000u;
    if ((uint32_t)d->a_multiplier < one && (uint32_t)d->b_multiplier < one) {
        lam_add_below_one(d, a, b, y);
        return;
    }
    const lam_add_desc local = *d;
    for (uint32_t i = 0; i < local.n; i++) {
        int32_t sum = lam_add_scaled(&local, a[i] - local.a_zero, b[i] - local.b_zero);
        y[i] = lam_clamp(local.zero + sum, local.low, local.high);
    }
}
