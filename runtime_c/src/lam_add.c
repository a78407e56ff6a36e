#include "lam_elementwise.h"
#include "lam_requant.h"

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

#if defined(__arm__) && !LAM_NO_LONG_MULTIPLY
/* Any other scales and signs: with the inputs moved up, for the multipliers have no room, the result is the upper word. */
static void lam_add_any(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const int32_t a_multiplier = d->a_multiplier, b_multiplier = d->b_multiplier;
    const uint32_t up = 32u - d->shift;
    const int64_t zeros = (int64_t)d->a_zero * a_multiplier + (int64_t)d->b_zero * b_multiplier;
    const uint64_t start = ((uint64_t)d->zero << 32) + (1u << 31) - ((uint64_t)zeros << up);
    const int32_t low = d->low, high = d->high;
    const uint8_t *const end = a + d->n;
    while (a != end) {
        const int64_t sum = (int64_t)start + (int64_t)(int32_t)((uint32_t)*a++ << up) * a_multiplier;
        *y++ = lam_clamp((int32_t)((sum + (int64_t)(int32_t)((uint32_t)*b++ << up) * b_multiplier) >> 32), low, high);
    }
}
#else
/* Any other scales and signs. The addends have 9 bits and the multipliers 31, so the sum has 41, which two words of
 * 16 and 25 bits hold. The low word's lower 16 bits cannot change the result: the rest of the sum, rounding included, is
 * a multiple of 2^16. At shift 17 the rounding is exactly one unit of the high word. */
static void lam_add_any(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const lam_add_desc local = *d;
    const int32_t a_high = local.a_multiplier >> 16, a_low = local.a_multiplier & 0xffff;
    const int32_t b_high = local.b_multiplier >> 16, b_low = local.b_multiplier & 0xffff;
    const int32_t round = (int32_t)(1u << (local.shift - 17u));
    for (uint32_t i = 0; i < local.n; i++) {
        const int32_t va = a[i] - local.a_zero, vb = b[i] - local.b_zero;
        const int32_t sum = va * a_high + vb * b_high + ((va * a_low + vb * b_low) >> 16) + round;
        y[i] = lam_clamp(local.zero + (sum >> (local.shift - 16u)), local.low, local.high);
    }
}
#endif

/* Shifts below 17, which belong to scales above 2^14: nowhere seen. */
static void lam_add_rare(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const lam_add_desc local = *d;
    for (uint32_t i = 0; i < local.n; i++) {
        int64_t sum = (int64_t)(a[i] - local.a_zero) * local.a_multiplier + (int64_t)(b[i] - local.b_zero) * local.b_multiplier;
        sum = (sum + ((int64_t)1 << (local.shift - 1u))) >> local.shift;
        const int32_t value = sum > 255 ? 255 : sum < -255 ? -255 : (int32_t)sum;
        y[i] = lam_clamp(local.zero + value, local.low, local.high);
    }
}

void lam_add(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const uint32_t one = d->shift < 32u ? 1u << d->shift : 0x80000000u;
    if ((uint32_t)d->a_multiplier < one && (uint32_t)d->b_multiplier < one) {
        lam_add_below_one(d, a, b, y);
    } else if (d->shift >= 17u) {
        lam_add_any(d, a, b, y);
    } else {
        lam_add_rare(d, a, b, y);
    }
}
