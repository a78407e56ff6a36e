#include "lam_move.h"

#include <string.h>

/* From the end to the beginning: every byte goes to its place or behind it, so the result may begin where x does. */
void lam_pad2d(const lam_pad2d_desc *d, const uint8_t *x, uint8_t *y)
{
    const size_t out_w = (size_t)d->left + d->in_w + d->right;
    const size_t top = d->top * out_w, bottom = d->bottom * out_w;
    x += (size_t)d->channels * d->in_h * d->in_w;
    y += d->channels * (top + d->in_h * out_w + bottom);
    for (uint32_t c = d->channels; c > 0; c--) {
        y -= bottom;
        memset(y, d->value, bottom);
        for (uint32_t i = d->in_h; i > 0; i--) {
            x -= d->in_w;
            y -= out_w;
            memset(y + d->left + d->in_w, d->value, d->right);
            memmove(y + d->left, x, d->in_w);
            memset(y, d->value, d->left);
        }
        y -= top;
        memset(y, d->value, top);
    }
}
