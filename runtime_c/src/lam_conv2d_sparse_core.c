#include "lam_conv2d_sparse_core.h"
#include "lam_requant.h"
#include "lam_simd.h"

#include <string.h>

/* Everything about a channel that its rows need. */
typedef struct {
    const lam_sparse_core *core;
    lam_sparse_sum sum;
    lam_requant_one q;
    int32_t bias;
    int is_wide;    /* sums may leave 16 bits, or a scale is one half or more, or 0 */
    int is_clamped; /* the range of y is narrower than a byte's */
    uint32_t pools_sums;
    uint32_t *minus, *plus;
    uint32_t n_minus, n_plus;
} lam_sparse_channel;

size_t lam_sparse_scratch(const lam_conv2d_sparse_desc *d, const lam_sparse_core *core)
{
    const lam_sparse_band b = d->band;
    const size_t columns = (size_t)b.channels * d->shape.kernel_h * d->shape.kernel_w;
    const size_t offsets = 4u * ((size_t)d->capacity + 2u);
    return ((size_t)b.copies * b.size << core->band.pixel_shift) + offsets + b.kept + 2u * columns;
}

/* A tile whose sums leave 16 bits, or whose requantisation does: worked off in parts that do not. */
static void lam_sparse_wide_tile(const lam_sparse_channel *c, const uint8_t *x, uint8_t *y)
{
    int32_t acc[LAM_SPARSE_TILE];
    uint32_t sums[LAM_SPARSE_TILE / 2u];
    lam_sparse_sum part = c->sum;
    uint32_t *minus = c->minus, *plus = c->plus;
    uint32_t n_minus = c->n_minus, n_plus = c->n_plus;
    for (uint32_t i = 0; i < LAM_SPARSE_TILE; i++) {
        acc[i] = c->bias;
    }
    while (n_minus + n_plus > 0) {
        const uint32_t some_minus = lam_least(n_minus, LAM_SPARSE_DEPTH);
        const uint32_t some_plus = lam_least(n_plus, LAM_SPARSE_DEPTH);
        const uint32_t next_minus = minus[some_minus], next_plus = plus[some_plus];
        minus[some_minus] = LAM_SPARSE_END;
        plus[some_plus] = LAM_SPARSE_END;
        part.minus = minus;
        part.plus = plus;
        c->core->sums(&part, x, sums, 1);
        c->core->add_tile(sums, acc);
        minus += some_minus;
        plus += some_plus;
        *minus = next_minus;
        *plus = next_plus;
        n_minus -= some_minus;
        n_plus -= some_plus;
    }
    for (uint32_t i = 0; i < LAM_SPARSE_TILE; i++) {
        y[i] = lam_requant_apply(c->q, acc[i]);
    }
}

/* n tiles. */
static void lam_sparse_tiles(const lam_sparse_channel *c, const uint8_t *x, uint8_t *y, uint32_t n)
{
    if (!c->is_wide) {
        if (n > 0) {
            c->core->tiles(&c->sum, x, y, n);
        }
        return;
    }
    for (; n > 0; n--, x += c->sum.step, y += LAM_SPARSE_TILE) {
        lam_sparse_wide_tile(c, x, y);
    }
}

/* Copies a part of a row: too short for a library function. */
LAM_SPARSE_APART void lam_sparse_bring(uint8_t *to, const uint8_t *from, uint32_t n)
{
    for (const uint8_t *end = from + (n & ~3u); from != end; from += 4, to += 4) {
#if defined(__ARM_FEATURE_UNALIGNED)
        lam_store32(to, lam_load32(from));
#else
        const uint8_t a = from[0], b = from[1], c = from[2], d = from[3];
        to[0] = a;
        to[1] = b;
        to[2] = c;
        to[3] = d;
#endif
    }
    for (n &= 3u; n > 0; n--) {
        *to++ = *from++;
    }
}

