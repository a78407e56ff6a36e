#include "lam_pool.h"
#include "lam_window.h"

static uint8_t lam_maxpool_window(const uint8_t *x, uint32_t in_w, lam_span rows, lam_span cols)
{
    uint8_t largest = 0;
    const uint8_t *row = x + (size_t)rows.first * in_w + cols.first;
    for (uint32_t i = 0; i < rows.n; i++, row += (size_t)rows.step * in_w) {
        for (uint32_t j = 0; j < cols.n; j++) {
            const uint8_t pixel = row[(size_t)j * cols.step];
            largest = pixel > largest ? pixel : largest;
        }
    }
    return largest;
}

void lam_maxpool2d(const lam_maxpool2d_desc *d, const uint8_t *x, uint8_t *y)
{
    const lam_window w = d->window;
    for (uint32_t c = 0; c < w.channels; c++) {
        for (uint32_t i = 0; i < w.out_h; i++) {
            lam_span rows = lam_span_of(i * w.stride_h, w.pad_top, w.kernel_h, w.dilation_h, w.in_h);
            for (uint32_t j = 0; j < w.out_w; j++) {
                lam_span cols = lam_span_of(j * w.stride_w, w.pad_left, w.kernel_w, w.dilation_w, w.in_w);
                *y++ = lam_maxpool_window(x, w.in_w, rows, cols);
            }
        }
        x += (size_t)w.in_h * w.in_w;
    }
}
