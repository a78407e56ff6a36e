#include "lam_conv2d.h"
#include "lam_conv2d_sparse_band.h"
#include "lam_conv2d_sparse_tile.h"
#include "lam_requant.h"

/* Scratch, cut up. */
typedef struct {
    uint16_t *pixels;    /* the band, its copy, and room for a tile that reaches past the last row */
    int32_t *lines;      /* tile_rows accumulators' lines */
    int32_t *pooled;     /* pool.out_w: maxima or sums so far */
    uint16_t *offset_of; /* cols: where the pixels of a column start */
    uint16_t *offsets;   /* capacity */
} lam_conv2d_sparse_room;

static uint32_t lam_columns(const lam_conv2d_sparse_desc *d, const lam_band *b)
{
    return b->channels * d->shape.kernel_h * d->shape.kernel_w;
}

size_t lam_conv2d_sparse_scratch(const lam_conv2d_sparse_desc *d)
{
    const lam_band b = lam_band_of(d);
    const size_t pixels = 2u * ((size_t)d->copies * b.size + LAM_BAND_SLACK);
    const size_t lines = 4u * (size_t)b.tile_rows * b.line;
    const size_t pooled = d->shape.pool.kind == LAM_POOL_NONE ? 0 : 4u * (size_t)d->shape.pool.out_w;
    return pixels + lines + pooled + 2u * ((size_t)lam_columns(d, &b) + d->capacity);
}

static lam_conv2d_sparse_room lam_conv2d_sparse_cut(const lam_conv2d_sparse_desc *d, const lam_band *b, void *scratch)
{
    const size_t pooled = d->shape.pool.kind == LAM_POOL_NONE ? 0 : d->shape.pool.out_w;
    lam_conv2d_sparse_room room;
    room.lines = scratch;
    room.pooled = room.lines + (size_t)b->tile_rows * b->line;
    room.pixels = (uint16_t *)(room.pooled + pooled);
    room.offset_of = room.pixels + (size_t)d->copies * b->size + LAM_BAND_SLACK;
    room.offsets = room.offset_of + lam_columns(d, b);
    return room;
}

typedef void lam_tile_fn(const lam_tile *t, const uint16_t *x, int32_t *acc);

/* A tile whose lists may be longer than its words can take: worked off in parts, the later ones by way of `part`. */
static void lam_sparse_long_tile(lam_tile_fn *tile, const lam_tile *t, const uint16_t *x, int32_t *acc, uint32_t rows,
                                 uint32_t columns)
{
    int32_t part[16];
    lam_tile p = *t;
    uint32_t plus_left = t->n_plus, minus_left = t->n_minus;
    for (;;) {
        p.n_plus = lam_least(plus_left, LAM_TILE_DEPTH);
        p.n_minus = lam_least(minus_left, LAM_TILE_DEPTH);
        if (p.plus == t->plus && p.minus == t->minus) {
            tile(&p, x, acc);
        } else {
            tile(&p, x, part);
            /* Unsigned, because pixels beyond the row hold anything. */
            for (uint32_t i = 0; i < rows; i++) {
                for (uint32_t j = 0; j < columns; j++) {
                    uint32_t sum = (uint32_t)acc[i * t->acc_pitch + j] + (uint32_t)part[i * columns + j];
                    acc[i * t->acc_pitch + j] = (int32_t)sum;
                }
            }
        }
        plus_left -= p.n_plus;
        minus_left -= p.n_minus;
        if (plus_left + minus_left == 0) {
            return;
        }
        p.plus += p.n_plus;
        p.minus += p.n_minus;
        p.bias = 0;
        p.acc_pitch = columns;
    }
}

