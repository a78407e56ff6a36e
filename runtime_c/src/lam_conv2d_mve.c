#include "lam_conv2d_mve.h"
#include "lam_conv2d_mve_tile.h"

#include <string.h>

#if defined(__ARM_FEATURE_MVE)

#define LAM_CHUNK 96u /* accumulators of a channel collected before they are requantised */

/* How the input lies in scratch: cells by row, 16 channels ("deep"), phase and column. The phases of a row are its
 * columns modulo the stride, so that what neighbouring output pixels read lies side by side. Flat: by 16 channels, row
 * and column, and nothing is between the rows: without pooling they are one. */
typedef struct {
    uint32_t lanes; /* channels of a group; flat: levels of a row of weights */
    uint32_t deep;  /* cells that hold them */
    uint32_t kernel_h, kernel_w, row_step;
    uint32_t phases, pitch; /* cells */
    uint32_t out_w;         /* columns of the convolution that the output needs */
    uint32_t rows;          /* of the largest band */
    uint32_t steps;         /* cells of one window */
    int by_lines;           /* the window's rows are three cells side by side, each as far from the one before */
    uint32_t step_bytes;    /* of the stream (lam_mve_run) */
    uint32_t line;          /* bytes from 16 channels of a row to the next 16 */
    uint32_t row;           /* bytes from row to row */
    uint32_t run;           /* pixels of the convolution that lie side by side */
    uint32_t capacity;      /* accumulators of an output channel that are requantised together, and one to spare */
} lam_mve_band;

/* Scratch, cut up. */
typedef struct {
    int32_t *acc;    /* of two output channels, `capacity` each */
    int32_t *pooled; /* likewise, one row */
    uint32_t capacity;
    int8_t *stream; /* of two output channels */
    int8_t *cells;
    int16_t *levels; /* of one output channel, as they are unpacked */
} lam_mve_room;

static lam_mve_band lam_mve_band_of(const lam_conv2d_mve_desc *d)
{
    const lam_conv2d_shape *s = &d->shape;
    const uint32_t channels = s->group_in_c;
    const uint32_t out_rows = (d->band_rows - 1u) * s->pool.stride_h + s->pool.kernel_h;
    lam_mve_band b;
    b.out_w = (s->pool.out_w - 1u) * s->pool.stride_w + s->pool.kernel_w;
    if (d->flat) {
        b.lanes = channels * s->kernel_h * s->kernel_w;
        b.kernel_h = b.kernel_w = b.row_step = b.phases = 1;
        b.pitch = b.out_w;
        b.rows = out_rows;
        b.row = b.pitch * LAM_CELL;
        b.line = b.rows * b.row;
    } else {
        const uint32_t reach_w = (s->kernel_w - 1u) * s->dilation_w + 1u;
        b.lanes = channels;
        b.kernel_h = s->kernel_h;
        b.kernel_w = s->kernel_w;
        b.row_step = s->stride_h;
        b.phases = lam_mve_least(s->stride_w, reach_w);
        b.pitch = b.out_w + (reach_w - 1u) / s->stride_w;
        b.rows = (out_rows - 1u) * s->stride_h + (s->kernel_h - 1u) * s->dilation_h + 1u;
    }
    b.deep = (b.lanes + 15u) / 16u;
    b.steps = b.deep * b.kernel_h * b.kernel_w;
    if (!d->flat) {
        b.line = b.phases * b.pitch * LAM_CELL;
        b.row = b.deep * b.line;
    }
    const uint32_t pixels = s->pool.kind == LAM_POOL_NONE ? out_rows * b.out_w : b.out_w;
    const uint32_t chunk = lam_mve_least(pixels, LAM_CHUNK);
    const int joined = d->flat && s->pool.kind == LAM_POOL_NONE;
    b.run = joined ? pixels : b.out_w;
    b.capacity = (joined || chunk > b.out_w ? chunk : b.out_w) + 1u;
    b.by_lines = b.kernel_w == 3 && s->stride_w == 1 && s->dilation_w == 1 && (s->dilation_h == 1 || b.deep == 1);
    b.step_bytes = 2u * LAM_CELL + (b.by_lines ? 0u : 4u);
    return b;
}

