#include "lam_elementwise.h"
#include "lam_requant.h"

void lam_rescale(const lam_rescale_desc *d, const uint8_t *x, uint8_t *y)
{
    const lam_requant_one q = lam_requant_at(&d->q, 0);
    const uint32_t n = d->n;
    const int32_t in_zero = d->in_zero;
    for (uint32_t i = 0; i < n; i++) {
        y[i] = lam_requant_apply(q, x[i] - in_zero);
    }
}
