#include "lam_elementwise.h"
#include "lam_requant.h"

void lam_prelu(const lam_prelu_desc *d, const uint8_t *x, uint8_t *y)
{
    const lam_requant_one above = lam_requant_at(&d->q, 0);
    const int32_t zero = d->in_zero;
    for (uint32_t t = 0; t < d->times; t++) {
        for (uint32_t k = 0; k < d->count; k++) {
            const lam_requant_one below = lam_requant_of(&d->below, k);
            const int32_t slope = d->slopes[k];
            const uint8_t *const end = x + d->inner;
            while (x != end) {
                const int32_t value = *x++ - zero;
                *y++ = value >= 0 ? lam_requant_apply(above, value) : lam_requant_apply(below, value * slope);
            }
        }
    }
}
