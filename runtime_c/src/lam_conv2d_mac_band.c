#include "lam_conv2d_mac.h"

void lam_mac_pad(const lam_conv2d_shape *s, const lam_mac_band *b, uint32_t word, uint32_t *band)
{
    const uint32_t reach_h = (s->kernel_h - 1u) * s->dilation_h, reach_w = (s->kernel_w - 1u) * s->dilation_w;
    if (s->pad_top != 0 || s->pad_left != 0 || (s->out_h - 1u) * s->stride_h + reach_h >= s->in_h ||
        (s->out_w - 1u) * s->stride_w + reach_w >= s->in_w) {
        for (uint32_t *end = band + b->bytes / 4u; band != end;) {
            *band++ = word;
        }
    }
}

/* The first element whose column, number first_column + i * step of the padded image, is not below `column`. */
static uint32_t lam_mac_reach(uint32_t first_column, uint32_t step, uint32_t column, uint32_t pitch)
{
    uint32_t at = 0;
    while (at < pitch && first_column < column) {
        first_column += step;
        at++;
    }
    return at;
}

void lam_mac_copy(const lam_conv2d_shape *s, const lam_mac_band *b, const uint8_t *x, uint32_t top, uint32_t n_rows,
                  uint32_t skipped, lam_mac_copy_fn *copy, uint32_t bytes, void *plane)
{
    const size_t other = (size_t)s->in_h * s->in_w;
    uint8_t *line = plane;
    for (uint32_t phase = 0; phase < b->phases; phase++, line += b->pitch * bytes) {
        const uint32_t column = phase + skipped;
        const uint32_t begin = lam_mac_reach(column, s->stride_w, s->pad_left, b->pitch);
        const uint32_t end = lam_mac_reach(column, s->stride_w, (uint32_t)s->pad_left + s->in_w, b->pitch);
        if (begin == end) {
            continue;
        }
        const uint8_t *from = x + (column + begin * s->stride_w - s->pad_left);
        uint8_t *to = line + begin * bytes;
        if (s->pad_top == 0 && s->stride_h == 1 && b->phases == 1 && end - begin == s->in_w && b->pitch == s->in_w &&
            top + n_rows <= s->in_h) { /* all rows are one */
            copy(to, from + (size_t)top * s->in_w, n_rows * s->in_w, 1, other);
            continue;
        }
        uint32_t row = top, until_skip = b->row_step;
        for (uint32_t r = n_rows; r > 0; r--, to += (size_t)b->phases * b->pitch * bytes) {
            const uint32_t inside = row - s->pad_top; /* beyond in_h, too, above the image */
            if (inside < s->in_h) {
                copy(to, from + (size_t)inside * s->in_w, end - begin, s->stride_w, other);
            }
            row++;
            if (--until_skip == 0) {
                row += s->stride_h - b->row_step;
                until_skip = b->row_step;
            }
        }
    }
}
