#include "lam_conv2d_depthwise_tile.h"

/* How the scratch is divided; codegen/kernels/depthwise.py has the same arithmetic. */
typedef struct {
    uint32_t multiplier; /* output channels of an input channel */
    uint32_t taps;
    uint32_t pitch, rows; /* of the band, in pixels */
    uint32_t line;        /* accumulators of a row, in whole tiles */
} lam_depthwise_plan;

static lam_depthwise_plan lam_depthwise_plan_of(const lam_conv2d_depthwise_desc *d)
{
    const lam_conv2d_shape *s = &d->shape;
    lam_depthwise_plan p;
    p.multiplier = (uint32_t)s->out_c / s->in_c;
    p.taps = (uint32_t)s->kernel_h * s->kernel_w;
    p.line = (s->out_w + LAM_DEPTHWISE_TILE - 1u) / LAM_DEPTHWISE_TILE * LAM_DEPTHWISE_TILE;
    p.pitch = (p.line - 1u) * s->stride_w + (s->kernel_w - 1u) * s->dilation_w + 1u;
    p.pitch += p.pitch % 2u;
    p.rows = (d->band_rows - 1u) * s->stride_h + (s->kernel_h - 1u) * s->dilation_h + 1u;
    return p;
}

size_t lam_conv2d_depthwise_scratch(const lam_conv2d_depthwise_desc *d)
{
    const lam_depthwise_plan p = lam_depthwise_plan_of(d);
    return 4u * (size_t)(p.line + p.taps + 3u) + 2u * (size_t)p.pitch * p.rows + 2u * (size_t)p.multiplier * p.taps;
}

/* n pixels of padding, in pairs: rows of the band are even. */
static void lam_depthwise_fill(uint16_t *band, size_t n, uint32_t value)
{
    uint32_t *pair = (uint32_t *)(void *)band;
    const uint32_t pairs = value | value << 16;
    for (const uint32_t *end = pair + n / 2u; pair != end; pair++) {
        *pair = pairs;
    }
}

LAM_DEPTHWISE_INLINE void lam_depthwise_widen4(const uint8_t *x, uint16_t *to)
{
#if LAM_DEPTHWISE_PAIRS
    const uint32_t word = lam_load32(x);
    const uint32_t even = lam_uxtb16(word), odd = lam_uxtb16_ror8(word);
    lam_store32(to, lam_low_halves(even, odd));
    lam_store32(to + 2, lam_high_halves((int32_t)even, (int32_t)odd));
#else
    const uint8_t a = x[0], b = x[1], c = x[2], d = x[3];
    to[0] = a;
    to[1] = b;
    to[2] = c;
    to[3] = d;
#endif
}

/* n pixels to 16 bits. to: at any pixel. */
static void lam_depthwise_widen(const uint8_t *x, uint32_t n, uint16_t *to)
{
    const uint8_t *end = x + n;
    for (; end - x >= 8; x += 8, to += 8) {
        lam_depthwise_widen4(x, to);
        lam_depthwise_widen4(x + 4, to + 4);
    }
    if (end - x >= 4) {
        lam_depthwise_widen4(x, to);
        x += 4;
        to += 4;
    }
    while (x != end) {
        *to++ = *x++;
    }
}

/* The band whose first row is `first` of the padded image: rows of the image between columns of padding that are there
 * already. Where the image lies differently in another band, `refill`, rows of padding are written too. */
