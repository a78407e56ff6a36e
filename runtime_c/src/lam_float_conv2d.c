#include "lam_float.h"

/* Where a pixel of y begins to read in x: rows and columns before the image count modulo 2^32. */
typedef struct {
    uint32_t row, col;
} lam_float_corner;

static float lam_float_one(const lam_float_conv2d_desc *d, const float *x, const float *w, float sum,
                           lam_float_corner at)
{
    for (uint32_t c = 0; c < d->in_c / d->groups; c++) {
        for (uint32_t u = 0; u < d->kernel_h; u++) {
            const uint32_t row = at.row + u * d->dilation_h;
            for (uint32_t v = 0; v < d->kernel_w; v++) {
                const uint32_t col = at.col + v * d->dilation_w;
                if (row < d->in_h && col < d->in_w) {
                    sum += x[row * d->in_w + col] * w[u * d->kernel_w + v];
                }
            }
        }
        x += d->in_h * d->in_w;
        w += d->kernel_h * d->kernel_w;
    }
    return sum;
}

void lam_float_conv2d(const lam_float_conv2d_desc *d, const uint8_t *const *x, uint8_t *y)
{
    const float *image = (const float *)(const void *)*x++;
    const float *const weights = d->weights != NULL ? d->weights : (const float *)(const void *)*x++;
    const float *const bias = d->bias != NULL ? d->bias : d->has_bias ? (const float *)(const void *)*x : NULL;
    const uint32_t plane = d->in_h * d->in_w;
    const uint32_t in_group = d->in_c / d->groups;
    const uint32_t out_group = d->out_c / d->groups;
    float *to = (float *)(void *)y;

    for (uint32_t n = 0; n < d->images; n++) {
        for (uint32_t c = 0; c < d->out_c; c++) {
            const float *const from = image + (size_t)(c / out_group) * in_group * plane;
            const float *const w = weights + (size_t)c * in_group * d->kernel_h * d->kernel_w;
            const float start = bias != NULL ? bias[c] : 0.0f;
            for (uint32_t i = 0; i < d->out_h; i++) {
                for (uint32_t j = 0; j < d->out_w; j++) {
                    const lam_float_corner at = {i * d->stride_h - d->pad_top, j * d->stride_w - d->pad_left};
                    *to++ = lam_float_one(d, from, w, start, at);
                }
            }
        }
        image += (size_t)d->in_c * plane;
    }
}
