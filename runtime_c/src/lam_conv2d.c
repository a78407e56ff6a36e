/* Any convolution, one pixel after the other: the smallest code, and the judge of the faster kernels. */
#include "lam_conv2d.h"
#include "lam_requant.h"
#include "lam_window.h"

/* One output channel. */
typedef struct {
    const lam_conv2d_shape *s;
    const uint8_t *x;     /* first input channel of the group */
    const int16_t *level; /* one row of weights */
    uint32_t channels;    /* of a group */
    int32_t bias;
    int32_t all_outside;  /* what a window adds in which all pixels are in_zero */
    lam_requant_one q;
} lam_conv2d_task;

/* The part of a window that is inside the image, in one channel. */
typedef struct {
    uint32_t rows, cols;
    size_t down, right; /* pixels from row to row and from column to column */
    uint32_t skip;      /* levels between two rows */
} lam_conv2d_window;

/* Not inlined, so that the inner loop has all registers for itself. */
#if defined(__GNUC__)
__attribute__((noinline))
#endif
static int32_t lam_conv2d_plane(const lam_conv2d_window *window, const uint8_t *x, const int16_t *w, int32_t acc)
{
    for (uint32_t u = window->rows; u > 0; u--) {
        const size_t right = window->right;
        size_t at = 0;
        for (const int16_t *end = w + window->cols; w != end; w++) {
            acc += *w * (int32_t)x[at];
            at += right;
        }
        w += window->skip;
        x += window->down;
    }
    return acc;
}

static int32_t lam_conv2d_pixel(const lam_conv2d_task *t, uint32_t row, uint32_t col)
{
    const lam_conv2d_shape *s = t->s;
    const lam_span rows = lam_span_of(row * s->stride_h, s->pad_top, s->kernel_h, s->dilation_h, s->in_h);
    const lam_span cols = lam_span_of(col * s->stride_w, s->pad_left, s->kernel_w, s->dilation_w, s->in_w);
    const size_t plane = (size_t)s->in_h * s->in_w;
    const uint8_t *x = t->x + (size_t)rows.first * s->in_w + cols.first;
    const int16_t *w = t->level + rows.skipped * s->kernel_w + cols.skipped;
    const uint32_t window_levels = (uint32_t)s->kernel_h * s->kernel_w;
    const uint32_t inside = rows.n * cols.n;
    lam_conv2d_window window = {
        rows.n, cols.n, (size_t)s->dilation_h * s->in_w, s->dilation_w, s->kernel_w - cols.n,
    };
    uint32_t channels = t->channels;
    if (window_levels == 1 && inside == 1) { /* channels as columns */
        window.cols = channels;
        window.right = plane;
        channels = 1;
    }
    int32_t acc = t->bias;
    if (s->in_zero != 0 && inside != window_levels) {
        /* The taps outside the image see in_zero: what all of them would see, less what is inside. */
        const lam_conv2d_window still = {rows.n, cols.n, 0, 0, window.skip};
        const int16_t *level = w;
        acc += t->all_outside;
        for (uint32_t c = t->channels; c > 0; c--, level += window_levels) {
            acc -= lam_conv2d_plane(&still, &s->in_zero, level, 0);
        }
    }
    for (; channels > 0; channels--, x += plane, w += window_levels) {
        acc = lam_conv2d_plane(&window, x, w, acc);
    }
    return acc;
}

/* One pixel of the result: that of a window of kernel_h * kernel_w pixels, often of a single one. */
static uint8_t lam_conv2d_pooled(const lam_conv2d_task *t, uint32_t top, uint32_t left)
{
    const lam_fused_pool *pool = &t->s->pool;
    int32_t largest = INT32_MIN, sum = pool->bias;
    for (uint32_t i = 0; i < pool->kernel_h; i++) {
        for (uint32_t j = 0; j < pool->kernel_w; j++) {
            const int32_t acc = lam_conv2d_pixel(t, top + i, left + j);
            if (pool->kind == LAM_POOL_AVERAGE) {
                sum += lam_requant_apply(t->q, acc);
            } else if (acc > largest) { /* requantisation never reverses an order */
                largest = acc;
            }
        }
    }
    if (pool->kind == LAM_POOL_AVERAGE) {
        return lam_requant_apply(lam_requant_at(&pool->q, 0), sum);
    }
    return lam_requant_apply(t->q, largest);
}

void lam_conv2d(const lam_conv2d_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    const lam_conv2d_shape *s = &d->shape;
    const lam_fused_pool *pool = &s->pool;
    int16_t *level = scratch;
    lam_stream stream = lam_stream_of(d->weights);
    lam_conv2d_task t;
    t.s = s;
    t.x = x;
    t.level = level;
    t.channels = s->group_in_c;
    const uint32_t cols = t.channels * s->kernel_h * s->kernel_w;
    uint32_t left_in_group = s->group_out_c;
    for (uint32_t o = 0; o < s->out_c; o++, left_in_group--) {
        if (left_in_group == 0) {
            left_in_group = s->group_out_c;
            t.x += (size_t)t.channels * s->in_h * s->in_w;
        }
        d->unpack(&stream, level, cols);
        t.bias = lam_bias_at(s->bias, s->narrow_bias, o);
        t.all_outside = 0;
        for (uint32_t i = 0; i < cols; i++) {
            t.all_outside += s->in_zero * level[i];
        }
        t.q = lam_requant_of(&s->q, o);
        for (uint32_t i = 0; i < pool->out_h; i++) {
            for (uint32_t j = 0; j < pool->out_w; j++) {
                *y++ = lam_conv2d_pooled(&t, i * pool->stride_h, j * pool->stride_w);
            }
        }
    }
}