/* Exactly n pixels. */
static void lam_sparse_pixels(const lam_sparse_channel *c, const uint8_t *x, uint8_t *y, uint32_t n)
{
    const uint32_t rest = n % LAM_SPARSE_TILE, whole = n - rest, shift = c->core->band.pixel_shift;
    lam_sparse_tiles(c, x, y, whole / LAM_SPARSE_TILE);
    if (rest == 0) {
        return;
    }
    if (whole > 0 && (rest & (c->core->band.word - 1u)) == 0) {
        const uint32_t again = n - LAM_SPARSE_TILE; /* a few pixels twice: cheaper than to bring them over one by one */
        lam_sparse_tiles(c, x + ((size_t)again << shift), y + again, 1);
        return;
    }
    uint8_t last[LAM_SPARSE_TILE];
    lam_sparse_tiles(c, x + ((size_t)whole << shift), last, 1);
    lam_sparse_bring(y + whole, last, rest);
}

/* Results below or above the range of y. */
static void lam_sparse_clamp(uint8_t *y, uint32_t n, int32_t low, int32_t high)
{
    for (const uint8_t *end = y + n; y != end; y++) {
        *y = lam_clamp(*y, low, high);
    }
}

/* One pooled row. Requantisation never reverses an order, so a maximum may be taken behind it. */
static void lam_sparse_pool_row(const lam_fused_pool *pool, const uint8_t *x, uint32_t pitch, uint8_t *y)
{
    for (uint32_t j = 0; j < pool->out_w; j++, x += pool->stride_w) {
        const uint8_t *row = x;
        int32_t sum = pool->bias;
        uint8_t largest = 0;
        for (uint32_t u = 0; u < pool->kernel_h; u++, row += pitch) {
            for (uint32_t v = 0; v < pool->kernel_w; v++) {
                sum += row[v];
                largest = row[v] > largest ? row[v] : largest;
            }
        }
        y[j] = pool->kind == LAM_POOL_MAX ? largest : lam_requant_apply(lam_requant_at(&pool->q, 0), sum);
    }
}

/* n tiles into `kept`: as bytes, or as sums of which the maxima will be taken. */
static void lam_sparse_keep(const lam_sparse_channel *c, const uint8_t *x, uint8_t *kept, uint32_t n)
{
    if (c->pools_sums) {
        c->core->sums(&c->sum, x, (uint32_t *)(void *)kept, n);
    } else {
        lam_sparse_tiles(c, x, kept, n);
    }
}

/* The rows of a window, each in whole tiles. */
static void lam_sparse_window(const lam_sparse_channel *c, const lam_sparse_band *b, const uint8_t *x, uint32_t rows,
                              uint8_t *kept)
{
    if (b->line == LAM_SPARSE_TILE) {
        lam_sparse_keep(c, x, kept, rows);
        return;
    }
    for (uint32_t i = 0; i < rows; i++, kept += b->line << c->pools_sums) {
        lam_sparse_keep(c, x, kept, b->line / LAM_SPARSE_TILE);
        x += (size_t)b->pitch << c->core->band.pixel_shift;
    }
}

/* Pooled rows. */
static void lam_sparse_pooled(const lam_sparse_channel *c, const lam_fused_pool *pool, const lam_sparse_band *b,
                              const uint8_t *x, uint32_t rows, uint8_t *kept, uint8_t *y)
{
    const size_t row_bytes = (size_t)b->pitch << c->core->band.pixel_shift, line = b->line << c->pools_sums;
    if (b->is_flat) {
        const uint32_t out_rows = (rows - 1u) * pool->stride_h + pool->kernel_h;
        const uint32_t n = lam_up_to((out_rows - 1u) * b->pitch + b->out_w, LAM_SPARSE_TILE);
        lam_sparse_keep(c, x, kept, n / LAM_SPARSE_TILE);
        if (c->is_clamped && !c->pools_sums) {
            lam_sparse_clamp(kept, n, c->q.low, c->q.high);
        }
    }
    for (uint32_t i = 0; i < rows; i++, y += pool->out_w) {
        if (!b->is_flat) {
            lam_sparse_window(c, b, x, pool->kernel_h, kept);
            if (c->is_clamped && !c->pools_sums) {
                lam_sparse_clamp(kept, pool->kernel_h * b->line, c->q.low, c->q.high);
            }
            x += pool->stride_h * row_bytes;
        }
        if (c->pools_sums) {
            const uint32_t *const top = (const uint32_t *)(const void *)kept;
            c->core->pool_2x2(&c->sum, top, top + line / 4u, y, pool->out_w);
        } else {
            lam_sparse_pool_row(pool, kept, b->line, y);
        }
        kept += b->is_flat ? pool->stride_h * line : 0;
    }
}

