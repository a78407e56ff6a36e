#include "lam_conv2d_mac.h"

/* Four at a time: this loop runs over the whole input of every band. */
static void lam_bytes_copy(void *band, const uint8_t *x, uint32_t n, uint32_t step, size_t other)
{
    uint8_t *to = band;
    (void)other;
    if (step == 1) {
        for (; n >= 4; n -= 4, to += 4, x += 4) {
            to[0] = x[0];
            to[1] = x[1];
            to[2] = x[2];
            to[3] = x[3];
        }
    }
    for (; n > 0; n--, x += step) {
        *to++ = *x;
    }
}

static void lam_bytes_load(const lam_conv2d_shape *s, const lam_mac_band *b, const uint8_t *x, uint32_t top,
                           uint32_t n_rows, void *band)
{
    uint8_t *to = band;
    lam_mac_pad(s, b, s->in_zero * 0x01010101u, band);
    for (uint32_t c = b->channels; c > 0; c--, x += (size_t)s->in_h * s->in_w) {
        lam_mac_copy(s, b, x, top, n_rows, 0, lam_bytes_copy, 1, to);
        to += (size_t)b->rows * b->phases * b->pitch;
    }
}

static void lam_bytes_weave(const lam_conv2d_mac_desc *d, const lam_mac_band *b, const int16_t *levels,
                            const lam_mac_tap *row, uint32_t *to)
{
    const uint32_t kernel_w = d->shape.kernel_w, together = d->together, taps = d->taps;
    const uint32_t rows = b->planes * d->shape.kernel_h;
    if (taps == 1 && b->phases == 1) { /* in the order in which they come */
        for (uint32_t n = rows * kernel_w; n > 0; n--, to += 1u + together) {
            *to = (uint32_t)*levels++;
        }
        return;
    }
    if (taps == 1) {
        for (uint32_t n = rows; n > 0; n--, levels += kernel_w) {
            for (uint32_t i = 0; i < kernel_w; i++, to += 1u + together) {
                *to = (uint32_t)levels[row[i].column];
            }
        }
        return;
    }
    for (uint32_t n = rows * kernel_w / taps; n > 0; n--, levels += taps, to++) {
        to[0] = (uint32_t)levels[0];
        to += together;
        to[0] = (uint32_t)levels[1];
        to[together] = (uint32_t)levels[2];
        to += 2u * together;
        if (taps > 3) {
            to[0] = (uint32_t)levels[3];
            to[together] = (uint32_t)levels[4];
            to += 2u * together;
        }
    }
}

static const lam_mac_layout lam_bytes_layout = {
    1, 1, 1, 0, lam_mac_stream_words, lam_mac_lay, lam_bytes_load, lam_bytes_weave,
};

void lam_conv2d_bytes(const lam_conv2d_mac_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    lam_mac_convolve(d, &lam_bytes_layout, x, y, scratch);
}

size_t lam_conv2d_bytes_scratch(const lam_conv2d_mac_desc *d)
{
    return lam_mac_scratch(d, &lam_bytes_layout);
}
