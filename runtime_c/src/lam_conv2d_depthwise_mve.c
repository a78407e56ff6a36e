#include "lam_conv2d_depthwise_mve.h"
#include "lam_mve.h"

#if defined(__ARM_FEATURE_MVE)

#define LAM_TILE 8u  /* pixels, in two vectors */
#define LAM_KEPT 96u /* accumulators that are requantised together, where rows of them can follow each other */

/* A level, and where it meets the input: bytes from the first pixel of a window. */
typedef struct {
    int32_t level;
    uint32_t place;
} lam_depthwise_tap;

/* Of the assembly below: q0 and q1 are eight sums of the upper row, q2 and q3 of the lower one. */
#define LAM_LEVEL(place, w) "ldr %[" w "], [%[w], #" #place "]\n\t"
#define LAM_PIXELS(v) "vldrb.u32 q4, [%[at], #" #v "]\n\tvldrb.u32 q5, [%[at], #" #v " + 4]\n\t"
#define LAM_UPPER(w) "vmla.s32 q0, q4, %[" w "]\n\tvmla.s32 q1, q5, %[" w "]\n\t"
#define LAM_LOWER(w) "vmla.s32 q2, q4, %[" w "]\n\tvmla.s32 q3, q5, %[" w "]\n\t"
#define LAM_ABOVE(v, w) LAM_PIXELS(v) LAM_UPPER(w)
#define LAM_BELOW(v, w) LAM_PIXELS(v) LAM_LOWER(w)
#define LAM_BOTH(v, w, above) LAM_PIXELS(v) LAM_UPPER(w) LAM_LOWER(above)
#define LAM_DOWN "add %[at], %[pitch]\n\t"

/* One output channel in one band. */
typedef struct {
    const lam_conv2d_shape *s;
    const lam_depthwise_tap *taps;
    uint32_t n_taps;
    uint32_t pitch;
    uint32_t line;     /* accumulators of a row: whole tiles */
    uint32_t apart;    /* from row to row. out_w: a row may write into the next, which comes later */
    uint32_t capacity; /* accumulators of acc */
    int32_t *acc;
    int32_t bias;
    lam_requant_one q;
} lam_depthwise_task;

/* The accumulators of rows, or of pairs of rows, from the first pixel of their windows on. n: rows or pairs. */
typedef void lam_depthwise_run_fn(const lam_depthwise_task *t, const uint8_t *x, int32_t *acc, uint32_t n);

typedef struct {
    uint32_t line, apart, capacity, pitch, bytes;
} lam_depthwise_band;

static lam_depthwise_band lam_depthwise_band_of(const lam_conv2d_depthwise_mve_desc *d)
{
    const lam_conv2d_shape *s = &d->shape;
    const uint32_t even = (d->band_rows + 1u) & ~1u;
    lam_depthwise_band b;
    b.line = (s->out_w + LAM_TILE - 1u) / LAM_TILE * LAM_TILE;
    b.apart = b.line == LAM_TILE ? s->out_w : b.line;
    b.capacity = b.apart != s->out_w ? 2u * b.line : (2u * b.line > LAM_KEPT ? 2u * b.line : LAM_KEPT) + LAM_TILE;
    b.pitch = (b.line - 1u) * s->stride_w + (s->kernel_w - 1u) * s->dilation_w + 1u;
    b.bytes = b.pitch * ((even - 1u) * s->stride_h + (s->kernel_h - 1u) * s->dilation_h + 1u);
    b.bytes = (b.bytes + LAM_MVE_BYTES - 1u) / LAM_MVE_BYTES * LAM_MVE_BYTES;
    return b;
}

size_t lam_conv2d_depthwise_mve_scratch(const lam_conv2d_depthwise_mve_desc *d)
{
    const lam_conv2d_shape *s = &d->shape;
    const size_t taps = (size_t)s->kernel_h * s->kernel_w;
    const lam_depthwise_band b = lam_depthwise_band_of(d);
    return 8u * taps + 4u * b.capacity + b.bytes + 2u * (s->out_c / s->in_c) * taps;
}

/* Copies the rows of an input channel that a band needs. x: the channel. top: the first of them, in the padded image.
 * What lies outside the image keeps what it has. */