/* `rows` rows of y, pooled or not, from the first pixels of the band on. */
static void lam_sparse_rows(const lam_sparse_channel *c, const lam_conv2d_shape *s, const lam_sparse_band *b,
                            const uint8_t *x, uint32_t rows, uint8_t *kept, uint8_t *y)
{
    const uint32_t out_w = s->pool.out_w;
    const int is_pooled = s->pool.kind != LAM_POOL_NONE;
    if (is_pooled) {
        lam_sparse_pooled(c, &s->pool, b, x, rows, kept, y);
    } else if (b->kept != 0) { /* a run over row ends: what lies between the rows is of no use */
        const uint32_t n = lam_up_to((rows - 1u) * b->pitch + out_w, LAM_SPARSE_TILE);
        lam_sparse_tiles(c, x, kept, n / LAM_SPARSE_TILE);
        for (uint32_t i = 0; i < rows; i++, kept += b->line) {
            lam_sparse_bring(y + i * out_w, kept, out_w);
        }
    } else if (b->is_flat || out_w == LAM_SPARSE_TILE) { /* one run of pixels, or of rows of one tile */
        lam_sparse_pixels(c, x, y, rows * out_w);
    } else {
        for (uint32_t i = 0; i < rows; i++, x += (size_t)b->pitch << c->core->band.pixel_shift) {
            lam_sparse_pixels(c, x, y + i * out_w, out_w);
        }
    }
    if (c->is_clamped && (!is_pooled || c->pools_sums)) {
        lam_sparse_clamp(y, rows * out_w, c->q.low, c->q.high);
    }
}

/* A uint16_t at an even address, of memory that is written as words meanwhile. */
static inline uint32_t lam_sparse_index(const uint8_t *index)
{
    uint16_t column;
#if defined(__GNUC__)
    memcpy(&column, __builtin_assume_aligned(index, 2), sizeof column);
#else
    memcpy(&column, index, sizeof column);
#endif
    return column;
}

/* Indices become offsets, in the same memory: the indices lie at its end, where no offset gets before they are read. */
LAM_SPARSE_APART uint32_t *lam_sparse_list(uint32_t *list, const uint8_t *index, uint32_t n, const uint16_t *offset_of,
                                 uint32_t pixel_shift)
{
    for (const uint8_t *end = index + (n & ~1u) * 2u; index != end; index += 4) {
        const uint32_t first = lam_sparse_index(index), second = lam_sparse_index(index + 2);
        *list++ = (uint32_t)offset_of[first] << pixel_shift;
        *list++ = (uint32_t)offset_of[second] << pixel_shift;
    }
    if (n & 1u) {
        *list++ = (uint32_t)offset_of[lam_sparse_index(index)] << pixel_shift;
    }
    *list++ = LAM_SPARSE_END;
    return list;
}

