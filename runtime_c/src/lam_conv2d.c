#include "lam_conv2d.h"
#include "lam_requant.h"
#include "lam_window.h"

/* Pixels computed together where their windows lie inside the image: one load of a level serves all of them. */
#define LAM_QUAD 4u

/* One output channel of one image. */
typedef struct {
    const lam_conv2d_shape *s;
    uint32_t channels;       /* of a group */
    size_t plane;            /* pixels from one input channel to the next */
    lam_span inner_rows;     /* output rows, and columns, whose windows lie inside the image */
    lam_span inner_cols;
    const uint8_t *x;        /* first input channel of the group */
    const int16_t *level;    /* one row of weights */
    int32_t level_sum;       /* of that row */
    int32_t bias;
    lam_requant_one q;
} lam_conv2d_task;

static lam_span lam_conv2d_rows(const lam_conv2d_shape *s, uint32_t row)
{
    return lam_span_of(row * s->stride_h, s->pad_top, s->kernel_h, s->dilation_h, s->in_h);
}

static lam_span lam_conv2d_cols(const lam_conv2d_shape *s, uint32_t col)
{
    return lam_span_of(col * s->stride_w, s->pad_left, s->kernel_w, s->dilation_w, s->in_w);
}

/* The taps outside the image see in_zero: what they add to an accumulator. */
static int32_t lam_conv2d_outside(const lam_conv2d_task *t, lam_span rows, lam_span cols)
{
    const lam_conv2d_shape *s = t->s;
    if (s->in_zero == 0 || (rows.n == s->kernel_h && cols.n == s->kernel_w)) {
        return 0;
    }
    const int16_t *w = t->level + rows.skipped * s->kernel_w + cols.skipped;
    int32_t inside = 0;
    for (uint32_t c = 0; c < t->channels; c++, w += (size_t)s->kernel_h * s->kernel_w) {
        for (uint32_t u = 0; u < rows.n; u++) {
            for (uint32_t v = 0; v < cols.n; v++) {
                inside += w[u * s->kernel_w + v];
            }
        }
    }
    return s->in_zero * (t->level_sum - inside);
}

/* The accumulator of one pixel, wherever its window lies. */
static int32_t lam_conv2d_pixel(const lam_conv2d_task *t, uint32_t row, uint32_t col)
{
    const lam_conv2d_shape *s = t->s;
    const lam_span rows = lam_conv2d_rows(s, row), cols = lam_conv2d_cols(s, col);
    const size_t x_row = (size_t)s->dilation_h * s->in_w;
    const uint8_t *plane = t->x + (size_t)rows.first * s->in_w + cols.first;
    const int16_t *level = t->level + rows.skipped * s->kernel_w + cols.skipped;
    int32_t acc = t->bias + lam_conv2d_outside(t, rows, cols);
    for (uint32_t c = 0; c < t->channels; c++) {
        const uint8_t *line = plane;
        const int16_t *w_line = level;
        for (uint32_t u = 0; u < rows.n; u++) {
            const uint8_t *x = line;
            const int16_t *w = w_line;
            for (uint32_t v = cols.n; v > 0; v--) {
                acc += *w++ * (int32_t)*x;
                x += s->dilation_w;
            }
            line += x_row;
            w_line += s->kernel_w;
        }
        plane += t->plane;
        level += (size_t)s->kernel_h * s->kernel_w;
    }
    return acc;
}

/* The accumulators of four pixels whose windows have the same number of rows inside the image, and all columns. The
 * first one's window starts at rows.first and column `col` of the image, the others' to[0 .. 2] pixels further. */
