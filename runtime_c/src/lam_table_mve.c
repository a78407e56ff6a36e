#include "lam_elementwise_mve.h"
#include "lam_mve.h"

#if defined(__ARM_FEATURE_MVE)

void lam_table_mve(const lam_table_desc *d, const uint8_t *x, uint8_t *y)
{
    for (uint32_t i = 0; i < d->n; i += LAM_MVE_BYTES) {
        const mve_pred16_t there = vctp8q(d->n - i);
        const uint8x16_t places = vldrbq_z_u8(x + i, there);
        vstrbq_p_u8(y + i, vldrbq_gather_offset_z_u8(d->table, places, there), there);
    }
}

#endif
