#include "lam_pool.h"
#include "lam_requant.h"
#include "lam_window.h"

static int32_t lam_avgpool_sum(const uint8_t *x, uint32_t in_w, lam_span rows, lam_span cols)
{
    int32_t sum = 0;
    const uint8_t *row = x + (size_t)rows.first * in_w + cols.first;
    for (uint32_t i = 0; i < rows.n; i++, row += (size_t)rows.step * in_w) {
        for (uint32_t j = 0; j < cols.n; j++) {
            sum += row[(size_t)j * cols.step];
        }
    }
    return sum;
}

void lam_avgpool2d(const lam_avgpool2d_desc *d, const uint8_t *x, uint8_t *y)
{
    const lam_window w = d->window;
    for (uint32_t c = 0; c < w.channels; c++) {
        for (uint32_t i = 0; i < w.out_h; i++) {
            lam_span rows = lam_span_of(i * w.stride_h, w.pad_top, w.kernel_h, w.dilation_h, w.in_h);
            for (uint32_t j = 0; j < w.out_w; j++) {
                lam_span cols = lam_span_of(j * w.stride_w, w.pad_left, w.kernel_w, w.dilation_w, w.in_w);
                uint32_t pixels = rows.n * cols.n;
                int32_t acc = lam_avgpool_sum(x, w.in_w, rows, cols) - (int32_t)pixels * d->in_zero;
                /* A window that misses the image has the sum 0 and any multiplier. */
                uint32_t entry = d->by_count && pixels > 0 ? pixels - 1u : 0u;
                *y++ = lam_requant_apply(lam_requant_at(&d->q, entry), acc);
            }
        }
        x += (size_t)w.in_h * w.in_w;
    }
}