/* Bytes of the cells; the last tile of a row may read one too many. */
static size_t lam_mve_cells(const lam_mve_band *b)
{
    return ((size_t)b->rows * b->deep * b->phases * b->pitch + 1u) * LAM_CELL;
}

size_t lam_conv2d_mve_scratch(const lam_conv2d_mve_desc *d)
{
    const lam_conv2d_shape *s = &d->shape;
    const lam_mve_band b = lam_mve_band_of(d);
    const size_t levels = d->unpack ? (size_t)s->group_in_c * s->kernel_h * s->kernel_w : 0u;
    const size_t pooled = s->pool.kind == LAM_POOL_NONE ? 0u : s->pool.out_w;
    return 8u * (b.capacity + pooled) + b.step_bytes * b.steps + lam_mve_cells(&b) + 2u * levels;
}

static lam_mve_room lam_mve_cut(const lam_conv2d_mve_desc *d, const lam_mve_band *b, void *scratch)
{
    lam_mve_room room;
    room.capacity = b->capacity;
    room.acc = scratch;
    room.pooled = room.acc + 2u * room.capacity;
    int32_t *stream = room.pooled + (d->shape.pool.kind == LAM_POOL_NONE ? 0u : 2u * d->shape.pool.out_w);
    int32_t *cells = stream + b->steps * b->step_bytes / 4u;
    room.stream = (int8_t *)stream;
    room.cells = (int8_t *)cells;
    room.levels = (int16_t *)(cells + lam_mve_cells(b) / 4u);
    return room;
}

/* --- the input --- */

/* The part of an input plane that rows of cells take: where it starts in the plane, and where in the cells. */
typedef struct {
    uint32_t from, to; /* bytes */
    uint32_t rows, cols;
    uint32_t from_row, to_row; /* bytes from one row to the next */
    uint32_t step;             /* columns of the plane from cell to cell */
} lam_mve_patch;

/* Row r, cell j of n_rows times n_cols is row top + r * row_step, column left + j * step of the plane: as far as those
 * lie inside the image. */
static lam_mve_patch lam_mve_patch_of(const lam_conv2d_shape *s, int32_t top, uint32_t row_step, uint32_t n_rows,
                                      int32_t left, uint32_t step, uint32_t n_cols, uint32_t to_row)
{
    lam_mve_patch p;
    p.to = p.rows = p.cols = p.from = 0;
    p.from_row = row_step * s->in_w;
    p.to_row = to_row;
    p.step = step;
    for (; n_cols > 0 && left < 0; left += (int32_t)step, n_cols--) {
        p.to += LAM_CELL;
    }
    for (; n_rows > 0 && top < 0; top += (int32_t)row_step, n_rows--) {
        p.to += to_row;
    }
    if (n_cols > 0 && n_rows > 0 && (uint32_t)left < s->in_w && (uint32_t)top < s->in_h) {
        p.cols = lam_mve_least(n_cols, (s->in_w - 1u - (uint32_t)left) / step + 1u);
        p.rows = lam_mve_least(n_rows, (s->in_h - 1u - (uint32_t)top) / row_step + 1u);
        p.from = (uint32_t)top * s->in_w + (uint32_t)left;
    }
    if (step == 1u && p.cols == p.from_row && p.cols * LAM_CELL == to_row) { /* nothing between the rows */
        p.cols *= p.rows;
        p.rows = 1;
    }
    return p;
}

