#include "lam_move.h"
#include "lam_requant.h"

#include <string.h>

static void lam_concat_copy(const lam_concat_part *part, const uint8_t *x, uint8_t *y)
{
    if (!part->rescale) {
        memcpy(y, x, part->bytes);
        return;
    }
    const lam_requant_one q = lam_requant_at(&part->q, 0);
    const int32_t in_zero = part->in_zero;
    for (uint32_t i = 0; i < part->bytes; i++) {
        y[i] = lam_requant_apply(q, x[i] - in_zero);
    }
}

void lam_concat(const lam_concat_desc *d, const uint8_t *const *x, uint8_t *y)
{
    for (uint32_t block = 0; block < d->outer; block++) {
        const uint8_t *const *input = x;
        for (uint32_t p = 0; p < d->n_parts; p++) {
            const lam_concat_part *part = &d->parts[p];
            const uint8_t *from = part->values != NULL ? part->values : *input++;
            lam_concat_copy(part, from + (size_t)block * part->bytes, y);
            y += part->bytes;
        }
    }
}