static void lam_depthwise_load(const lam_conv2d_shape *s, const lam_depthwise_plan *p, const uint8_t *x, uint32_t first,
                               int refill, uint16_t *band)
{
    if (p->pitch <= s->pad_left) {
        return; /* no window reaches the image */
    }
    const uint32_t room = p->pitch - s->pad_left;
    const uint32_t cols = s->in_w < room ? s->in_w : room;
    const uint32_t above = first < s->pad_top ? s->pad_top - first : 0u; /* rows of padding in front */
    const uint32_t skipped = above < p->rows ? above : p->rows;
    const uint32_t row = first + above - s->pad_top; /* of the image */
    const uint32_t below = row < s->in_h ? s->in_h - row : 0u;
    const uint32_t n = p->rows - skipped < below ? p->rows - skipped : below;
    if (refill) {
        lam_depthwise_fill(band, (size_t)skipped * p->pitch, s->in_zero);
        lam_depthwise_fill(band + (size_t)(skipped + n) * p->pitch, (size_t)(p->rows - skipped - n) * p->pitch,
                           s->in_zero);
    }
    uint16_t *to = band + (size_t)skipped * p->pitch + s->pad_left;
    for (uint32_t i = 0; i < n; i++) {
        lam_depthwise_widen(x + (size_t)(row + i) * s->in_w, cols, to + (size_t)i * p->pitch);
    }
}

/* The levels of an output channel in the form that the rows want. */
static void lam_depthwise_prepare(const int16_t *level, uint32_t rows, uint32_t taps, uint32_t *word)
{
    for (; rows > 0; rows--, level += taps) {
        for (uint32_t v = 0; v < taps; v++) {
            *word++ = lam_depthwise_word(level[v], v + 1u < taps ? level[v + 1u] : 0);
        }
    }
}

/* Any shape. Beyond the last pixel of the row whole tiles read on into the band, whose rows are long enough for it. */
static void lam_depthwise_any(const lam_depthwise_channel *t, const uint16_t *band, uint32_t rows, uint8_t *y)
{
    const lam_conv2d_shape *s = t->s;
    const uint32_t step = s->stride_w, down = t->pitch * s->dilation_h;
    for (; rows > 0; rows--, band += t->pitch * s->stride_h, y += s->out_w) {
        const uint16_t *x = band;
        int32_t *acc = t->line;
        for (const int32_t *end = acc + s->out_w; acc < end; acc += 4, x += 4u * step) {
            const int32_t bias = (int32_t)t->level[(uint32_t)s->kernel_h * s->kernel_w];
            lam_depthwise_sums sums = {bias, bias, bias, bias};
            const uint32_t *level = t->level;
            const uint16_t *line = x;
            for (uint32_t u = s->kernel_h; u > 0; u--, line += down) {
                const uint16_t *pixel = line;
                for (uint32_t v = s->kernel_w; v > 0; v--, pixel += s->dilation_w) {
                    sums = lam_depthwise_tap(sums, *level++, pixel, step);
                }
            }
            acc[0] = sums.a;
            acc[1] = sums.b;
            acc[2] = sums.c;
            acc[3] = sums.d;
        }
        lam_depthwise_finish(t, s->out_w, y);
    }
}

/* Shifts other than 32 are rare: kept apart, so that their many registers are only saved where they are needed. */
#if defined(__GNUC__)
__attribute__((noinline))
#endif
static void lam_depthwise_finish_wide(lam_requant_one q, const int32_t *acc, uint32_t n, uint8_t *y)
{
    for (; n > 0; n--) {
        *y++ = lam_requant_wide(q, *acc++);
    }
}

static lam_depthwise_split lam_depthwise_split_of(lam_requant_one q, uint32_t shift)
{
    lam_depthwise_split p = {0, 0, 0, 0, 0};
    if (shift != 0) {
        p.shift = shift;
        p.rest = 32u - shift;
        p.high_part = q.multiplier >> shift;
        p.low_part = q.multiplier & (int32_t)((1u << shift) - 1u);
        p.round = (q.zero << p.rest) + ((int32_t)1 << (p.rest - 1u));
    }
    return p;
}

