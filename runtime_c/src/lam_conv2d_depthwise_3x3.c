#include "lam_conv2d_depthwise_tile.h"

static void lam_depthwise_3x3_stride1(const lam_depthwise_channel *t, const uint16_t *band, uint32_t rows, uint8_t *y)
{
    lam_depthwise_rows(t, band, rows, y, 3, 1);
}

static void lam_depthwise_3x3_stride2(const lam_depthwise_channel *t, const uint16_t *band, uint32_t rows, uint8_t *y)
{
    lam_depthwise_rows(t, band, rows, y, 3, 2);
}

void lam_conv2d_depthwise_3x3(const lam_conv2d_depthwise_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    lam_depthwise_run(d, x, y, scratch, d->shape.stride_w == 1 ? lam_depthwise_3x3_stride1 : lam_depthwise_3x3_stride2);
}
