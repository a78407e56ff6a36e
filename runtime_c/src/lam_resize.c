#include "lam_resize.h"
#include "lam_requant.h"

#define LAM_RESIZE_ONE 1024

/* One row of y between two rows of x; `below` is `above` where there is no second row. */
static uint8_t *lam_resize_row(const lam_resize_desc *d, const uint8_t *above, const uint8_t *below, int32_t down,
                               uint8_t *y)
{
    const lam_requant_one q = lam_requant_at(&d->q, 0);
    const int32_t up = LAM_RESIZE_ONE - down;
    const uint32_t next = d->in_w > 1u ? 1u : 0u; /* an image of one column has no second one */
    const int32_t zero = d->in_zero * (LAM_RESIZE_ONE * LAM_RESIZE_ONE);
    for (uint32_t c = 0; c < d->out_w; c++) {
        const uint32_t at = d->cols[c];
        const int32_t right = d->col_weights[c], left = LAM_RESIZE_ONE - right;
        const int32_t first = above[at] * up + below[at] * down;
        const int32_t second = above[at + next] * up + below[at + next] * down;
        *y++ = lam_requant_apply(q, first * left + second * right - zero);
    }
    return y;
}

void lam_resize(const lam_resize_desc *d, const uint8_t *x, uint8_t *y)
{
    const uint32_t next = d->in_h > 1u ? d->in_w : 0u;
    for (uint32_t channel = 0; channel < d->channels; channel++) {
        for (uint32_t r = 0; r < d->out_h; r++) {
            const uint8_t *above = x + (size_t)d->rows[r] * d->in_w;
            y = lam_resize_row(d, above, above + next, d->row_weights[r], y);
        }
        x += (size_t)d->in_h * d->in_w;
    }
}
