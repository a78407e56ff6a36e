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

void lam_add(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const lam_add_desc local = *d;
    for (uint32_t i = 0; i < local.n; i++) {
        int32_t sum = lam_add_scaled(&local, a[i] - local.a_zero, b[i] - local.b_zero);
        y[i] = lam_clamp(local.zero + sum, local.low, local.high);
    }
}