static void lam_depthwise_copy(const lam_conv2d_shape *s, const uint8_t *x, uint32_t top, uint32_t n_rows,
                               uint32_t pitch, uint8_t *band)
{
    for (; top < s->pad_top && n_rows > 0; top++, n_rows--) {
        band += pitch;
    }
    top -= s->pad_top;
    if (s->pad_left >= pitch || n_rows == 0 || top >= s->in_h) {
        return;
    }
    const uint32_t n = lam_mve_least(s->in_w, pitch - s->pad_left), in_w = s->in_w;
    n_rows = lam_mve_least(n_rows, s->in_h - top);
    x += (size_t)top * in_w;
    band += s->pad_left;
    for (uint32_t j = 0; j < n; j += LAM_MVE_BYTES) {
        const mve_pred16_t first = vctp8q(n - j);
        const uint8_t *from = x + j;
        uint8_t *to = band + j;
        for (uint32_t r = n_rows; r > 0; r--, from += in_w, to += pitch) {
            vstrbq_p_u8(to, vldrbq_z_u8(from, first), first);
        }
    }
}

/* The accumulators of rows for any kernel, tap by tap. */
static LAM_MVE_NOINLINE void lam_depthwise_any(const lam_depthwise_task *t, const uint8_t *x, int32_t *acc, uint32_t n)
{
    const uint32_t step = t->s->stride_w, n_taps = t->n_taps;
    const uint32x4_t columns = vmulq_n_u32(vidupq_n_u32(0, 1), step);
    for (; n > 0; n--, x += t->s->stride_h * t->pitch, acc += t->apart) {
        for (uint32_t j = 0; j < t->line; j += LAM_TILE) {
            const lam_depthwise_tap *tap = t->taps;
            int32x4_t a = vdupq_n_s32(t->bias), b = a;
            for (uint32_t k = n_taps; k > 0; k--, tap++) {
                const uint8_t *at = x + j * step + tap->place;
                a = vmlaq_n_s32(a, vreinterpretq_s32_u32(vldrbq_gather_offset_u32(at, columns)), tap->level);
                at += 4u * step;
                b = vmlaq_n_s32(b, vreinterpretq_s32_u32(vldrbq_gather_offset_u32(at, columns)), tap->level);
            }
            vstrwq_s32(acc + j, a);
            vstrwq_s32(acc + j + 4, b);
        }
    }
}

/* The accumulators of n pairs of rows for a kernel of 3 x 3 with stride 1, which share what they load. Written out: the
 * compiler would keep neither the sums nor the levels in registers. x: the first pixel of four rows of the input. */
static LAM_MVE_CROWDED void lam_depthwise_3x3(const lam_depthwise_task *t, const uint8_t *x, int32_t *acc, uint32_t n)
{
    const lam_depthwise_tap *const w = t->taps;
    const uint32_t pitch = t->pitch, line = t->line, apart = t->apart * 4u;
    for (uint32_t j = 0; n > 0;) {
        const uint8_t *at = x + j;
        int32_t *to = acc + j;
        int32_t a, b, c, d;
        __asm__ volatile("vdup.32 q0, %[bias]\n\t"
                "vmov q1, q0\n\tvmov q2, q0\n\tvmov q3, q0\n\t"
                /* row 0: for the upper sums only */
                LAM_LEVEL(0, "a") LAM_LEVEL(8, "b") LAM_LEVEL(16, "c")
                LAM_ABOVE(0, "a") LAM_ABOVE(1, "b") LAM_ABOVE(2, "c") LAM_DOWN
                /* row 1 */
                LAM_LEVEL(24, "d")
                LAM_BOTH(0, "d", "a") LAM_LEVEL(32, "a") LAM_BOTH(1, "a", "b") LAM_LEVEL(40, "b")
                LAM_BOTH(2, "b", "c") LAM_DOWN
                /* row 2 */
                LAM_LEVEL(48, "c")
                LAM_BOTH(0, "c", "d") LAM_LEVEL(56, "d") LAM_BOTH(1, "d", "a") LAM_LEVEL(64, "a")
                LAM_BOTH(2, "a", "b") LAM_DOWN
                /* row 3: for the lower sums only */
                LAM_BELOW(0, "c") LAM_BELOW(1, "d") LAM_BELOW(2, "a")
                "vstrw.32 q0, [%[to]]\n\tvstrw.32 q1, [%[to], #16]\n\t"
                "add %[to], %[apart]\n\t"
                "vstrw.32 q2, [%[to]]\n\tvstrw.32 q3, [%[to], #16]"
                : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [at] "+l"(at), [to] "+r"(to)
                : [w] "r"(w), [bias] "r"(t->bias), [pitch] "r"(pitch), [apart] "r"(apart)
                : "q0", "q1", "q2", "q3", "q4", "q5", "cc", "memory");
        j += LAM_TILE;
        if (j == line) { /* the next pair */
            j = 0;
            n--;
            x += 2u * pitch;
            acc += apart / 2u;
        }
    }
}