/* Accumulators of `rows` (1, or the band's tile_rows) rows; x: the band at the first row's start. */
static void lam_sparse_lines(const lam_band *b, const lam_tile *t, const uint16_t *x, uint32_t rows, int32_t *line)
{
    const int is_long = t->n_plus > LAM_TILE_DEPTH || t->n_minus > LAM_TILE_DEPTH;
    uint32_t words = lam_even(b->out_w) / 2u;
    /* A tile may reach up to two words past the row: less work than exact tiles of fewer words. */
    for (;;) {
        lam_tile_fn *tile;
        uint32_t done, tile_rows = 1;
        if (LAM_TILE_WORDS >= 8u && words >= 6) {
            done = 8;
            tile = lam_tile_1x8;
        } else if (words >= 3) {
            done = 4;
            tile = lam_tile_1x4;
            if (LAM_TILE_WORDS >= 8u && rows == 2) {
                tile_rows = 2;
                tile = lam_tile_2x4;
            }
        } else {
            done = 2;
            tile = lam_tile_1x2;
            if (LAM_TILE_WORDS >= 8u && rows == 4) {
                tile_rows = 4;
                tile = lam_tile_4x2;
            } else if (rows >= 2) {
                tile_rows = 2;
                tile = lam_tile_2x2;
            }
        }
        for (uint32_t i = 0; i < rows; i += tile_rows) {
            if (is_long) {
                lam_sparse_long_tile(tile, t, x + i * t->pitch, line + i * t->acc_pitch, tile_rows, 2u * done);
            } else {
                tile(t, x + i * t->pitch, line + i * t->acc_pitch);
            }
        }
        if (words <= done) {
            return;
        }
        words -= done;
        x += 2u * done;
        line += 2u * done;
    }
}

/* For a core that faults on unaligned loads, and a band without the second copy: one pixel at a time. */
static void lam_sparse_lines_plain(const lam_band *b, const lam_tile *t, const uint16_t *x, uint32_t rows,
                                   int32_t *line)
{
    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t j = 0; j < b->out_w; j++) {
            uint32_t sum = (uint32_t)t->bias;
            for (uint32_t k = 0; k < t->n_plus; k++) {
                sum += x[t->plus[k] + j];
            }
            for (uint32_t k = 0; k < t->n_minus; k++) {
                sum -= x[t->minus[k] + j];
            }
            line[j] = (int32_t)sum;
        }
        x += t->pitch;
        line += t->acc_pitch;
    }
}

/* Requantises a row. What is the same for all pixels is decided outside the loops: they run once per output pixel. */
static void lam_sparse_store(lam_requant_one q, const int32_t *acc, uint32_t n, uint8_t *y)
{
    const int32_t *end = acc + n;
    if (q.shift != 32u) {
        while (acc != end) {
            *y++ = lam_requant_wide(q, *acc++);
        }
    } else if (q.low == 0 && q.high == 255) {
        while (acc != end) { /* two constants: one saturating instruction where there is one */
            *y++ = lam_clamp(lam_scale_by_2_32(*acc++, q.multiplier) + q.zero, 0, 255);
        }
    } else {
        while (acc != end) {
            *y++ = lam_clamp(lam_scale_by_2_32(*acc++, q.multiplier) + q.zero, q.low, q.high);
        }
    }
}

/* Takes row `row` of the windows of a pooled row into `pooled`. Requantisation never reverses an order, so for the
 * maximum it can wait until the window is complete. */
static void lam_sparse_pool(const lam_fused_pool *pool, lam_requant_one q, const int32_t *line, uint32_t row,
                            int32_t *pooled)
{
    for (uint32_t j = 0; j < pool->out_w; j++, line += pool->stride_w) {
        if (pool->kind == LAM_POOL_MAX) {
            int32_t largest = row == 0 ? line[0] : pooled[j];
            for (uint32_t v = 0; v < pool->kernel_w; v++) {
                largest = line[v] > largest ? line[v] : largest;
            }
            pooled[j] = largest;
        } else {
            int32_t sum = row == 0 ? pool->bias : pooled[j];
            for (uint32_t v = 0; v < pool->kernel_w; v++) {
                sum += lam_requant_apply(q, line[v]);
            }
            pooled[j] = sum;
        }
    }
}

