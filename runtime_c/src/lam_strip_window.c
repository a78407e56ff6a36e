#include "lam_strips.h"

#include <string.h>

/* Of n rows that begin at number `first` those before number `end`. */
static uint32_t rows_before(int32_t end, int32_t first, uint32_t n)
{
    const int32_t before = end - first;

    return before <= 0 ? 0u : (uint32_t)before < n ? (uint32_t)before : n;
}

void lam_strip_window(const lam_strip_window_desc *d, const uint8_t *x, const uint8_t *rows, const uint8_t *step, uint8_t *y)
{
    const uint32_t time = (step[0] | (uint32_t)step[1] << 8) >> d->period_bits;
    const int32_t first = (int32_t)(time * d->rows) - d->delay;
    const uint32_t above = rows_before(0, first, d->rows);
    const uint32_t below = d->rows - rows_before(d->height, first, d->rows);
    const uint32_t inside = d->rows - above - below;
    const uint32_t width = d->width;
    const uint32_t kept = (uint32_t)(d->window_rows - d->rows) * width;

    for (uint32_t c = 0; c < d->channels; c++) {
        if (time == 0) {
            memset(y, d->fill, kept);
        } else {
            memmove(y, x + d->rows * width, kept);
        }
        memset(y + kept, d->fill, above * width);
        memcpy(y + kept + above * width, rows + above * width, inside * width);
        memset(y + kept + (above + inside) * width, d->fill, below * width);
        x += d->window_rows * width;
        y += d->window_rows * width;
        rows += d->rows * width;
    }
}
