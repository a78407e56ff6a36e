#include "lam_float.h"

/* To the next position; steps over axes that have come to their end. */
static const float *lam_float_next(const float *x, uint32_t *at, uint32_t axes, const uint32_t *shape,
                                   const uint32_t *step)
{
    for (uint32_t k = axes; k-- > 0;) {
        x += step[k];
        if (++at[k] < shape[k]) {
            break;
        }
        x -= step[k] * shape[k];
        at[k] = 0;
    }
    return x;
}

void lam_float_reduce(const lam_float_reduce_desc *d, const uint8_t *const *x, uint8_t *y)
{
    const float *from = (const float *)(const void *)x[0];
    float *const to = (float *)(void *)y;
    uint32_t at[LAM_FLOAT_AXES] = {0};

    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t inner_at[LAM_FLOAT_AXES] = {0};
        const float *value = from;
        float sum = d->start;
        for (uint32_t j = 0; j < d->inner_n; j++) {
            sum = j == 0 && d->from_first ? *value : d->function(sum, *value);
            value = lam_float_next(value, inner_at, d->inner_axes, d->inner_shape, d->inner_step);
        }
        to[i] = sum / d->divisor;
        from = lam_float_next(from, at, d->axes, d->shape, d->step);
    }
}
