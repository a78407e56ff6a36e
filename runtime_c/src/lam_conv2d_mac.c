#include "lam_conv2d_mac.h"
#include "lam_requant.h"

/* Scratch, cut up. */
typedef struct {
    uint32_t *stream;
    int32_t *lines;   /* accumulators of a run, for each output channel computed together */
    int32_t *pooled;  /* maxima or sums so far, likewise */
    uint8_t *band;
    lam_mac_tap *row; /* the taps of a kernel's row, as they lie in the band */
    int16_t *levels;  /* of one output channel, unpacked */
} lam_mac_room;

static uint32_t lam_mac_least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static lam_mac_band lam_mac_band_of(const lam_conv2d_mac_desc *d, const lam_mac_layout *layout)
{
    const lam_conv2d_shape *s = &d->shape;
    const uint32_t reach_h = (s->kernel_h - 1u) * s->dilation_h + 1u;
    const uint32_t reach_w = (s->kernel_w - 1u) * s->dilation_w + 1u;
    lam_mac_band b;
    b.channels = s->group_in_c;
    b.planes = (b.channels + layout->deep - 1u) / layout->deep;
    b.columns = (s->kernel_w + layout->wide - 1u) / layout->wide;
    b.out_w = (s->pool.out_w - 1u) * s->pool.stride_w + s->pool.kernel_w;
    b.element = layout->bytes;
    b.copy = 0;
    if (d->in_place) {
        b.rows = s->in_h;
        b.phases = 1;
        b.pitch = s->in_w;
        b.row_step = s->stride_h;
        b.bytes = 0;
    } else {
        const uint32_t out_rows = (d->band_rows - 1u) * s->pool.stride_h + s->pool.kernel_h;
        b.row_step = lam_mac_least(s->stride_h, reach_h);
        b.rows = (out_rows - 1u) * b.row_step + reach_h;
        b.phases = lam_mac_least(s->stride_w, reach_w);
        b.pitch = (b.out_w + (reach_w - 1u) / s->stride_w + layout->even) & ~layout->even;
        uint32_t elements = b.planes * b.rows * b.phases * b.pitch;
        if (layout->even && reach_w > s->stride_w) {
            b.copy = elements;
            elements *= 2u;
        }
        b.bytes = ((elements + LAM_MAC_SLACK) * layout->bytes + 3u) & ~3u;
    }
    return b;
}

uint32_t lam_mac_line(const lam_conv2d_mac_desc *d)
{
    return 1u + (uint32_t)d->taps * d->together;
}

/* Behind the end mark, a tile reads a line's first weights before it looks. */
size_t lam_mac_stream_words(const lam_conv2d_mac_desc *d, const lam_mac_band *b)
{
    size_t lines = (size_t)b->planes * d->shape.kernel_h * (b->columns / d->taps);
    return lines * lam_mac_line(d) + 1u + d->together;
}

/* Accumulators kept for one output channel: whole tiles. */
static uint32_t lam_mac_run_room(const lam_conv2d_mac_desc *d, const lam_mac_band *b)
{
    return d->shape.pool.kind == LAM_POOL_NONE ? LAM_MAC_CHUNK : (b->out_w + 7u) & ~7u;
}

static uint32_t lam_mac_pooled_room(const lam_conv2d_mac_desc *d)
{
    return d->shape.pool.kind == LAM_POOL_NONE ? 0u : d->shape.pool.out_w;
}

size_t lam_mac_scratch(const lam_conv2d_mac_desc *d, const lam_mac_layout *layout)
{
    const lam_mac_band b = lam_mac_band_of(d, layout);
    const size_t accumulators = (size_t)d->together * (lam_mac_run_room(d, &b) + lam_mac_pooled_room(d));
    const size_t levels = (size_t)b.channels * d->shape.kernel_h * d->shape.kernel_w;
    return 4u * (layout->words(d, &b) + accumulators + b.columns) + b.bytes + 2u * levels;
}

