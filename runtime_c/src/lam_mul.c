#include "lam_elementwise.h"
#include "lam_requant.h"

void lam_mul(const lam_mul_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const lam_requant_one q = lam_requant_at(&d->q, 0);
    const int32_t a_zero = d->a_zero, b_zero = d->b_zero;
    const uint8_t *const end = a + d->n;
    if (q.shift == 32u && q.low == 0 && q.high == 255) { /* two constants: one saturating instruction where there is one */
        while (a != end) {
            const int32_t product = (*a++ - a_zero) * (*b++ - b_zero);
            *y++ = lam_clamp(lam_scale_by_2_32(product, q.multiplier) + q.zero, 0, 255);
        }
        return;
    }
    while (a != end) {
        *y++ = lam_requant_apply(q, (*a++ - a_zero) * (*b++ - b_zero));
    }
}
