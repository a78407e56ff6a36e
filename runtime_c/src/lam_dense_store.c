#include "lam_dense_blocks.h"
#include "lam_requant.h"

static inline int32_t lam_dense_scaled(int32_t acc, int32_t multiplier, int32_t zero)
{
#if LAM_HAS_DSP
    return lam_smmlar(acc, multiplier, zero);
#elif !LAM_NO_LONG_MULTIPLY && !defined(__arm__)
    const int64_t product = (int64_t)acc * multiplier; /* rounded by its bit 31: no carry to compute */
    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31) + zero;
#else
    return lam_scale_by_2_32(acc, multiplier) + zero;
#endif
}

void lam_dense_store(const lam_dense_shape *s, uint32_t r, uint32_t n, const int32_t *sum, uint8_t *y)
{
    if (s->q.shift) {
        for (uint32_t i = 0; i < n; i++) {
            y[i] = lam_requant_wide(lam_requant_of(&s->q, r + i), sum[i]);
        }
        return;
    }
    const uint32_t step = s->q.per_channel;
    const int32_t *multiplier = s->q.multiplier + (step ? r : 0u);
    const int32_t zero = s->q.zero, low = s->q.low, high = s->q.high;
    const uint8_t *const end = y + n;
    if (low == 0 && high == 255) { /* a clamp in one instruction, on most cores */
        if (n & 1u) {
            *y++ = (uint8_t)lam_usat8(lam_dense_scaled(*sum++, *multiplier, zero));
            multiplier += step;
        }
        while (y != end) {
            y[0] = (uint8_t)lam_usat8(lam_dense_scaled(sum[0], multiplier[0], zero));
            y[1] = (uint8_t)lam_usat8(lam_dense_scaled(sum[1], multiplier[step], zero));
            sum += 2;
            multiplier += 2 * step;
            y += 2;
        }
        return;
    }
    for (; y != end; multiplier += step) {
        *y++ = lam_clamp(lam_dense_scaled(*sum++, *multiplier, zero), low, high);
    }
}
