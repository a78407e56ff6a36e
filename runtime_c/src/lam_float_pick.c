#include "lam_float.h"

void lam_float_pick(const lam_float_pick_desc *d, const uint8_t *const *x, uint8_t *y)
{
    const float *const from = (const float *)(const void *)x[0];
    float *const to = (float *)(void *)y;
    uint32_t at[LAM_FLOAT_AXES] = {0};

    for (uint32_t i = 0; i < d->n; i++) {
        const int32_t *axis = d->at;
        int32_t place = 0;
        for (uint32_t k = 0; k < d->axes; k++) {
            const int32_t step = axis[at[k]];
            place = place < 0 || step < 0 ? -1 : place + step;
            axis += d->shape[k];
        }
        to[i] = place < 0 ? d->fill : from[place];
        for (uint32_t k = d->axes; k-- > 0;) {
            if (++at[k] < d->shape[k]) {
                break;
            }
            at[k] = 0;
        }
    }
}