/* Of the assembly below: q6 and q7 are where every second column lies. */
#define LAM_APART "vldrb.u32 q4, [%[at], q6]\n\tvldrb.u32 q5, [%[at], q7]\n\t"
/* A column of both windows: lines 0, 2, 4, then 3 and 1, so that each level is loaded once. */
#define LAM_COLUMN(first, middle, last)                                                                               \
    LAM_LEVEL(first, "a") LAM_LEVEL(last, "b")                                                                        \
    LAM_APART LAM_UPPER("a") "add %[at], %[two]\n\t"                                                                 \
    LAM_APART LAM_UPPER("b") LAM_LOWER("a") "add %[at], %[two]\n\t"                                                  \
    LAM_APART LAM_LOWER("b") "sub %[at], %[pitch]\n\t"                                                               \
    LAM_LEVEL(middle, "a")                                                                                            \
    LAM_APART LAM_LOWER("a") "sub %[at], %[two]\n\t"                                                                 \
    LAM_APART LAM_UPPER("a")

/* The same with stride 2, for five rows of the input. */
static LAM_MVE_CROWDED void lam_depthwise_3x3_apart(const lam_depthwise_task *t, const uint8_t *x, int32_t *acc, uint32_t n)
{
    const lam_depthwise_tap *const w = t->taps;
    const uint32_t line = t->line, pitch = t->pitch, two = 2u * pitch, back = pitch - 1u, apart = 4u * t->apart;
    for (uint32_t j = 0; n > 0;) {
        const uint8_t *at = x + 2u * j;
        int32_t *to = acc + j;
        int32_t b;
        register uint32_t a __asm__("r0") = 0; /* VIDUP wants an even register */
        __asm__ volatile("vidup.u32 q6, %[a], #2\n\tvidup.u32 q7, %[a], #2\n\t"
                         "vdup.32 q0, %[bias]\n\t"
                         "vmov q1, q0\n\tvmov q2, q0\n\tvmov q3, q0\n\t"
                         LAM_COLUMN(0, 24, 48) "sub %[at], %[back]\n\t"
                         LAM_COLUMN(8, 32, 56) "sub %[at], %[back]\n\t"
                         LAM_COLUMN(16, 40, 64)
                         "vstrw.32 q0, [%[to]]\n\tvstrw.32 q1, [%[to], #16]\n\t"
                         "add %[to], %[apart]\n\t"
                         "vstrw.32 q2, [%[to]]\n\tvstrw.32 q3, [%[to], #16]"
                         : [a] "+r"(a), [b] "=&r"(b), [at] "+r"(at), [to] "+r"(to)
                         : [w] "r"(w), [bias] "r"(t->bias), [pitch] "r"(pitch), [two] "r"(two), [back] "r"(back),
                           [apart] "r"(apart)
                         : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory");
        j += LAM_TILE;
        if (j == line) {
            j = 0;
            n--;
            x += 4u * pitch;
            acc += apart / 2u;
        }
    }
}

/* The places of all taps. */
static void lam_depthwise_place(const lam_conv2d_shape *s, uint32_t pitch, lam_depthwise_tap *tap)
{
    for (uint32_t u = 0; u < s->kernel_h; u++) {
        for (uint32_t v = 0; v < s->kernel_w; v++, tap++) {
            tap->place = u * s->dilation_h * pitch + v * s->dilation_w;
        }
    }
}

static void lam_depthwise_rows(const lam_depthwise_task *t, const uint8_t *x, uint32_t rows, uint8_t *y)
{
    const lam_conv2d_shape *s = t->s;
    const uint32_t out_w = s->out_w;
    const uint32_t stride = s->stride_h, line_step = stride * t->pitch;
    const int by_two = s->kernel_h == 3 && s->kernel_w == 3 && s->dilation_h == 1 && s->dilation_w == 1 &&
                       s->stride_w == stride && stride <= 2;
    lam_depthwise_run_fn *const by_stride = stride == 1 ? lam_depthwise_3x3 : lam_depthwise_3x3_apart;
    lam_depthwise_run_fn *const run = by_two ? by_stride : lam_depthwise_any;
    const int joined = t->apart == out_w;
    const uint32_t more = joined ? (t->capacity - LAM_TILE - 2u * t->line) / out_w : 0u; /* rows before the last two */
    const uint32_t at_once = by_two ? (more & ~1u) + 2u : more + 1u;
    while (rows > 0) {
        const uint32_t now = lam_mve_least(rows, at_once);
        run(t, x, t->acc, by_two ? (now + 1u) / 2u : now);
        if (joined) {
            lam_mve_requant(&t->q, t->acc, now * out_w, y);
            y += now * out_w;
        } else {
            for (uint32_t i = 0; i < now; i++, y += out_w) {
                lam_mve_requant(&t->q, t->acc + i * t->line, out_w, y);
            }
        }
        x += now * line_step;
        rows -= now;
    }
}

void lam_conv2d_depthwise_mve(const lam_conv2d_depthwise_mve_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    const lam_conv2d_shape *s = &d->shape;
    const lam_depthwise_band b = lam_depthwise_band_of(d);
    const uint32_t n_taps = (uint32_t)s->kernel_h * s->kernel_w, each = (uint32_t)s->out_c / s->in_c;
    const size_t plane_in = (size_t)s->in_h * s->in_w, plane_out = (size_t)s->out_h * s->out_w;
    lam_depthwise_tap *taps = scratch;
    int32_t *acc = (int32_t *)(taps + n_taps);
    uint8_t *band = (uint8_t *)(acc + b.capacity);
    int16_t *levels = (int16_t *)(acc + b.capacity + b.bytes / 4u);
    lam_depthwise_task t;
    t.s = s;
    t.taps = taps;
    t.n_taps = n_taps;
    t.pitch = b.pitch;
    t.line = b.line;
    t.apart = b.apart;
    t.capacity = b.capacity;
    t.acc = acc;
    lam_depthwise_place(s, b.pitch, taps);
    lam_stream stream = lam_stream_of(d->weights);
    for (uint32_t c = 0; c < s->in_c; c++, x += plane_in, y += each * plane_out) {
        d->unpack(&stream, levels, each * n_taps);
        for (uint32_t first = 0; first < s->out_h; first += d->band_rows) {
            const uint32_t rows = lam_mve_least(d->band_rows, s->out_h - first);
            if (c == 0 || d->band_rows < s->out_h) { /* else the margins are still there from the channel before */
                for (uint32_t i = 0; i < b.bytes; i += LAM_MVE_BYTES) {
                    vstrbq_u8(band + i, vdupq_n_u8(s->in_zero));
                }
            }
            lam_depthwise_copy(s, x, first * s->stride_h,
                               (rows - 1u) * s->stride_h + (s->kernel_h - 1u) * s->dilation_h + 1u, b.pitch, band);
            for (uint32_t k = 0; k < each; k++) {
                const uint32_t o = c * each + k;
                uint8_t *to = y + k * plane_out + (size_t)first * s->out_w;
                for (uint32_t i = 0; i < n_taps; i++) {
                    taps[i].level = levels[k * n_taps + i];
                }
                t.bias = lam_bias_at(s->bias, s->narrow_bias, o);
                t.q = lam_requant_of(&s->q, o);
                lam_depthwise_rows(&t, band, rows, to);
            }
        }
    }
}

#endif
