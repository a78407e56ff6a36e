#include "lam_conv2d_sparse_band.h"

lam_band lam_band_of(const lam_conv2d_sparse_desc *d)
{
    const lam_conv2d_shape *s = &d->shape;
    const uint32_t extent_h = (s->kernel_h - 1u) * s->dilation_h + 1u;
    const uint32_t extent_w = (s->kernel_w - 1u) * s->dilation_w + 1u;
    lam_band b;
    b.channels = (uint32_t)s->in_c / s->groups;
    b.out_rows = (d->band_rows - 1u) * s->pool.stride_h + s->pool.kernel_h;
    b.out_w = (s->pool.out_w - 1u) * s->pool.stride_w + s->pool.kernel_w;
    b.row_step = lam_least(s->stride_h, extent_h);
    b.kernel_rows = extent_h;
    b.rows = (b.out_rows - 1u) * b.row_step + extent_h;
    b.phases = lam_least(s->stride_w, extent_w);
    b.pitch = lam_even(b.out_w + (extent_w - 1u) / s->stride_w);
    b.size = b.channels * b.rows * b.phases * b.pitch;
    b.tile_rows = b.out_w <= 4u ? 4u : 2u;
    b.line = lam_even(b.out_w) + 4u;
    return b;
}

void lam_band_offsets(const lam_conv2d_sparse_desc *d, const lam_band *b, uint16_t *offset_of)
{
    const lam_conv2d_shape *s = &d->shape;
    for (uint32_t c = 0; c < b->channels; c++) {
        for (uint32_t u = 0; u < s->kernel_h; u++) {
            const uint32_t row = (c * b->rows + u * s->dilation_h) * b->phases;
            uint32_t phase = 0, at = 0; /* of column v * dilation_w */
            for (uint32_t v = 0; v < s->kernel_w; v++) {
                uint32_t offset = (row + phase) * b->pitch + at;
                if (d->copies == 2 && offset & 1u) {
                    offset += b->size - 1u;
                }
                *offset_of++ = (uint16_t)offset;
                for (phase += s->dilation_w; phase >= s->stride_w; phase -= s->stride_w) {
                    at++;
                }
            }
        }
    }
}

/* n pixels, `step` apart, widened. Four at a time: these loops run over the whole input of every band. */
static void lam_widen(uint16_t *to, const uint8_t *x, uint32_t n, uint32_t step)
{
    if (step == 1) {
        for (; n >= 4; n -= 4, to += 4, x += 4) {
            to[0] = x[0];
            to[1] = x[1];
            to[2] = x[2];
            to[3] = x[3];
        }
    } else if (step == 2) {
        for (; n >= 4; n -= 4, to += 4, x += 8) {
            to[0] = x[0];
            to[1] = x[2];
            to[2] = x[4];
            to[3] = x[6];
        }
    }
    for (; n > 0; n--, x += step) {
        *to++ = *x;
    }
}

static void lam_fill(uint16_t *to, uint32_t n, uint16_t value)
{
    for (; n > 0; n--) {
        *to++ = value;
    }
}

/* The first element whose column, number first_column + i * step of the padded image, is not below `column`. */
static uint32_t lam_band_reach(uint32_t first_column, uint32_t step, uint32_t column, uint32_t pitch)
{
    uint32_t at = 0;
    while (at < pitch && first_column < column) {
        first_column += step;
        at++;
    }
    return at;
}

/* One phase of all rows, from padded column `first_column` on. `top` is the band's first row in the padded image. */
static void lam_band_phase(const lam_conv2d_shape *s, const lam_band *b, const uint8_t *x, uint32_t top,
                           uint32_t n_rows, uint32_t first_column, uint16_t *to)
{
    const uint32_t begin = lam_band_reach(first_column, s->stride_w, s->pad_left, b->pitch);
    const uint32_t end = lam_band_reach(first_column, s->stride_w, (uint32_t)s->pad_left + s->in_w, b->pitch);
    /* Meaningless, and not used, if begin == end. */
    const size_t first_pixel = (size_t)first_column + begin * s->stride_w - s->pad_left;
    const uint32_t skipped_rows = s->stride_h - b->row_step;
    for (uint32_t c = 0; c < b->channels; c++, x += (size_t)s->in_h * s->in_w) {
        uint16_t *row_to = to + (size_t)c * b->rows * b->phases * b->pitch;
        uint32_t row = top, until_skip = b->row_step;
        for (uint32_t r = 0; r < n_rows; r++, row_to += b->phases * b->pitch) {
            if (row < s->pad_top || row - s->pad_top >= s->in_h || begin == end) {
                lam_fill(row_to, b->pitch, s->in_zero);
            } else {
                const uint8_t *from = x + (size_t)(row - s->pad_top) * s->in_w + first_pixel;
                lam_fill(row_to, begin, s->in_zero);
                lam_widen(row_to + begin, from, end - begin, s->stride_w);
                lam_fill(row_to + end, b->pitch - end, s->in_zero);
            }
            row++;
            if (--until_skip == 0) {
                row += skipped_rows;
                until_skip = b->row_step;
            }
        }
    }
}

void lam_band_load(const lam_conv2d_sparse_desc *d, const lam_band *b, const uint8_t *x, uint32_t out_row,
                   uint32_t out_rows, uint16_t *pixels)
{
    const uint32_t top = out_row * d->shape.stride_h;
    const uint32_t n_rows = (out_rows - 1u) * b->row_step + b->kernel_rows;
    for (uint32_t phase = 0; phase < b->phases; phase++) {
        uint16_t *to = pixels + phase * b->pitch;
        lam_band_phase(&d->shape, b, x, top, n_rows, phase, to);
        if (d->copies == 2) {
            lam_band_phase(&d->shape, b, x, top, n_rows, phase + d->shape.stride_w, to + b->size);
        }
    }
}