/* One lane of the cells. x: the plane. */
static LAM_MVE_NOINLINE void lam_mve_lay_plane(const lam_mve_patch *p, const uint8_t *x, int8_t *to)
{
    const uint8x16_t count = vidupq_n_u8(0, 1), high = vdupq_n_u8(128);
    const uint8x16_t from_columns = vmulq_n_u8(count, (uint8_t)p->step), to_lanes = vmulq_n_u8(count, LAM_CELL);
    const uint32_t from_16 = 16u * p->step, from_row = p->from_row, to_row = p->to_row, rows = p->rows;
    uint32_t cols = p->cols;
    x += p->from;
    to += p->to;
    if (rows == 1u) { /* a long one, most often */
        for (; cols >= 16u; cols -= 16u, x += from_16, to += 16u * LAM_CELL) {
            const uint8x16_t pixels = veorq_u8(vldrbq_gather_offset_u8(x, from_columns), high);
            vstrbq_scatter_offset_s8(to, to_lanes, vreinterpretq_s8_u8(pixels));
        }
    }
    for (; cols > 0; cols -= lam_mve_least(cols, 16u), x += from_16, to += 16u * LAM_CELL) {
        const mve_pred16_t first = vctp8q(cols);
        const uint8_t *from = x;
        int8_t *cell = to;
        for (uint32_t r = rows; r > 0; r--, from += from_row, cell += to_row) {
            const uint8x16_t pixels = veorq_u8(vldrbq_gather_offset_z_u8(from, from_columns, first), high);
            vstrbq_scatter_offset_p_s8(cell, to_lanes, vreinterpretq_s8_u8(pixels), first);
        }
    }
}

/* The rows of a band for one group. x: its first input channel. first: the convolution's first output row. */
static LAM_MVE_NOINLINE void lam_mve_lay(const lam_conv2d_mve_desc *d, const lam_mve_band *b, const uint8_t *x, uint32_t first,
                        uint32_t out_rows, int8_t *cells)
{
    const lam_conv2d_shape *s = &d->shape;
    const size_t plane = (size_t)s->in_h * s->in_w;
    const int32_t top = (int32_t)(first * s->stride_h) - s->pad_top;
    const int8x16_t padding = vdupq_n_s8((int8_t)(s->in_zero ^ 128u));
    int8_t *cell = cells;
    for (size_t left = lam_mve_cells(b) / LAM_CELL; left > 0; left--, cell += LAM_CELL) {
        vstrbq_s8(cell, padding);
    }
    if (d->flat) {
        const uint32_t taps = (uint32_t)s->kernel_h * s->kernel_w;
        for (uint32_t tap = 0, u = 0, v = 0; tap < taps; tap++) {
            const lam_mve_patch p =
                lam_mve_patch_of(s, top + (int32_t)(u * s->dilation_h), s->stride_h, out_rows,
                                 (int32_t)(v * s->dilation_w) - s->pad_left, s->stride_w, b->pitch, b->row);
            const uint8_t *from = x;
            for (uint32_t k = tap; k < b->lanes; k += taps, from += plane) {
                lam_mve_lay_plane(&p, from, cells + k / 16u * b->line + k % 16u);
            }
            if (++v == s->kernel_w) {
                v = 0;
                u++;
            }
        }
        return;
    }
    const uint32_t rows = (out_rows - 1u) * s->stride_h + (s->kernel_h - 1u) * s->dilation_h + 1u;
    for (uint32_t phase = 0; phase < b->phases; phase++, cells += b->pitch * LAM_CELL) {
        const lam_mve_patch p =
            lam_mve_patch_of(s, top, 1, rows, (int32_t)phase - s->pad_left, s->stride_w, b->pitch, b->row);
        const uint8_t *from = x;
        for (uint32_t c = 0; c < b->lanes; c++, from += plane) {
            lam_mve_lay_plane(&p, from, cells + c / 16u * b->line + c % 16u);
        }
    }
}

/* --- the weights --- */

/* Where the cells of a window lie, by rows, 16 channels each, columns: bytes from each to the next, into the stream.
 * Bytes from the first to the last. */
static LAM_MVE_NOINLINE uint32_t lam_mve_lay_steps(const lam_conv2d_shape *s, const lam_mve_band *b, int8_t *stream)
{
    uint32_t at = 0;
    for (uint32_t u = 0; u < b->kernel_h; u++) {
        for (uint32_t c = 0; c < b->deep; c++) {
            const uint32_t start = u * s->dilation_h * b->row + c * b->line;
            for (uint32_t v = 0; v < b->kernel_w; v++, stream += b->step_bytes) {
                const uint32_t column = v * s->dilation_w;
                const uint32_t place = start + (column % s->stride_w * b->pitch + column / s->stride_w) * LAM_CELL;
                const uint32_t go = place - at;
                memcpy(stream, &go, sizeof go);
                at = place;
            }
        }
    }
    return at;
}

