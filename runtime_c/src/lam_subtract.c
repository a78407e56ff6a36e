#include "lam_elementwise.h"
#include "lam_requant.h"

/* With the multipliers moved up to a shift of 32, the result is the upper word of
 *   start + a * up_a - b * up_b,   start: zero points, zero and rounding, once for all.
 * What wraps around on the way comes back. */
void lam_subtract(const lam_add_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const uint32_t up = 32u - d->shift;
    const uint32_t up_a = (uint32_t)d->a_multiplier << up, up_b = (0u - (uint32_t)d->b_multiplier) << up;
    const uint64_t start = ((uint64_t)d->zero << 32) + (1u << 31) - (uint64_t)d->a_zero * up_a + (uint64_t)d->b_zero * up_b;
    const int32_t low = d->low, high = d->high;
    const uint8_t *const end = a + d->n;
#if LAM_NO_LONG_MULTIPLY
    /* In units of 2^16: what the lower halves give is below 2^26, and only its part from 2^16 on counts. */
    const int32_t a_high = (int32_t)(up_a >> 16), a_low = (int32_t)(up_a & 0xffffu);
    const int32_t b_high = (int32_t)(up_b >> 16), b_low = (int32_t)(up_b & 0xffffu);
    const int32_t start_high = (int32_t)(start >> 16), start_low = (int32_t)(start & 0xffffu);
    while (a != end) {
        const int32_t va = *a++, vb = *b++;
        const int32_t sum = va * a_high - vb * b_high + start_high + ((va * a_low - vb * b_low + start_low) >> 16);
        *y++ = lam_clamp(sum >> 16, low, high);
    }
#else
    while (a != end) {
        const uint64_t sum = start + (uint64_t)*a++ * up_a;
        *y++ = lam_clamp((int32_t)((sum - (uint64_t)*b++ * up_b) >> 32), low, high);
    }
#endif
}
