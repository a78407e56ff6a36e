#include "lam_conv2d_mac.h"

/* Pixels of 255 times levels that add up to 128 make 32640: half a word holds it, with either sign. */
#define LAM_LANES_SUM 128

static void lam_lanes_copy(void *band, const uint8_t *x, uint32_t n, uint32_t step, size_t other)
{
    uint16_t *to = band;
    (void)other;
    if (step == 1) { /* four at a time: this loop runs over the whole input of every band */
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

static void lam_lanes_load(const lam_conv2d_shape *s, const lam_mac_band *b, const uint8_t *x, uint32_t top,
                           uint32_t n_rows, void *band)
{
    uint16_t *to = band;
    lam_mac_pad(s, b, s->in_zero | (uint32_t)s->in_zero << 16, band);
    for (uint32_t c = b->channels; c > 0; c--, x += (size_t)s->in_h * s->in_w) {
        lam_mac_copy(s, b, x, top, n_rows, 0, lam_lanes_copy, 2, to);
        if (b->copy != 0) {
            lam_mac_copy(s, b, x, top, n_rows, s->stride_w, lam_lanes_copy, 2, to + b->copy);
        }
        to += (size_t)b->rows * b->phases * b->pitch;
    }
}

/* Words of the table that stands in front of the stream: two offsets each. */
static uint32_t lam_lanes_table(const lam_conv2d_mac_desc *d, const lam_mac_band *b)
{
    return (b->channels * d->shape.kernel_h * d->shape.kernel_w + 1u) / 2u;
}

static size_t lam_lanes_words(const lam_conv2d_mac_desc *d, const lam_mac_band *b)
{
    return (size_t)d->capacity + lam_lanes_table(d, b);
}

/* The offset of each level's pixels in the band, counted in words; in the order of the taps in the band. */
static void lam_lanes_lay(const lam_conv2d_mac_desc *d, const lam_mac_band *b, const lam_mac_tap *row,
                          uint32_t *stream)
{
    const lam_conv2d_shape *s = &d->shape;
    uint16_t *table = (uint16_t *)(void *)(stream + d->capacity);
    uint32_t plane = 0;
    for (uint32_t c = b->planes; c > 0; c--, plane += b->rows * b->phases * b->pitch) {
        uint32_t start = plane;
        for (uint32_t u = s->kernel_h; u > 0; u--, start += s->dilation_h * b->phases * b->pitch) {
            for (uint32_t i = 0; i < s->kernel_w; i++) {
                table[row[i].column] = (uint16_t)((start + row[i].place) / 2u);
            }
            table += s->kernel_w;
        }
    }
}

/* One line for each level that is not zero, in parts. */
static void lam_lanes_weave(const lam_conv2d_mac_desc *d, const lam_mac_band *b, const int16_t *levels,
                            const lam_mac_tap *row, uint32_t *to)
{
    const uint16_t *table = (const uint16_t *)(const void *)(--to + d->capacity);
    const int16_t *end = levels + b->channels * d->shape.kernel_h * d->shape.kernel_w;
    int32_t plus = LAM_LANES_SUM, minus = LAM_LANES_SUM; /* that this part can still take */
    (void)row;
    for (; levels != end; table++) {
        const int32_t level = *levels++;
        if (level == 0) {
            continue;
        }
        if (level > 0) {
            plus -= level;
        } else {
            minus += level;
        }
        if (plus < 0 || minus < 0) {
            to[0] = LAM_MAC_END;
            to[1] = 1; /* more to come */
            to += 2;
            plus = LAM_LANES_SUM - (level > 0 ? level : 0);
            minus = LAM_LANES_SUM + (level < 0 ? level : 0);
        }
        to[0] = *table * 4u;
        to[1] = (uint32_t)level;
        to += 2;
    }
    to[0] = LAM_MAC_END;
    to[1] = 0;
}

static const lam_mac_layout lam_lanes_layout = {
    2, 1, 1, 1, lam_lanes_words, lam_lanes_lay, lam_lanes_load, lam_lanes_weave,
};

void lam_conv2d_lanes(const lam_conv2d_mac_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    lam_mac_convolve(d, &lam_lanes_layout, x, y, scratch);
}

size_t lam_conv2d_lanes_scratch(const lam_conv2d_mac_desc *d)
{
    return lam_mac_scratch(d, &lam_lanes_layout);
}