static lam_mac_room lam_mac_cut(const lam_conv2d_mac_desc *d, const lam_mac_layout *layout, const lam_mac_band *b,
                                void *scratch)
{
    lam_mac_room room;
    room.stream = scratch;
    room.lines = (int32_t *)(room.stream + layout->words(d, b));
    room.pooled = room.lines + (size_t)d->together * lam_mac_run_room(d, b);
    int32_t *band = room.pooled + (size_t)d->together * lam_mac_pooled_room(d);
    room.band = (uint8_t *)band;
    room.row = (lam_mac_tap *)(band + b->bytes / 4u);
    room.levels = (int16_t *)(room.row + b->columns);
    return room;
}

/* In the order in which they lie in the band: phase by phase. */
static void lam_mac_row(const lam_conv2d_shape *s, const lam_mac_band *b, uint32_t wide, lam_mac_tap *row)
{
    for (uint32_t wanted = 0; wanted < b->phases; wanted++) {
        uint32_t phase = 0, at = 0;
        for (uint32_t v = 0; v < s->kernel_w; v += wide) {
            if (phase == wanted) {
                const uint32_t place = phase * b->pitch + at;
                row->column = (uint16_t)v;
                row->place = (uint16_t)(b->copy != 0 && place % 2u != 0 ? b->copy + place - 1u : place);
                row++;
            }
            for (phase += wide * s->dilation_w; phase >= s->stride_w; phase -= s->stride_w) {
                at++;
            }
        }
    }
}

/* The steps ascend through the band, so that none of them is negative. */
void lam_mac_lay(const lam_conv2d_mac_desc *d, const lam_mac_band *b, const lam_mac_tap *row, uint32_t *stream)
{
    const uint32_t line = lam_mac_line(d);
    const uint32_t down = d->shape.dilation_h * b->phases * b->pitch;
    uint32_t plane = 0, previous = 0;
    for (uint32_t c = b->planes; c > 0; c--, plane += b->rows * b->phases * b->pitch) {
        uint32_t start = plane;
        for (uint32_t u = d->shape.kernel_h; u > 0; u--, start += down) {
            for (uint32_t i = 0; i < b->columns; i += d->taps, stream += line) {
                const uint32_t at = start + row[i].place;
                *stream = (at - previous) * b->element;
                previous = at;
            }
        }
    }
    *stream = LAM_MAC_END;
}

/* Shift 32, range 0 .. 255. */
static inline uint8_t lam_mac_scale(int32_t acc, int32_t multiplier, int32_t zero)
{
#if LAM_NO_LONG_MULTIPLY
    return lam_clamp(lam_scale_by_2_32(acc, multiplier) + zero, 0, 255);
#elif LAM_HAS_DSP
    return (uint8_t)lam_usat8(lam_smmlar(acc, multiplier, zero));
#else /* zero and one half added in front of the scaling: one multiplication that accumulates */
    const int64_t start = (int64_t)zero << 32 | (int64_t)1 << 31;
    return (uint8_t)lam_usat8((int32_t)(((int64_t)acc * multiplier + start) >> 32));
#endif
}

/* A function of its own: the rare kinds of requantisation need not be fast, but small. */
#if defined(__GNUC__)
__attribute__((noinline))
#endif
static uint8_t lam_mac_requant(const lam_requant_one *q, int32_t acc)
{
    return lam_requant_apply(*q, acc);
}

/* Requantises a run. */
static void lam_mac_store(const lam_requant_one *q, const int32_t *acc, uint32_t n, uint8_t *y)
{
    const int32_t *end = acc + n;
    if (q->shift == 32u && q->low == 0 && q->high == 255) { /* nearly always: scale, round, add zero, saturate */
        const int32_t multiplier = q->multiplier, zero = q->zero;
        for (; end - acc >= 4; acc += 4, y += 4) {
            y[0] = lam_mac_scale(acc[0], multiplier, zero);
            y[1] = lam_mac_scale(acc[1], multiplier, zero);
            y[2] = lam_mac_scale(acc[2], multiplier, zero);
            y[3] = lam_mac_scale(acc[3], multiplier, zero);
        }
        while (acc != end) {
            *y++ = lam_mac_scale(*acc++, multiplier, zero);
        }
    }
    while (acc != end) {
        *y++ = lam_mac_requant(q, *acc++);
    }
}

