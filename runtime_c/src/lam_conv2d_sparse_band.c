#include "lam_conv2d_sparse_band.h"
#include "lam_window.h"

/* Whether a level meets the input's own pixels as a band would hold them: no padding, no stride, a kernel of one pixel.
 * Whole tiles, the last of them moved back over its neighbour, then end with the image: nothing behind it is read. */
static int lam_band_in_place(const lam_conv2d_sparse_desc *d, const lam_band_format *f)
{
    const lam_conv2d_shape *s = &d->shape;
    const uint32_t plane = (uint32_t)s->in_h * s->in_w;
    return f->in_place && s->kernel_h == 1 && s->kernel_w == 1 && s->stride_h == 1 && s->stride_w == 1 &&
           s->out_h == s->in_h && s->out_w == s->in_w && s->pool.kind == LAM_POOL_NONE && d->band_rows == s->out_h &&
           (plane & (f->word - 1u)) == 0 && plane >= LAM_SPARSE_TILE;
}

void lam_band_plan(lam_conv2d_sparse_desc *d, const lam_band_format *f)
{
    const lam_conv2d_shape *s = &d->shape;
    const uint32_t word = f->word;
    const uint32_t extent_h = (s->kernel_h - 1u) * s->dilation_h + 1u;
    const uint32_t extent_w = (s->kernel_w - 1u) * s->dilation_w + 1u;
    const uint32_t reach_h = (extent_h - 1u) / s->stride_h, reach_w = (extent_w - 1u) / s->stride_w;
    const uint32_t out_rows = (d->band_rows - 1u) * s->pool.stride_h + s->pool.kernel_h;
    const uint32_t out_w = (s->pool.out_w - 1u) * s->pool.stride_w + s->pool.kernel_w;
    const int is_pooled = s->pool.kind != LAM_POOL_NONE;
    const uint32_t by_row = lam_up_to(out_w, LAM_SPARSE_TILE);
    uint32_t pitch = out_w + reach_w;
    const uint32_t flat = lam_up_to((out_rows - 1u) * pitch + out_w, LAM_SPARSE_TILE);
    const int is_flat = reach_w == 0 || flat < out_rows * by_row;
    uint32_t line = pitch, kept = is_pooled || reach_w != 0 ? flat : 0;
    if (!is_flat) {
        pitch = lam_up_to(pitch, word);
        line = by_row;
        kept = is_pooled ? s->pool.kernel_h * by_row : 0;
    }
    lam_sparse_band *b = &d->band;
    b->channels = s->group_in_c;
    b->phases_h = (uint16_t)lam_least(s->stride_h, extent_h);
    b->phases_w = (uint16_t)lam_least(s->stride_w, extent_w);
    b->reach_h = (uint16_t)reach_h;
    b->reach_w = (uint16_t)reach_w;
    b->out_w = (uint16_t)out_w;
    b->is_flat = (uint8_t)is_flat;
    b->pitch = (uint16_t)pitch;
    b->line = (uint16_t)line;
    b->pools_sums = s->pool.kind == LAM_POOL_MAX && s->pool.kernel_h == 2 && s->pool.kernel_w == 2 &&
                    s->pool.stride_w == 2 && line % 4u == 0;
    b->kept = (uint16_t)(kept << b->pools_sums);
    b->plane = (uint16_t)lam_up_to((out_rows + reach_h) * pitch, word);
    b->size = (uint16_t)lam_up_to((uint32_t)b->channels * b->phases_h * b->phases_w * b->plane + LAM_SPARSE_TILE, 4u);
    if ((pitch & (word - 1u)) == 0) {
        b->copies = (uint8_t)lam_least(word, reach_w + 1u);
    } else {
        b->copies = (uint8_t)(reach_h + reach_w != 0 ? word : 1u);
    }
    if (lam_band_in_place(d, f)) {
        b->copies = 0;
    }
}

