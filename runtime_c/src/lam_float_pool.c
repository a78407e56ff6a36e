#include "lam_float.h"

/* One window that begins at a row and a column, which before the image count modulo 2^32. */
static float lam_float_window(const lam_float_pool_desc *d, const float *x, uint32_t top, uint32_t left)
{
    float found = 0.0f;
    uint32_t inside = 0;
    uint32_t counted = 0;

    for (uint32_t u = 0; u < d->kernel_h; u++) {
        const uint32_t row = top + u * d->dilation_h;
        for (uint32_t v = 0; v < d->kernel_w; v++) {
            const uint32_t col = left + v * d->dilation_w;
            counted += row + d->pad_top < d->in_h + d->pad_top + d->pad_bottom &&
                       col + d->pad_left < d->in_w + d->pad_left + d->pad_right;
            if (row < d->in_h && col < d->in_w) {
                const float value = x[row * d->in_w + col];
                if (inside++ == 0) {
                    found = value;
                } else {
                    found = d->average ? found + value : found < value ? value : found;
                }
            }
        }
    }
    return d->average ? found / (float)(d->count_pads ? counted : inside) : found;
}

void lam_float_pool(const lam_float_pool_desc *d, const uint8_t *const *x, uint8_t *y)
{
    const float *from = (const float *)(const void *)x[0];
    float *to = (float *)(void *)y;

    for (uint32_t p = 0; p < d->planes; p++) {
        for (uint32_t i = 0; i < d->out_h; i++) {
            for (uint32_t j = 0; j < d->out_w; j++) {
                *to++ = lam_float_window(d, from, i * d->stride_h - d->pad_top, j * d->stride_w - d->pad_left);
            }
        }
        from += d->in_h * d->in_w;
    }
}
