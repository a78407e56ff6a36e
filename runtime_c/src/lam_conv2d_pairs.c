#include "lam_conv2d_mac.h"
#include "lam_simd.h"

/* n pixels of one channel, `step` apart, into every second half of a word. */
static void lam_pairs_copy(void *to, const uint8_t *x, uint32_t n, uint32_t step, size_t other)
{
    uint16_t *half = to;
    (void)other;
    for (; n > 0; n--, x += step, half += 2) {
        *half = *x;
    }
}

/* n neighbouring pixels of two channels, `other` bytes apart: those of the first one with those of the second. Four at
 * a time, for this loop runs over the whole input of every band. */
static void lam_pairs_zip(void *to, const uint8_t *x, uint32_t n, uint32_t step, size_t other)
{
    uint32_t *word = to;
    (void)step;
    for (; n >= 4; n -= 4, word += 4, x += 4) {
        const uint32_t a = lam_load32(x), b = lam_load32(x + other);
        const uint32_t a02 = lam_uxtb16(a), a13 = lam_uxtb16_ror8(a);
        const uint32_t b02 = lam_uxtb16(b), b13 = lam_uxtb16_ror8(b);
        word[0] = lam_pack16(a02, b02);
        word[1] = lam_pack16(a13, b13);
        word[2] = lam_high_halves((int32_t)a02, (int32_t)b02);
        word[3] = lam_high_halves((int32_t)a13, (int32_t)b13);
    }
    for (; n > 0; n--, x++) {
        *word++ = x[0] | (uint32_t)x[other] << 16;
    }
}

/* Channels 2 p and 2 p + 1 in plane p; with a last odd channel, zeros, whatever its weights are. */
static void lam_pairs_load(const lam_conv2d_shape *s, const lam_mac_band *b, const uint8_t *x, uint32_t top,
                           uint32_t n_rows, void *band)
{
    const size_t channel = (size_t)s->in_h * s->in_w;
    const size_t plane = (size_t)b->rows * b->phases * b->pitch;
    uint32_t *to = band;
    lam_mac_pad(s, b, s->in_zero | (uint32_t)s->in_zero << 16, to);
    for (uint32_t left = b->channels; left > 1; left -= 2, x += 2u * channel, to += plane) {
        if (s->stride_w == 1) {
            lam_mac_copy(s, b, x, top, n_rows, 0, lam_pairs_zip, 4, to);
        } else {
            lam_mac_copy(s, b, x, top, n_rows, 0, lam_pairs_copy, 4, to);
            lam_mac_copy(s, b, x + channel, top, n_rows, 0, lam_pairs_copy, 4, (uint16_t *)to + 1);
        }
    }
    if (b->channels % 2u) {
        for (size_t i = 0; i < plane; i++) {
            to[i] = s->in_zero;
        }
        lam_mac_copy(s, b, x, top, n_rows, 0, lam_pairs_copy, 4, to);
    }
}

/* Columns v and v + 1 of the kernel in one word. */
static void lam_columns_load(const lam_conv2d_shape *s, const lam_mac_band *b, const uint8_t *x, uint32_t top,
                             uint32_t n_rows, void *band)
{
    uint32_t *to = band;
    lam_mac_pad(s, b, s->in_zero | (uint32_t)s->in_zero << 16, to);
    for (uint32_t c = b->channels; c > 0; c--, x += (size_t)s->in_h * s->in_w) {
        lam_mac_copy(s, b, x, top, n_rows, 0, lam_pairs_copy, 4, to);
        lam_mac_copy(s, b, x, top, n_rows, s->dilation_w, lam_pairs_copy, 4, (uint16_t *)to + 1);
        to += (size_t)b->rows * b->phases * b->pitch;
    }
}

/* Two levels as the halves of a word. */
static inline uint32_t lam_pair(int16_t low, int16_t high)
{
    return (uint32_t)(uint16_t)low | (uint32_t)(uint16_t)high << 16;
}

/* The tiles for pairs compute two output channels, whose weights alternate. */
#define LAM_PAIRS_TOGETHER 2u

