/* Which taps of a window lie inside the image; for the kernels only. */
#ifndef LAM_WINDOW_H
#define LAM_WINDOW_H

#include "lam.h"

/* The n rows (or columns) first, first + step, .. of the image that a window covers, after `skipped` taps in front of
 * the image. */
typedef struct {
    uint32_t first, n, step;
    uint32_t skipped;
} lam_span;

/* The part inside 0 .. size-1 of the taps at - pad, at - pad + dilation, ... (kernel of them).
 * Stepping instead of dividing: padding is a few taps at most, and small cores have no division. */
static inline lam_span lam_span_of(uint32_t at, uint32_t pad, uint32_t kernel, uint32_t dilation, uint32_t size)
{
    lam_span span = {0, kernel, dilation, 0};
    uint32_t last = at + (kernel - 1u) * dilation; /* in the padded image, as `at` */
    while (span.n > 0 && at < pad) {
        at += dilation;
        span.skipped++;
        span.n--;
    }
    while (span.n > 0 && last >= pad + size) {
        last -= dilation;
        span.n--;
    }
    span.first = span.n > 0 ? at - pad : 0;
    return span;
}

#endif