/* One output channel of a loaded band: out_rows rows of the convolution, pooled into y. */
static void lam_sparse_channel(const lam_conv2d_sparse_desc *d, const lam_band *b, const lam_conv2d_sparse_room *room,
                               const lam_tile *t, lam_requant_one q, uint32_t out_rows, uint8_t *y)
{
    const lam_fused_pool *pool = &d->shape.pool;
    /* Rows between two windows are of no use to anybody: then each row for itself. */
    const uint32_t together = pool->stride_h == pool->kernel_h ? b->tile_rows : 1u;
    uint32_t in_window = 0;
    for (uint32_t row = 0; row < out_rows;) {
        const uint32_t n = out_rows - row < together ? 1u : together;
        const uint16_t *x = room->pixels + row * t->pitch;
        if (in_window < pool->kernel_h) {
            if (LAM_UNALIGNED_LOADS || d->copies == 2) {
                lam_sparse_lines(b, t, x, n, room->lines);
            } else {
                lam_sparse_lines_plain(b, t, x, n, room->lines);
            }
        }
        for (uint32_t i = 0; i < n; i++, row++) {
            const int32_t *line = room->lines + i * b->line;
            if (pool->kind == LAM_POOL_NONE) {
                lam_sparse_store(q, line, pool->out_w, y);
                y += pool->out_w;
                continue;
            }
            if (in_window < pool->kernel_h) {
                lam_sparse_pool(pool, q, line, in_window, room->pooled);
            }
            if (in_window + 1u == pool->kernel_h) {
                lam_requant_one last = pool->kind == LAM_POOL_MAX ? q : lam_requant_at(&pool->q, 0);
                lam_sparse_store(last, room->pooled, pool->out_w, y);
                y += pool->out_w;
            }
            in_window = in_window + 1u == pool->stride_h ? 0 : in_window + 1u;
        }
    }
}

void lam_conv2d_sparse(const lam_conv2d_sparse_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    const lam_conv2d_shape *s = &d->shape;
    const lam_band b = lam_band_of(d);
    const lam_conv2d_sparse_room room = lam_conv2d_sparse_cut(d, &b, scratch);
    const uint32_t columns = lam_columns(d, &b);
    const uint32_t pitch = b.row_step * b.phases * b.pitch;
    const size_t group_bytes = (size_t)b.channels * s->in_h * s->in_w;
    const size_t plane_out = (size_t)s->pool.out_h * s->pool.out_w;
    lam_band_offsets(d, &b, room.offset_of);
    for (uint32_t first = 0; first < s->pool.out_h; first += d->band_rows) {
        const uint32_t pooled_rows = lam_least(d->band_rows, s->pool.out_h - first);
        const uint32_t out_rows = (pooled_rows - 1u) * s->pool.stride_h + s->pool.kernel_h;
        const uint8_t *group = x;
        uint8_t *y_band = y + (size_t)first * s->pool.out_w;
        lam_stream stream = lam_stream_of(d->weights);
        uint32_t left_in_group = 0;
        for (uint32_t o = 0; o < s->out_c; o++, left_in_group--, y_band += plane_out) {
            if (left_in_group == 0) {
                left_in_group = (uint32_t)s->out_c / s->groups;
                lam_band_load(d, &b, group, first * s->pool.stride_h, out_rows, room.pixels);
                group += group_bytes;
            }
            uint32_t plus, minus;
            uint16_t *offsets = room.offsets;
            d->positions(&stream, columns, offsets, d->capacity, &plus, &minus);
            const lam_tile t = {offsets, offsets + d->capacity - minus, plus, minus, pitch, s->bias[o], b.line};
            for (uint32_t i = 0; i < plus; i++) {
                offsets[i] = room.offset_of[offsets[i]];
            }
            for (uint32_t i = d->capacity - minus; i < d->capacity; i++) {
                offsets[i] = room.offset_of[offsets[i]];
            }
            lam_sparse_channel(d, &b, &room, &t, lam_requant_of(&s->q, o), out_rows, y_band);
        }
    }
}