#if LAM_NO_LONG_MULTIPLY
static void lam_depthwise_finish_split(const lam_depthwise_channel *t, uint32_t n, uint8_t *y)
{
    const int32_t *acc = t->line;
    const int32_t *end = acc + n;
#if LAM_DEPTHWISE_ARMV6M
    if (n > 0 && t->q.low == 0 && t->q.high == 255) {
        lam_depthwise_put_line(acc, end, y, &t->split);
        return;
    }
#endif
    const lam_depthwise_split p = t->split;
    const int32_t low = t->q.low, high = t->q.high;
    for (; acc != end; acc++) {
        *y++ = lam_clamp(((*acc * p.low_part >> p.shift) + *acc * p.high_part + p.round) >> p.rest, low, high);
    }
}
#endif

void lam_depthwise_finish(const lam_depthwise_channel *t, uint32_t n, uint8_t *y)
{
    if (t->q.shift != 32u) {
        lam_depthwise_finish_wide(t->q, t->line, n, y);
        return;
    }
#if LAM_NO_LONG_MULTIPLY
    if (t->split.shift != 0) {
        lam_depthwise_finish_split(t, n, y);
        return;
    }
#endif
    const int32_t multiplier = t->q.multiplier, zero = t->q.zero, low = t->q.low, high = t->q.high;
    const int32_t *acc = t->line;
    const int32_t *end = acc + n;
#if !LAM_NO_LONG_MULTIPLY
    if (low == 0 && high == 255) {
        for (; acc != end; acc++) {
            *y++ = (uint8_t)lam_usat8(lam_smmlar(*acc, multiplier, zero));
        }
        return;
    }
#endif
    for (; acc != end; acc++) {
        *y++ = lam_clamp(lam_scale_by_2_32(*acc, multiplier) + zero, low, high);
    }
}

void lam_depthwise_run(const lam_conv2d_depthwise_desc *d, const uint8_t *x, uint8_t *y, void *scratch,
                       lam_depthwise_rows_fn *rows)
{
    const lam_conv2d_shape *s = &d->shape;
    const lam_depthwise_plan p = lam_depthwise_plan_of(d);
    const size_t out_plane = (size_t)s->out_h * s->out_w;
    uint32_t *words = (uint32_t *)(void *)((int32_t *)scratch + p.line);
    uint16_t *band = (uint16_t *)(void *)(words + p.taps + 3);
    int16_t *levels = (int16_t *)(void *)(band + (size_t)p.pitch * p.rows);
    lam_stream stream = lam_stream_of(d->weights);
    lam_depthwise_channel t;
    t.s = s;
    t.line = scratch;
    t.pitch = p.pitch;
    t.level = words;
    lam_depthwise_fill(band, (size_t)p.pitch * p.rows, s->in_zero);
    uint32_t o = 0;
    for (uint32_t c = 0; c < s->in_c; c++, o += p.multiplier, x += (size_t)s->in_h * s->in_w) {
        d->unpack(&stream, levels, p.multiplier * p.taps);
        for (uint32_t first = 0; first < s->out_h; first += d->band_rows) {
            const uint32_t left = s->out_h - first, out_rows = left < d->band_rows ? left : d->band_rows;
            lam_depthwise_load(s, &p, x, first * s->stride_h, d->band_rows < s->out_h, band);
            for (uint32_t m = 0; m < p.multiplier; m++) {
                lam_depthwise_prepare(levels + m * p.taps, s->kernel_h, s->kernel_w, words);
                t.q = lam_requant_of(&s->q, o + m);
                t.split = lam_depthwise_split_of(t.q, d->split);
                words[p.taps] = (uint32_t)lam_bias_at(s->bias, s->narrow_bias, o + m);
                words[p.taps + 1u] = (uint32_t)t.q.multiplier;
                words[p.taps + 2u] = (uint32_t)t.q.zero;
                rows(&t, band, out_rows, y + (o + m) * out_plane + (size_t)first * s->out_w);
            }
        }
    }
}

void lam_conv2d_depthwise(const lam_conv2d_depthwise_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    lam_depthwise_run(d, x, y, scratch, lam_depthwise_any);
}