void lam_band_offsets(const lam_conv2d_sparse_desc *d, const lam_band_format *f, uint16_t *offset_of)
{
    const lam_conv2d_shape *s = &d->shape;
    const lam_sparse_band *b = &d->band;
    const uint32_t odd = f->word - 1u, channel = (uint32_t)b->phases_h * b->phases_w * b->plane;
    uint16_t *to = offset_of;
    uint32_t phase_h = 0, row = 0; /* of kernel row u: those of u * dilation_h */
    for (uint32_t u = 0; u < s->kernel_h; u++) {
        const uint32_t first = phase_h * b->phases_w * b->plane + row * b->pitch;
        uint32_t phase_w = 0, at = 0;
        for (uint32_t v = 0; v < s->kernel_w; v++) {
            const uint32_t offset = first + phase_w * b->plane + at;
            *to++ = (uint16_t)(offset + (offset & odd) * (b->size - 1u));
            for (phase_w += s->dilation_w; phase_w >= s->stride_w; phase_w -= s->stride_w) {
                at++;
            }
        }
        for (phase_h += s->dilation_h; phase_h >= s->stride_h; phase_h -= s->stride_h) {
            row++;
        }
    }
    /* A channel is a multiple of `word`: the others are as the first. */
    for (uint32_t left = (b->channels - 1u) * s->kernel_h * s->kernel_w; left > 0; left--) {
        *to++ = (uint16_t)(*offset_of++ + channel);
    }
}

/* Words of in_zero over the first n bytes: cheaper than to fill in what is beside each row. */
static void lam_band_blank(uint8_t *band, uint32_t n, uint32_t value)
{
    uint32_t *word = (uint32_t *)(void *)band;
    for (const uint32_t *end = word + n / 16u * 4u; word != end; word += 4) {
        word[0] = value;
        word[1] = value;
        word[2] = value;
        word[3] = value;
    }
    for (uint32_t rest = n % 16u / 4u; rest > 0; rest--) {
        *word++ = value;
    }
}

/* The rows (or columns) of a phase that lie inside the image: tap number k is row at + k * step of the padded image. */
static lam_span lam_band_inside(uint32_t at, uint32_t step, uint32_t n, uint32_t pad, uint32_t size)
{
    return lam_span_of(at, pad, n, step, size);
}

void lam_band_load(const lam_conv2d_sparse_desc *d, const lam_band_format *f, const uint8_t *x, uint32_t out_row,
                   uint32_t out_rows, uint8_t *band)
{
    const lam_conv2d_shape *s = &d->shape;
    const lam_sparse_band *b = &d->band;
    const uint32_t n_rows = out_rows + b->reach_h, n_cols = (uint32_t)b->out_w + b->reach_w;
    const uint32_t below = out_row * s->stride_h + (out_rows - 1u) * s->stride_h + (s->kernel_h - 1u) * s->dilation_h;
    const uint32_t right = (b->out_w - 1u) * s->stride_w + (s->kernel_w - 1u) * s->dilation_w;
    if (s->pad_top != 0 || s->pad_left != 0 || below >= s->in_h || right >= s->in_w) {
        lam_band_blank(band, (f->copy != NULL ? 1u : b->copies) * (uint32_t)b->size << f->pixel_shift,
                       s->in_zero * (f->pixel_shift ? 0x00010001u : 0x01010101u));
    }
    for (uint32_t phase_h = 0; phase_h < b->phases_h; phase_h++) {
        const lam_span rows =
            lam_band_inside(out_row * s->stride_h + phase_h, s->stride_h, n_rows, s->pad_top, s->in_h);
        for (uint32_t phase_w = 0; phase_w < b->phases_w; phase_w++) {
            const lam_span cols = lam_band_inside(phase_w, s->stride_w, n_cols, s->pad_left, s->in_w);
            if (rows.n == 0 || cols.n == 0) {
                continue;
            }
            const uint8_t *from = x + (size_t)rows.first * s->in_w + cols.first;
            uint32_t to = (phase_h * b->phases_w + phase_w) * b->plane + rows.skipped * b->pitch + cols.skipped;
            for (uint32_t c = 0; c < b->channels; c++) {
                f->rows(b, band + (to << f->pixel_shift), from, rows.step * s->in_w, rows.n, cols.n, s->stride_w);
                from += (size_t)s->in_h * s->in_w;
                to += (uint32_t)b->phases_h * b->phases_w * b->plane;
            }
        }
    }
    if (f->copy != NULL) {
        f->copy(b, band);
    }
}