static int32_t lam_mac_larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Takes a row of the convolution into the windows of a pooled row. Requantisation never reverses an order, so for the
 * maximum it can wait until the window is complete. */
static void lam_mac_pool(const lam_fused_pool *pool, const lam_requant_one *q, const int32_t *line, int32_t *pooled)
{
    const uint32_t kernel_w = pool->kernel_w, stride_w = pool->stride_w;
    const int32_t *end = pooled + pool->out_w;
    if (pool->kind != LAM_POOL_MAX) {
        for (; pooled != end; line += stride_w, pooled++) {
            for (uint32_t v = 0; v < kernel_w; v++) {
                *pooled += lam_mac_requant(q, line[v]);
            }
        }
    } else if (kernel_w == 2) { /* as nearly always */
        for (; pooled != end; line += stride_w, pooled++) {
            *pooled = lam_mac_larger(*pooled, lam_mac_larger(line[0], line[1]));
        }
    } else {
        for (; pooled != end; line += stride_w, pooled++) {
            for (uint32_t v = 0; v < kernel_w; v++) {
                *pooled = lam_mac_larger(*pooled, line[v]);
            }
        }
    }
}

/* What is computed together: one or two output channels of a band. */
typedef struct {
    const lam_conv2d_mac_desc *d;
    const lam_mac_band *b;
    const lam_mac_room *room;
    uint32_t channels;
    lam_mac_run run;
    lam_requant_one q[2];
    uint8_t *y[2];
} lam_mac_task;

/* The accumulators of n pixels. */
static void lam_mac_accumulate(const lam_mac_task *t, const uint8_t *x, uint32_t n)
{
    int32_t *acc = t->room->lines;
    uint32_t whole = n;
    if (t->d->in_place) { /* nothing behind the last pixel may be read: there, a tile overlaps the one before */
        whole = n >= 8 ? n & ~7u : 4u;
        if (whole != n) {
            const uint32_t width = n - whole <= 4u ? 4u : 8u;
            t->d->tile(&t->run, x + (n - width), width, acc + (n - width));
        }
    }
    t->d->tile(&t->run, x, whole, acc);
}

/* A row without pooling, or rows that lie one behind the other. */
static void lam_mac_plain(lam_mac_task *t, const uint8_t *x, uint32_t n)
{
    while (n > 0) {
        uint32_t part = n;
        if (n > LAM_MAC_CHUNK) { /* in place, what is left must be enough for a tile */
            part = n < LAM_MAC_CHUNK + 8u ? LAM_MAC_CHUNK - 8u : LAM_MAC_CHUNK;
        }
        lam_mac_accumulate(t, x, part);
        for (uint32_t k = 0; k < t->channels; k++) {
            lam_mac_store(&t->q[k], t->room->lines + k * t->run.pitch, part, t->y[k]);
            t->y[k] += part;
        }
        x += (size_t)part * t->b->element;
        n -= part;
    }
}

/* One pooled row. step: bytes from one row of the convolution to the next. */
static void lam_mac_pooled(lam_mac_task *t, const uint8_t *x, size_t step)
{
    const lam_fused_pool *pool = &t->d->shape.pool;
    for (uint32_t i = 0; i < t->channels * pool->out_w; i++) {
        t->room->pooled[i] = pool->kind == LAM_POOL_MAX ? INT32_MIN : pool->bias;
    }
    for (uint32_t row = pool->kernel_h; row > 0; row--, x += step) {
        lam_mac_accumulate(t, x, t->b->out_w);
        for (uint32_t k = 0; k < t->channels; k++) {
            lam_mac_pool(pool, &t->q[k], t->room->lines + k * t->run.pitch, t->room->pooled + k * pool->out_w);
        }
    }
    for (uint32_t k = 0; k < t->channels; k++) {
        const lam_requant_one q = pool->kind == LAM_POOL_MAX ? t->q[k] : lam_requant_at(&pool->q, 0);
        lam_mac_store(&q, t->room->pooled + k * pool->out_w, pool->out_w, t->y[k]);
        t->y[k] += pool->out_w;
    }
}

