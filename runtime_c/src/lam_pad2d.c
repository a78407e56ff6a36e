#include "lam_move.h"

#include <string.h>

void lam_pad2d(const lam_pad2d_desc *d, const uint8_t *x, uint8_t *y)
{
    const size_t out_w = (size_t)d->left + d->in_w + d->right;
    for (uint32_t c = 0; c < d->channels; c++) {
        memset(y, d->value, d->top * out_w);
        y += d->top * out_w;
        for (uint32_t i = 0; i < d->in_h; i++) {
            memset(y, d->value, d->left);
            memcpy(y + d->left, x, d->in_w);
            memset(y + d->left + d->in_w, d->value, d->right);
            x += d->in_w;
            y += out_w;
        }
        memset(y, d->value, d->bottom * out_w);
        y += d->bottom * out_w;
    }
}