/* Reads the next channel's levels and says what is to be done with them. */
static void lam_sparse_next(lam_sparse_channel *c, const lam_conv2d_sparse_desc *d, uint32_t o, lam_stream *stream,
                            uint32_t columns, uint32_t *lists, const uint16_t *offset_of, uint32_t pools_sums)
{
    uint8_t *index = (uint8_t *)(lists + d->capacity + 2u) - 2u * (size_t)d->capacity;
    d->positions(stream, columns, (uint16_t *)(void *)index, d->capacity, &c->n_plus, &c->n_minus);
    c->plus = lists;
    c->minus = lam_sparse_list(lists, index, c->n_plus, offset_of, c->core->band.pixel_shift);
    lam_sparse_list(c->minus, index + 2u * (size_t)(d->capacity - c->n_minus), c->n_minus, offset_of,
                    c->core->band.pixel_shift);
    if (d->shape.q.per_channel) {
        c->q = lam_requant_at(&d->shape.q, o);
        c->sum.multiplier = c->q.multiplier;
    }
    c->bias = lam_bias_at(d->shape.bias, d->shape.narrow_bias, o);
    c->is_wide = c->q.shift != 32u || c->q.multiplier == 0 || c->bias - 255 * (int32_t)c->n_minus < INT16_MIN ||
                 c->bias + 255 * (int32_t)c->n_plus > INT16_MAX;
    c->sum.minus = c->minus;
    c->sum.plus = c->plus;
    c->pools_sums = c->is_wide ? 0 : pools_sums;
    const uint32_t bias = c->is_wide ? 0 : (uint32_t)c->bias;
    c->sum.start = c->core->carries ? bias * 0x00010001u : lam_pack16(bias, bias);
}

void lam_sparse_convolve(const lam_conv2d_sparse_desc *d, const lam_sparse_core *core, const uint8_t *x, uint8_t *y,
                         void *scratch)
{
    const lam_conv2d_shape *s = &d->shape;
    const lam_sparse_band b = d->band;
    const uint32_t columns = (uint32_t)b.channels * s->kernel_h * s->kernel_w;
    const size_t group_bytes = (size_t)b.channels * s->in_h * s->in_w;
    const size_t plane_out = (size_t)s->pool.out_h * s->pool.out_w;
    uint8_t *const band = scratch;
    uint32_t *const lists = (uint32_t *)(void *)(band + ((size_t)b.copies * b.size << core->band.pixel_shift));
    uint8_t *const kept = (uint8_t *)(lists + d->capacity + 2u);
    uint16_t *const offset_of = (uint16_t *)(void *)(kept + b.kept);
    const int rows_are_tiles = !b.is_flat && lam_up_to(b.out_w, LAM_SPARSE_TILE) == LAM_SPARSE_TILE;
    lam_sparse_channel c;
    c.core = core;
    c.q = lam_requant_at(&s->q, 0);
    c.is_clamped = c.q.low != 0 || c.q.high != 255;
    c.sum.multiplier = c.q.multiplier;
    c.sum.round = lam_round_of(c.q.zero);
    c.sum.step = (rows_are_tiles ? b.pitch : LAM_SPARSE_TILE) << core->band.pixel_shift;
    lam_band_offsets(d, &core->band, offset_of);
    for (uint32_t first = 0; first < s->pool.out_h; first += d->band_rows) {
        const uint32_t rows = lam_least(d->band_rows, s->pool.out_h - first);
        const uint8_t *group = x, *pixels = x;
        uint8_t *y_band = y + (size_t)first * s->pool.out_w;
        lam_stream stream = lam_stream_of(d->weights);
        uint32_t left_in_group = 0;
        for (uint32_t o = 0; o < s->out_c; o++, left_in_group--, y_band += plane_out) {
            if (left_in_group == 0) {
                left_in_group = s->group_out_c;
                pixels = group;
                if (b.copies != 0) {
                    const uint32_t out_rows = (rows - 1u) * s->pool.stride_h + s->pool.kernel_h;
                    lam_band_load(d, &core->band, group, first * s->pool.stride_h, out_rows, band);
                    pixels = band;
                }
                group += group_bytes;
            }
            lam_sparse_next(&c, d, o, &stream, columns, lists, offset_of, b.pools_sums);
            lam_sparse_rows(&c, s, &b, pixels, rows, kept, y_band);
        }
    }
}