static void lam_conv2d_quad(const lam_conv2d_task *t, lam_span rows, uint32_t col, const size_t *to, int32_t acc,
                            int32_t *sums)
{
    const lam_conv2d_shape *s = t->s;
    /* A kernel of one pixel is one run over the channels, any other a run for each channel and row. */
    const int pointwise = s->kernel_h == 1 && s->kernel_w == 1 && rows.n == 1;
    const uint32_t channels = pointwise ? 1u : t->channels;
    const uint32_t run = pointwise ? t->channels : s->kernel_w;
    const size_t step = pointwise ? t->plane : s->dilation_w;
    const size_t to1 = to[0], to2 = to[1], to3 = to[2];
    const size_t x_row = (size_t)s->dilation_h * s->in_w;
    const uint8_t *plane = t->x + (size_t)rows.first * s->in_w + col;
    const int16_t *w = t->level + rows.skipped * s->kernel_w;
    const size_t w_skip = (s->kernel_h - rows.n) * (size_t)s->kernel_w;
    int32_t acc0 = acc, acc1 = acc, acc2 = acc, acc3 = acc;
    for (uint32_t c = 0; c < channels; c++) {
        const uint8_t *line = plane;
        for (uint32_t u = 0; u < rows.n; u++) {
            const uint8_t *x = line;
            for (const int16_t *end = w + run; w != end; w++) {
                int32_t level = *w;
                acc0 += level * x[0];
                acc1 += level * x[to1];
                acc2 += level * x[to2];
                acc3 += level * x[to3];
                x += step;
            }
            line += x_row;
        }
        plane += t->plane;
        w += w_skip;
    }
    sums[0] = acc0;
    sums[1] = acc1;
    sums[2] = acc2;
    sums[3] = acc3;
}

/* One row of the convolution, without pooling. */
static void lam_conv2d_row(const lam_conv2d_task *t, uint32_t row, uint8_t *y)
{
    const lam_conv2d_shape *s = t->s;
    const lam_span rows = lam_conv2d_rows(s, row);
    const lam_span all_cols = {0, s->kernel_w, s->dilation_w, 0};
    const int32_t acc = t->bias + lam_conv2d_outside(t, rows, all_cols);
    const size_t to[3] = {s->stride_w, 2u * (size_t)s->stride_w, 3u * (size_t)s->stride_w};
    const uint32_t begin = t->inner_cols.first, end = begin + t->inner_cols.n;
    for (uint32_t col = 0; col < s->out_w;) {
        if (end - begin < LAM_QUAD || col < begin || col >= end) {
            y[col] = lam_requant_apply(t->q, lam_conv2d_pixel(t, row, col));
            col++;
            continue;
        }
        /* The last four may have been computed in part: cheaper again together than each for itself. */
        const uint32_t first = col + LAM_QUAD <= end ? col : end - LAM_QUAD;
        int32_t sums[LAM_QUAD];
        lam_conv2d_quad(t, rows, first * s->stride_w - s->pad_left, to, acc, sums);
        for (uint32_t i = 0; i < LAM_QUAD; i++) {
            y[first + i] = lam_requant_apply(t->q, sums[i]);
        }
        col = first + LAM_QUAD;
    }
}

/* A value taken into the result of a window. Requantisation never reverses an order, so the largest accumulator gives
 * the maximum. */
static int32_t lam_conv2d_join(const lam_conv2d_task *t, int32_t so_far, int32_t acc)
{
    if (t->s->pool.kind == LAM_POOL_MAX) {
        return acc > so_far ? acc : so_far;
    }
    return so_far + lam_requant_apply(t->q, acc);
}

static int lam_conv2d_is_inner(lam_span inner, uint32_t first, uint32_t n)
{
    return first >= inner.first && first + n <= inner.first + inner.n;
}

