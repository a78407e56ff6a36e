#include "lam_float.h"

void lam_float_matmul(const lam_float_matmul_desc *d, const uint8_t *const *x, uint8_t *y)
{
    const float *const a = d->a != NULL ? d->a : (const float *)(const void *)*x++;
    const float *const b = d->b != NULL ? d->b : (const float *)(const void *)*x;
    float *to = (float *)(void *)y;

    for (uint32_t n = 0; n < d->batches; n++) {
        for (uint32_t i = 0; i < d->rows; i++) {
            for (uint32_t j = 0; j < d->cols; j++) {
                const float *left = a + d->a_at[n] + i * d->a_row;
                const float *right = b + d->b_at[n] + j * d->b_col;
                float sum = 0.0f;
                for (uint32_t k = 0; k < d->inner; k++) {
                    sum += *left * *right;
                    left += d->a_inner;
                    right += d->b_inner;
                }
                *to++ = sum;
            }
        }
    }
}