/* The levels of an output channel in the order of the steps. They lie tap by tap for each channel: those of a cell are
 * `taps` apart. */
static LAM_MVE_NOINLINE void lam_mve_weave(const lam_mve_band *b, const int16_t *levels, int8_t *w)
{
    const uint32_t taps = b->kernel_h * b->kernel_w;
    const uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)taps);
    for (uint32_t u = 0; u < taps; u += b->kernel_w) {
        const int16_t *line = levels + u;
        for (uint32_t left = b->lanes;; left -= 16u, line += 16u * taps) {
            const mve_pred16_t first = vctp16q(left), second = vctp16q(left > 8u ? left - 8u : 0u);
            for (uint32_t tap = 0; tap < b->kernel_w; tap++, w += b->step_bytes) {
                vstrbq_s16(w, vldrhq_gather_shifted_offset_z_s16(line + tap, places, first));
                vstrbq_s16(w + 8, vldrhq_gather_shifted_offset_z_s16(line + tap + 8u * taps, places, second));
            }
            if (left <= 16u) {
                break;
            }
        }
    }
}

/* The same for levels of 8 bits that are read where they are; at most 17 taps, for the places of 16 levels have 8 bits. */
static LAM_MVE_NOINLINE void lam_mve_weave_int8(const lam_mve_band *b, const int8_t *levels, int8_t *w)
{
    const uint32_t taps = b->kernel_h * b->kernel_w;
    const uint8x16_t places = vmulq_n_u8(vidupq_n_u8(0, 1), (uint8_t)taps);
    for (uint32_t u = 0; u < taps; u += b->kernel_w) {
        const int8_t *line = levels + u;
        for (uint32_t left = b->lanes;; left -= 16u, line += 16u * taps) {
            const mve_pred16_t there = vctp8q(left);
            for (uint32_t tap = 0; tap < b->kernel_w; tap++, w += b->step_bytes) {
                vstrbq_s8(w, vldrbq_gather_offset_z_s8(line + tap, places, there));
            }
            if (left <= 16u) {
                break;
            }
        }
    }
}

/* The same for a kernel one tap wide and high. */
static LAM_MVE_NOINLINE void lam_mve_weave_ones(uint32_t left, uint32_t step_bytes, const int8_t *levels, int8_t *w)
{
    for (; left >= 16u; left -= 16u, levels += 16, w += step_bytes) {
        vstrbq_s8(w, vldrbq_s8(levels));
    }
    if (left > 0) {
        vstrbq_s8(w, vldrbq_z_s8(levels, vctp8q(left)));
    }
}

/* The same for a kernel three taps wide. */
static LAM_MVE_NOINLINE void lam_mve_weave_threes(uint32_t lanes, uint32_t kernel_h, uint32_t step_bytes,
                                                  const int8_t *levels, int8_t *w)
{
    const uint32_t taps = 3u * kernel_h;
    const uint8x16_t places = vmulq_n_u8(vidupq_n_u8(0, 1), (uint8_t)taps);
    for (uint32_t u = kernel_h; u > 0; u--, levels += 3) {
        const int8_t *line = levels;
        uint32_t left = lanes;
        for (; left >= 16u; left -= 16u, line += 16u * taps, w += 3u * step_bytes) {
            vstrbq_s8(w, vldrbq_gather_offset_s8(line, places));
            vstrbq_s8(w + step_bytes, vldrbq_gather_offset_s8(line + 1, places));
            vstrbq_s8(w + 2u * step_bytes, vldrbq_gather_offset_s8(line + 2, places));
        }
        if (left > 0) {
            const mve_pred16_t there = vctp8q(left);
            vstrbq_s8(w, vldrbq_gather_offset_z_s8(line, places, there));
            vstrbq_s8(w + step_bytes, vldrbq_gather_offset_z_s8(line + 1, places, there));
            vstrbq_s8(w + 2u * step_bytes, vldrbq_gather_offset_z_s8(line + 2, places, there));
            w += 3u * step_bytes;
        }
    }
}