/* Lines of three taps, or of five. */
static void lam_pairs_lines(const int16_t *low, const int16_t *high, uint32_t n, uint32_t taps, uint32_t *to)
{
    for (; n > 0; n--, low += taps, high += taps, to += 1u + LAM_PAIRS_TOGETHER * taps) {
        to[0] = lam_pair(low[0], high[0]);
        to[LAM_PAIRS_TOGETHER] = lam_pair(low[1], high[1]);
        to[2u * LAM_PAIRS_TOGETHER] = lam_pair(low[2], high[2]);
        if (taps > 3) {
            to[3u * LAM_PAIRS_TOGETHER] = lam_pair(low[3], high[3]);
            to[4u * LAM_PAIRS_TOGETHER] = lam_pair(low[4], high[4]);
        }
    }
}

static void lam_pairs_weave(const lam_conv2d_mac_desc *d, const lam_mac_band *b, const int16_t *levels,
                            const lam_mac_tap *row, uint32_t *to)
{
    const uint32_t kernel_w = d->shape.kernel_w, taps = d->taps;
    const uint32_t window = kernel_w * d->shape.kernel_h;
    const uint32_t line = 1u + LAM_PAIRS_TOGETHER;
    if (window == 1) {
        for (uint32_t n = b->channels / 2u; n > 0; n--, levels += 2, to += line) {
            *to = lam_pair(levels[0], levels[1]);
        }
        if (b->channels % 2u) {
            *to = lam_pair(levels[0], 0);
        }
        return;
    }
    for (uint32_t c = 0; c < b->channels; c += 2, levels += 2u * window) {
        /* A last odd channel is with zeros, whatever their weight. */
        const int16_t *low = levels, *high = levels + (c + 1u < b->channels ? window : 0u);
        if (taps > 1) {
            lam_pairs_lines(low, high, window / taps, taps, to);
            to += window / taps * (1u + LAM_PAIRS_TOGETHER * taps);
        } else if (b->phases == 1) { /* in the order in which they come */
            for (const int16_t *end = low + window; low != end; to += line) {
                *to = lam_pair(*low++, *high++);
            }
        } else {
            for (uint32_t u = d->shape.kernel_h; u > 0; u--, low += kernel_w, high += kernel_w) {
                for (uint32_t i = 0; i < kernel_w; i++, to += line) {
                    *to = lam_pair(low[row[i].column], high[row[i].column]);
                }
            }
        }
    }
}

static void lam_columns_weave(const lam_conv2d_mac_desc *d, const lam_mac_band *b, const int16_t *levels,
                              const lam_mac_tap *row, uint32_t *to)
{
    const uint32_t kernel_w = d->shape.kernel_w;
    for (uint32_t n = b->planes * d->shape.kernel_h; n > 0; n--, levels += kernel_w) {
        for (uint32_t i = 0; i < b->columns; i++, to += 1u + LAM_PAIRS_TOGETHER) {
            const uint32_t v = row[i].column;
            *to = lam_pair(levels[v], v + 1u < kernel_w ? levels[v + 1u] : (int16_t)0);
        }
    }
}

static const lam_mac_layout lam_pairs_layout = {
    4, 2, 1, 0, lam_mac_stream_words, lam_mac_lay, lam_pairs_load, lam_pairs_weave,
};
static const lam_mac_layout lam_columns_layout = {
    4, 1, 2, 0, lam_mac_stream_words, lam_mac_lay, lam_columns_load, lam_columns_weave,
};

void lam_conv2d_pairs(const lam_conv2d_mac_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    lam_mac_convolve(d, &lam_pairs_layout, x, y, scratch);
}

size_t lam_conv2d_pairs_scratch(const lam_conv2d_mac_desc *d)
{
    return lam_mac_scratch(d, &lam_pairs_layout);
}

void lam_conv2d_columns(const lam_conv2d_mac_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    lam_mac_convolve(d, &lam_columns_layout, x, y, scratch);
}

size_t lam_conv2d_columns_scratch(const lam_conv2d_mac_desc *d)
{
    return lam_mac_scratch(d, &lam_columns_layout);
}
