#include "lam_float.h"

void lam_float_unary(const lam_float_unary_desc *d, const uint8_t *const *x, uint8_t *y)
{
    const float *const from = (const float *)(const void *)x[0];
    float *const to = (float *)(void *)y;

    for (uint32_t i = 0; i < d->n; i++) {
        to[i] = d->function(from[i], d->a, d->b);
    }
}

void lam_float_binary(const lam_float_binary_desc *d, const uint8_t *const *x, uint8_t *y)
{
    const float *a = d->a != NULL ? d->a : (const float *)(const void *)*x++;
    const float *b = d->b != NULL ? d->b : (const float *)(const void *)*x;
    float *const to = (float *)(void *)y;
    uint32_t at[LAM_FLOAT_AXES] = {0};

    for (uint32_t i = 0; i < d->n; i++) {
        to[i] = d->function(*a, *b);
        for (uint32_t k = d->axes; k-- > 0;) {
            a += d->a_step[k];
            b += d->b_step[k];
            if (++at[k] < d->shape[k]) {
                break;
            }
            a -= d->a_step[k] * d->shape[k];
            b -= d->b_step[k] * d->shape[k];
            at[k] = 0;
        }
    }
}

void lam_float_quantize(const lam_float_scale_desc *d, const uint8_t *const *x, uint8_t *y)
{
    const float *const from = (const float *)(const void *)x[0];

    for (uint32_t i = 0; i < d->n; i++) {
        const float level = lam_float_round(from[i] / d->scale, 0.0f, 0.0f) + (float)d->zero;
        y[i] = level >= 255.0f ? 255 : level > 0.0f ? (uint8_t)level : 0;
    }
}

void lam_float_dequantize(const lam_float_scale_desc *d, const uint8_t *const *x, uint8_t *y)
{
    const uint8_t *const from = x[0];
    float *const to = (float *)(void *)y;

    for (uint32_t i = 0; i < d->n; i++) {
        to[i] = (float)(from[i] - d->zero) * d->scale;
    }
}