/* --- the output --- */

typedef struct {
    const lam_conv2d_mve_desc *d;
    const lam_mve_band *b;
    const lam_mve_room *room;
    lam_mve_run run;
    lam_requant_one q[2];
    uint8_t *y[2];
    uint32_t channels; /* 1 or 2 */
} lam_mve_task;

static LAM_MVE_NOINLINE void lam_mve_store(lam_mve_task *t, const lam_requant_one *q, const int32_t *acc, uint32_t apart, uint32_t n)
{
    for (uint32_t k = 0; k < t->channels; k++, acc += apart) {
        lam_mve_requant(&q[k], acc, n, t->y[k]);
        t->y[k] += n;
    }
}

/* `pixels` in runs that lie side by side, without pooling. As many as fit are requantised together. x: the first cell. */
static LAM_MVE_NOINLINE void lam_mve_plain(lam_mve_task *t, const int8_t *x, uint32_t step, uint32_t pixels)
{
    int32_t *const acc = t->room->acc;
    const uint32_t capacity = t->room->capacity - 1u, at_once = lam_mve_least(t->b->run, capacity);
    uint32_t n = 0;
    while (pixels > 0) {
        const uint32_t now = lam_mve_least(pixels, at_once);
        if (n + now > capacity) {
            lam_mve_store(t, t->q, acc, t->room->capacity, n);
            n = 0;
        }
        lam_mve_row(&t->run, x, now, acc + n);
        n += now;
        x += t->b->run > capacity ? now * LAM_CELL : step;
        pixels -= now;
    }
    lam_mve_store(t, t->q, acc, t->room->capacity, n);
}

/* Takes a row of the convolution into the windows of a pooled row. Requantisation never reverses an order, so for the
 * maximum it can wait until the window is complete. */
static void lam_mve_pool(const lam_fused_pool *pool, const lam_requant_one *q, const int32_t *line, int32_t *pooled)
{
    uint32_t n = pool->out_w;
    if (pool->kind != LAM_POOL_MAX) {
        for (; n > 0; n--, line += pool->stride_w, pooled++) {
            for (uint32_t v = 0; v < pool->kernel_w; v++) {
                *pooled += lam_requant_apply(*q, line[v]);
            }
        }
        return;
    }
    if (pool->kernel_w == 2 && pool->stride_w == 2) { /* as nearly always */
        for (; n >= 4u; n -= 4u, line += 8, pooled += 4) {
            const int32x4x2_t pairs = vld2q_s32(line);
            const int32x4_t larger = vmaxq_s32(pairs.val[0], pairs.val[1]);
            vstrwq_s32(pooled, vmaxq_s32(vldrwq_s32(pooled), larger));
        }
    }
    for (; n > 0; n--, line += pool->stride_w, pooled++) {
        for (uint32_t v = 0; v < pool->kernel_w; v++) {
            *pooled = line[v] > *pooled ? line[v] : *pooled;
        }
    }
}

/* One pooled row. step: bytes from one row of the convolution to the next. */
static LAM_MVE_NOINLINE void lam_mve_pooled(lam_mve_task *t, const int8_t *x, uint32_t step)
{
    const lam_fused_pool *pool = &t->d->shape.pool;
    int32_t *const pooled = t->room->pooled;
    for (uint32_t i = 0; i < 2u * pool->out_w; i++) {
        pooled[i] = pool->kind == LAM_POOL_MAX ? INT32_MIN : pool->bias;
    }
    for (uint32_t row = pool->kernel_h; row > 0; row--, x += step) {
        lam_mve_row(&t->run, x, t->b->out_w, t->room->acc);
        for (uint32_t k = 0; k < t->channels; k++) {
            lam_mve_pool(pool, &t->q[k], t->room->acc + k * t->room->capacity, pooled + k * pool->out_w);
        }
    }
    if (pool->kind == LAM_POOL_MAX) {
        lam_mve_store(t, t->q, pooled, pool->out_w, pool->out_w);
    } else {
        const lam_requant_one one = lam_requant_at(&pool->q, 0), both[2] = {one, one};
        lam_mve_store(t, both, pooled, pool->out_w, pool->out_w);
    }
}