/* One pixel of a pooled result. */
static uint8_t lam_conv2d_pooled(const lam_conv2d_task *t, uint32_t top, uint32_t left)
{
    const lam_conv2d_shape *s = t->s;
    const uint32_t kernel_h = s->pool.kernel_h, kernel_w = s->pool.kernel_w;
    int32_t joined = s->pool.kind == LAM_POOL_MAX ? INT32_MIN : s->pool.bias;
    if (kernel_h == 2 && kernel_w == 2 && lam_conv2d_is_inner(t->inner_rows, top, 2) &&
        lam_conv2d_is_inner(t->inner_cols, left, 2)) {
        const size_t down = (size_t)s->stride_h * s->in_w;
        const size_t to[3] = {s->stride_w, down, down + s->stride_w};
        int32_t sums[LAM_QUAD];
        lam_conv2d_quad(t, lam_conv2d_rows(s, top), left * s->stride_w - s->pad_left, to, t->bias, sums);
        for (uint32_t i = 0; i < LAM_QUAD; i++) {
            joined = lam_conv2d_join(t, joined, sums[i]);
        }
    } else {
        for (uint32_t i = 0; i < kernel_h; i++) {
            for (uint32_t j = 0; j < kernel_w; j++) {
                joined = lam_conv2d_join(t, joined, lam_conv2d_pixel(t, top + i, left + j));
            }
        }
    }
    return lam_requant_apply(s->pool.kind == LAM_POOL_MAX ? t->q : lam_requant_at(&s->pool.q, 0), joined);
}

/* Output rows (or columns) first, first + 1, .. n of them, whose windows lie inside. */
static lam_span lam_conv2d_inner(uint32_t out, uint32_t stride, uint32_t pad, uint32_t extent, uint32_t size)
{
    lam_span inner = {0, 0, 1, 0};
    while (inner.first < out && inner.first * stride < pad) {
        inner.first++;
    }
    while (inner.first + inner.n < out && (inner.first + inner.n) * stride + extent <= pad + size) {
        inner.n++;
    }
    return inner;
}

static void lam_conv2d_channel(const lam_conv2d_task *t, uint8_t *y)
{
    const lam_fused_pool *pool = &t->s->pool;
    for (uint32_t i = 0; i < pool->out_h; i++, y += pool->out_w) {
        if (pool->kind == LAM_POOL_NONE) {
            lam_conv2d_row(t, i, y);
            continue;
        }
        for (uint32_t j = 0; j < pool->out_w; j++) {
            y[j] = lam_conv2d_pooled(t, i * pool->stride_h, j * pool->stride_w);
        }
    }
}

void lam_conv2d(const lam_conv2d_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    const lam_conv2d_shape *s = &d->shape;
    const uint32_t group_out = (uint32_t)s->out_c / s->groups;
    const uint32_t extent_h = (s->kernel_h - 1u) * s->dilation_h + 1u;
    const uint32_t extent_w = (s->kernel_w - 1u) * s->dilation_w + 1u;
    int16_t *level = scratch;
    lam_stream stream = lam_stream_of(d->weights);
    lam_conv2d_task t;
    t.s = s;
    t.channels = (uint32_t)s->in_c / s->groups;
    t.plane = (size_t)s->in_h * s->in_w;
    t.inner_rows = lam_conv2d_inner(s->out_h, s->stride_h, s->pad_top, extent_h, s->in_h);
    t.inner_cols = lam_conv2d_inner(s->out_w, s->stride_w, s->pad_left, extent_w, s->in_w);
    t.x = x;
    t.level = level;
    const uint32_t cols = t.channels * s->kernel_h * s->kernel_w;
    uint32_t left_in_group = group_out;
    for (uint32_t o = 0; o < s->out_c; o++, left_in_group--) {
        if (left_in_group == 0) {
            left_in_group = group_out;
            t.x += t.channels * t.plane;
        }
        d->unpack(&stream, level, cols);
        t.level_sum = 0;
        for (uint32_t i = 0; i < cols; i++) {
            t.level_sum += level[i];
        }
        t.bias = s->bias[o];
        t.q = lam_requant_of(&s->q, o);
        lam_conv2d_channel(&t, y);
        y += (size_t)s->pool.out_h * s->pool.out_w;
    }
}