/* `rows` pooled rows. x: the element that the first tap of the first row meets first. */
static void lam_mac_rows(lam_mac_task *t, const uint8_t *x, uint32_t rows)
{
    const lam_fused_pool *pool = &t->d->shape.pool;
    const lam_mac_band *b = t->b;
    const size_t step = (size_t)b->row_step * b->phases * b->pitch * b->element;
    if (pool->kind != LAM_POOL_NONE) {
        for (; rows > 0; rows--, x += step * pool->stride_h) {
            lam_mac_pooled(t, x, step);
        }
    } else if (step == (size_t)b->out_w * b->element) {
        lam_mac_plain(t, x, rows * b->out_w);
    } else {
        for (; rows > 0; rows--, x += step) {
            lam_mac_plain(t, x, b->out_w);
        }
    }
}

void lam_mac_convolve(const lam_conv2d_mac_desc *d, const lam_mac_layout *layout, const uint8_t *x, uint8_t *y,
                      void *scratch)
{
    const lam_conv2d_shape *s = &d->shape;
    const lam_mac_band b = lam_mac_band_of(d, layout);
    const lam_mac_room room = lam_mac_cut(d, layout, &b, scratch);
    const uint32_t group_out = s->group_out_c;
    const uint32_t n_levels = b.channels * s->kernel_h * s->kernel_w;
    const size_t group_in = (size_t)b.channels * s->in_h * s->in_w;
    const size_t plane_out = (size_t)s->pool.out_h * s->pool.out_w;
    lam_mac_task t;
    t.d = d;
    t.b = &b;
    t.room = &room;
    t.run.stream = room.stream;
    t.run.bias[1] = 0;
    t.run.pitch = lam_mac_run_room(d, &b);
    lam_mac_row(s, &b, layout->wide, room.row);
    layout->lay(d, &b, room.row, room.stream);
    for (uint32_t first = 0; first < s->pool.out_h; first += d->band_rows) {
        const uint32_t rows = lam_mac_least(d->band_rows, s->pool.out_h - first);
        const uint32_t out_rows = (rows - 1u) * s->pool.stride_h + s->pool.kernel_h;
        const uint32_t reach_h = (s->kernel_h - 1u) * s->dilation_h + 1u;
        uint8_t *y_band = y + (size_t)first * s->pool.out_w;
        lam_stream stream = lam_stream_of(d->weights);
        uint32_t left_in_group = 0, group = 0;
        const uint8_t *band = room.band;
        for (uint32_t o = 0; o < s->out_c; o += t.channels, left_in_group -= t.channels) {
            if (left_in_group == 0) {
                const uint8_t *from = x + group * group_in;
                left_in_group = group_out;
                group++;
                if (d->in_place) {
                    band = from;
                } else {
                    layout->load(s, &b, from, first * s->pool.stride_h * s->stride_h,
                                 (out_rows - 1u) * b.row_step + reach_h, room.band);
                }
            }
            t.channels = lam_mac_least(d->together, left_in_group);
            for (uint32_t k = 0; k < t.channels; k++, y_band += plane_out) {
                d->unpack(&stream, room.levels, n_levels);
                layout->weave(d, &b, room.levels, room.row, room.stream + 1u + k);
                t.run.bias[k] = lam_bias_at(s->bias, s->narrow_bias, o + k);
                t.q[k] = lam_requant_of(&s->q, o + k);
                t.y[k] = y_band;
            }
            lam_mac_rows(&t, band, rows);
        }
    }
}