/* `rows` pooled rows of one or two output channels. */
static void lam_mve_rows(lam_mve_task *t, uint32_t rows)
{
    const lam_fused_pool *pool = &t->d->shape.pool;
    const uint32_t step = t->b->row_step * t->b->row;
    const int8_t *x = t->room->cells;
    if (pool->kind == LAM_POOL_NONE) {
        lam_mve_plain(t, x, step, rows * t->b->out_w);
        return;
    }
    for (; rows > 0; rows--, x += step * pool->stride_h) {
        lam_mve_pooled(t, x, step);
    }
}

void lam_conv2d_mve(const lam_conv2d_mve_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    const lam_conv2d_shape *s = &d->shape;
    const lam_mve_band b = lam_mve_band_of(d);
    const lam_mve_room room = lam_mve_cut(d, &b, scratch);
    const uint32_t group_out = s->group_out_c, group_in = s->group_in_c;
    const uint32_t n_levels = group_in * s->kernel_h * s->kernel_w;
    const size_t plane_out = (size_t)s->pool.out_h * s->pool.out_w;
    lam_mve_task t;
    t.d = d;
    t.b = &b;
    t.room = &room;
    t.run.stream = room.stream;
    t.run.apart = room.capacity * (uint32_t)sizeof *room.acc;
    t.run.bias[1] = 0;
    t.q[0] = t.q[1] = lam_requant_at(&s->q, 0);
    int8_t *levels = room.stream;
    if (b.by_lines) {
        t.run.n = b.steps / 3u;
        t.run.line = b.deep == 1u ? s->dilation_h * b.row : b.line;
        t.run.back = t.run.n * t.run.line - 4u * LAM_CELL;
    } else {
        t.run.n = b.steps;
        t.run.line = 0;
        t.run.back = lam_mve_lay_steps(s, &b, room.stream) - 4u * LAM_CELL;
        levels += 4;
    }
    for (uint32_t first = 0; first < s->pool.out_h; first += d->band_rows) {
        const uint32_t rows = lam_mve_least(d->band_rows, s->pool.out_h - first);
        const uint32_t out_rows = (rows - 1u) * s->pool.stride_h + s->pool.kernel_h;
        uint8_t *y_band = y + (size_t)first * s->pool.out_w;
        const uint8_t *x_group = x;
        const int8_t *narrow = d->weights;
        lam_stream stream = lam_stream_of(d->weights);
        uint32_t left_in_group = 0;
        for (uint32_t o = 0; o < s->out_c; o += t.channels, left_in_group -= t.channels) {
            if (left_in_group == 0) {
                lam_mve_lay(d, &b, x_group, first * s->pool.stride_h, out_rows, room.cells);
                x_group += (size_t)group_in * s->in_h * s->in_w;
                left_in_group = group_out;
            }
            t.channels = lam_mve_least(2u, left_in_group);
            for (uint32_t k = 0; k < t.channels; k++, y_band += plane_out, narrow += n_levels) {
                if (d->unpack != NULL) {
                    d->unpack(&stream, room.levels, n_levels);
                    lam_mve_weave(&b, room.levels, levels + k * LAM_CELL);
                } else if (b.kernel_w == 3u) {
                    lam_mve_weave_threes(b.lanes, b.kernel_h, b.step_bytes, narrow, levels + k * LAM_CELL);
                } else if (b.kernel_w == 1u && b.kernel_h == 1u) {
                    lam_mve_weave_ones(b.lanes, b.step_bytes, narrow, levels + k * LAM_CELL);
                } else {
                    lam_mve_weave_int8(&b, narrow, levels + k * LAM_CELL);
                }
                t.run.bias[k] = lam_bias_at(s->bias, s->narrow_bias, o + k);
                if (s->q.per_channel) {
                    t.q[k] = lam_requant_at(&s->q, o + k);
                }
                t.y[k] = y_band;
            }
            lam_mve_rows(&t, rows);
        }
    }
}

#endif
