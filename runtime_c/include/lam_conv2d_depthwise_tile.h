/* The inner loops of the depthwise kernels: the accumulators of four neighbouring pixels, a row of the window at a
 * time; for these kernels only. Written out tap by tap, because compilers unroll loops only when optimising for speed.
 */
#ifndef LAM_CONV2D_DEPTHWISE_TILE_H
#define LAM_CONV2D_DEPTHWISE_TILE_H

#include "lam_conv2d_depthwise.h"
#include "lam_conv2d_depthwise_armv6m.h"
#include "lam_conv2d_depthwise_thumb2.h"
#include "lam_simd.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "the depthwise kernels take the first of two pixels from the lower half of a word: little endian cores only"
#endif

/* What stands before it is computed, and nothing behind it loaded. Compilers would rather have everything at once, in
 * more registers than there are. It costs no instruction. */
#if defined(__GNUC__)
#define LAM_DEPTHWISE_IN_ORDER(s, x)                                                                                  \
    __asm__ volatile("" : "+r"((s).a), "+r"((s).b), "+r"((s).c), "+r"((s).d), "+r"(x) : : "memory")
#else
#define LAM_DEPTHWISE_IN_ORDER(s, x) ((void)(s), (void)(x))
#endif

/* Whether two taps are multiplied at a time: on DSP cores, and where these kernels are tested. */
#if LAM_HAS_DSP || ((defined(__x86_64__) || defined(__aarch64__)) && !LAM_NO_LONG_MULTIPLY)
#define LAM_DEPTHWISE_PAIRS 1
#else
#define LAM_DEPTHWISE_PAIRS 0
#endif

/* A word of lam_depthwise_channel.level: this level and, for pairs, the next one of the row. */
LAM_DEPTHWISE_INLINE uint32_t lam_depthwise_word(int32_t level, int32_t next)
{
#if LAM_DEPTHWISE_PAIRS
    return lam_pack16((uint32_t)level, (uint32_t)next);
#else
    (void)next;
    return (uint32_t)level;
#endif
}

LAM_DEPTHWISE_INLINE int32_t lam_depthwise_level(uint32_t word)
{
#if LAM_DEPTHWISE_PAIRS
    return lam_low16(word);
#else
    return (int32_t)word;
#endif
}

/* One tap of four pixels that are `step` apart. */
LAM_DEPTHWISE_INLINE lam_depthwise_sums lam_depthwise_tap(lam_depthwise_sums s, uint32_t word, const uint16_t *x,
                                                        uint32_t step)
{
    const int32_t w = lam_depthwise_level(word);
    s.a += w * x[0];
    s.b += w * x[step];
    s.c += w * x[2u * step];
    s.d += w * x[3u * step];
#if LAM_NO_LONG_MULTIPLY
    /* Where a multiplication overwrites a factor, a pixel is best loaded anew for each. */
    LAM_DEPTHWISE_IN_ORDER(s, x);
#endif
    return s;
}

#if LAM_DEPTHWISE_PAIRS

/* Two neighbouring pixels that begin on a word's boundary. */
LAM_DEPTHWISE_INLINE uint32_t lam_depthwise_pair(const uint16_t *from)
{
    uint32_t word;
#if defined(__GNUC__)
    from = __builtin_assume_aligned(from, sizeof word); /* so that two loads may become one */
#endif
    memcpy(&word, from, sizeof word);
    return word;
}

/* A window that begins at an even pixel takes its taps in pairs (0, 1), (2, 3) and the last one alone; one at an odd
 * pixel takes the first one alone and then (1, 2), (3, 4). */
LAM_DEPTHWISE_INLINE lam_depthwise_sums lam_depthwise_taps3_stride1(lam_depthwise_sums s, const uint32_t *level,
                                                                  const uint16_t *x)
{
    const uint32_t w01 = level[0], w12 = level[1];
    const uint32_t p = lam_depthwise_pair(x), q = lam_depthwise_pair(x + 2), r = lam_depthwise_pair(x + 4);
    s.a = lam_smlabt(q, w12, lam_smlad(p, w01, s.a));
    s.b = lam_smlad(q, w12, lam_smlatb(p, w01, s.b));
    s.c = lam_smlabt(r, w12, lam_smlad(q, w01, s.c));
    s.d = lam_smlad(r, w12, lam_smlatb(q, w01, s.d));
    return s;
}

LAM_DEPTHWISE_INLINE lam_depthwise_sums lam_depthwise_taps3_stride2(lam_depthwise_sums s, const uint32_t *level,
                                                                  const uint16_t *x)
{
    const uint32_t w01 = level[0], w12 = level[1];
    const uint32_t p = lam_depthwise_pair(x), q = lam_depthwise_pair(x + 2), r = lam_depthwise_pair(x + 4);
    s.a = lam_smlabt(q, w12, lam_smlad(p, w01, s.a));
    s.b = lam_smlabt(r, w12, lam_smlad(q, w01, s.b));
    const uint32_t t = lam_depthwise_pair(x + 6), u = lam_depthwise_pair(x + 8);
    s.c = lam_smlabt(t, w12, lam_smlad(r, w01, s.c));
    s.d = lam_smlabt(u, w12, lam_smlad(t, w01, s.d));
    return s;
}

LAM_DEPTHWISE_INLINE lam_depthwise_sums lam_depthwise_taps5_stride1(lam_depthwise_sums s, const uint32_t *level,
                                                                  const uint16_t *x)
{
    const uint32_t w01 = level[0], w12 = level[1], w23 = level[2], w34 = level[3];
    const uint32_t p = lam_depthwise_pair(x), q = lam_depthwise_pair(x + 2), r = lam_depthwise_pair(x + 4);
    s.a = lam_smlabt(r, w34, lam_smlad(q, w23, lam_smlad(p, w01, s.a)));
    s.b = lam_smlad(r, w34, lam_smlad(q, w12, lam_smlatb(p, w01, s.b)));
    const uint32_t t = lam_depthwise_pair(x + 6);
    s.c = lam_smlabt(t, w34, lam_smlad(r, w23, lam_smlad(q, w01, s.c)));
    s.d = lam_smlad(t, w34, lam_smlad(r, w12, lam_smlatb(q, w01, s.d)));
    return s;
}

LAM_DEPTHWISE_INLINE lam_depthwise_sums lam_depthwise_taps5_stride2(lam_depthwise_sums s, const uint32_t *level,
                                                                  const uint16_t *x)
{
    const uint32_t w01 = level[0], w23 = level[2], w34 = level[3];
    const uint32_t p = lam_depthwise_pair(x), q = lam_depthwise_pair(x + 2), r = lam_depthwise_pair(x + 4);
    s.a = lam_smlabt(r, w34, lam_smlad(q, w23, lam_smlad(p, w01, s.a)));
    const uint32_t t = lam_depthwise_pair(x + 6);
    s.b = lam_smlabt(t, w34, lam_smlad(r, w23, lam_smlad(q, w01, s.b)));
    const uint32_t u = lam_depthwise_pair(x + 8), v = lam_depthwise_pair(x + 10);
    s.c = lam_smlabt(u, w34, lam_smlad(t, w23, lam_smlad(r, w01, s.c)));
    s.d = lam_smlabt(v, w34, lam_smlad(u, w23, lam_smlad(t, w01, s.d)));
    return s;
}

LAM_DEPTHWISE_INLINE lam_depthwise_sums lam_depthwise_taps(lam_depthwise_sums s, const uint32_t *level,
                                                         const uint16_t *x, uint32_t taps, uint32_t stride)
{
    if (taps == 3u) {
        return stride == 1u ? lam_depthwise_taps3_stride1(s, level, x) : lam_depthwise_taps3_stride2(s, level, x);
    }
    return stride == 1u ? lam_depthwise_taps5_stride1(s, level, x) : lam_depthwise_taps5_stride2(s, level, x);
}

#else

/* Adds a row of the window to the sums. taps: 3 or 5, stride: 1 or 2, constants where this is inlined. */
LAM_DEPTHWISE_INLINE lam_depthwise_sums lam_depthwise_taps(lam_depthwise_sums s, const uint32_t *level,
                                                         const uint16_t *x, uint32_t taps, uint32_t stride)
{
    s = lam_depthwise_tap(s, level[0], x, stride);
    s = lam_depthwise_tap(s, level[1], x + 1, stride);
    s = lam_depthwise_tap(s, level[2], x + 2, stride);
    if (taps == 5u) {
        s = lam_depthwise_tap(s, level[3], x + 3, stride);
        s = lam_depthwise_tap(s, level[4], x + 4, stride);
    }
    return s;
}

#endif

/* Windows of 3 x 3 have code written for the core: tiles in Thumb-2, whole rows for Armv6-M. */
#define LAM_DEPTHWISE_THUMB2 0
#define LAM_DEPTHWISE_ARMV6M 0
#if defined(__GNUC__) && !defined(LAM_NO_SIMD)
#if defined(__thumb2__)
#undef LAM_DEPTHWISE_THUMB2
#define LAM_DEPTHWISE_THUMB2 1
#elif defined(__ARM_ARCH_6M__)
#undef LAM_DEPTHWISE_ARMV6M
#define LAM_DEPTHWISE_ARMV6M 1
#endif
#endif

/* The accumulators of four windows of taps x taps. *from: the first pixel of the first one, moves on to the next
 * tile. */
LAM_DEPTHWISE_INLINE lam_depthwise_sums lam_depthwise_tile(const uint32_t *level, const uint16_t **from, uint32_t pitch,
                                                         uint32_t taps, uint32_t stride)
{
#if LAM_DEPTHWISE_THUMB2
    const uint32_t bytes = pitch * (uint32_t)sizeof **from;
    if (taps == 3u) {
        return stride == 1u ? lam_depthwise_tile3_stride1(level, from, bytes)
                            : lam_depthwise_tile3_stride2(level, from, bytes);
    }
#if LAM_HAS_DSP
    return stride == 1u ? lam_depthwise_tile5_stride1(level, from, bytes)
                        : lam_depthwise_tile5_stride2(level, from, bytes);
#endif
#endif
#if !LAM_DEPTHWISE_THUMB2 || !LAM_HAS_DSP
    const int32_t bias = (int32_t)level[taps * taps];
    const uint16_t *x = *from;
    lam_depthwise_sums s = {bias, bias, bias, bias};
    s = lam_depthwise_taps(s, level, x, taps, stride);
    x += pitch;
    LAM_DEPTHWISE_IN_ORDER(s, x);
    s = lam_depthwise_taps(s, level + taps, x, taps, stride);
    x += pitch;
    LAM_DEPTHWISE_IN_ORDER(s, x);
    s = lam_depthwise_taps(s, level + 2u * taps, x, taps, stride);
    if (taps == 5u) {
        x += pitch;
        LAM_DEPTHWISE_IN_ORDER(s, x);
        s = lam_depthwise_taps(s, level + 3u * taps, x, taps, stride);
        x += pitch;
        LAM_DEPTHWISE_IN_ORDER(s, x);
        s = lam_depthwise_taps(s, level + 4u * taps, x, taps, stride);
    }
    *from += 4u * stride;
    return s;
#endif
}

LAM_DEPTHWISE_INLINE int32_t lam_depthwise_window_row(int32_t acc, const uint32_t *level, const uint16_t *x,
                                                      uint32_t taps)
{
#if LAM_DEPTHWISE_PAIRS
    acc = lam_smlad(lam_depthwise_pair(x), level[0], acc);
    if (taps == 5u) {
        acc = lam_smlad(lam_depthwise_pair(x + 2), level[2], acc);
    }
    return lam_smlabt(lam_depthwise_pair(x + taps - 1u), level[taps - 2u], acc);
#else
    acc += lam_depthwise_level(level[0]) * x[0];
    acc += lam_depthwise_level(level[1]) * x[1];
    acc += lam_depthwise_level(level[2]) * x[2];
    if (taps == 5u) {
        acc += lam_depthwise_level(level[3]) * x[3];
        acc += lam_depthwise_level(level[4]) * x[4];
    }
    return acc;
#endif
}

/* A single pixel, the last one of a row; a tile would be four times too much. */
LAM_DEPTHWISE_INLINE int32_t lam_depthwise_single(const lam_depthwise_channel *t, const uint16_t *x, uint32_t taps)
{
    const uint32_t *level = t->level;
    int32_t acc = (int32_t)level[taps * taps];
    acc = lam_depthwise_window_row(acc, level, x, taps);
    x += t->pitch;
    acc = lam_depthwise_window_row(acc, level + taps, x, taps);
    x += t->pitch;
    acc = lam_depthwise_window_row(acc, level + 2u * taps, x, taps);
    if (taps == 5u) {
        x += t->pitch;
        acc = lam_depthwise_window_row(acc, level + 3u * taps, x, taps);
        x += t->pitch;
        acc = lam_depthwise_window_row(acc, level + 4u * taps, x, taps);
    }
    return acc;
}

/* Whether tiles are requantised where they are computed: where that takes few registers, and the range needs no
 * comparison. */
LAM_DEPTHWISE_INLINE int lam_depthwise_at_once(const lam_requant_one *q)
{
    return !LAM_NO_LONG_MULTIPLY && q->shift == 32u && q->low == 0 && q->high == 255;
}

/* Four activations, where lam_depthwise_at_once. *y moves on. */
LAM_DEPTHWISE_INLINE void lam_depthwise_put(const lam_depthwise_channel *t, const uint32_t *level, const uint16_t **x,
                                            uint32_t pitch, uint8_t **y, uint32_t taps, uint32_t stride)
{
#if LAM_DEPTHWISE_THUMB2
    const uint32_t bytes = pitch * (uint32_t)sizeof **x;
    if (taps == 3u) {
        (stride == 1u ? lam_depthwise_put3_stride1 : lam_depthwise_put3_stride2)(level, x, bytes, y);
        return;
    }
#if LAM_HAS_DSP
    if (taps == 5u) {
        (stride == 1u ? lam_depthwise_put5_stride1 : lam_depthwise_put5_stride2)(level, x, bytes, y);
        return;
    }
#endif
#endif
    const int32_t multiplier = t->q.multiplier, zero = t->q.zero;
    const lam_depthwise_sums s = lam_depthwise_tile(level, x, pitch, taps, stride);
    uint8_t *to = *y;
    to[0] = (uint8_t)lam_usat8(lam_smmlar(s.a, multiplier, zero));
    to[1] = (uint8_t)lam_usat8(lam_smmlar(s.b, multiplier, zero));
    to[2] = (uint8_t)lam_usat8(lam_smmlar(s.c, multiplier, zero));
    to[3] = (uint8_t)lam_usat8(lam_smmlar(s.d, multiplier, zero));
    *y = to + 4;
}

/* n accumulators of a row to the line. */
LAM_DEPTHWISE_INLINE void lam_depthwise_line(const lam_depthwise_channel *t, const uint16_t *x, uint32_t n,
                                             uint32_t taps, uint32_t stride)
{
    const uint32_t pitch = t->pitch, *level = t->level;
    int32_t *acc = t->line;
    const uint32_t tiles = (n + 2u) / 4u; /* with that of the last two or three */
    const int32_t *end = acc + 4u * tiles;
#if LAM_DEPTHWISE_ARMV6M
    if (taps == 3u) {
        if (tiles > 0) {
            const uint32_t bytes = pitch * (uint32_t)sizeof *x;
            (stride == 1u ? lam_depthwise_line3_stride1 : lam_depthwise_line3_stride2)(level, x, bytes, acc, end);
        }
        acc += 4u * tiles;
        x += 4u * stride * tiles;
    }
#endif
    while (acc != end) {
        const lam_depthwise_sums s = lam_depthwise_tile(level, &x, pitch, taps, stride);
        acc[0] = s.a;
        acc[1] = s.b;
        acc[2] = s.c;
        acc[3] = s.d;
        acc += 4;
    }
    if (n % 4u == 1u) {
        *acc = lam_depthwise_single(t, x, taps);
    }
}

/* A lam_depthwise_rows_fn once taps and stride are filled in. */
LAM_DEPTHWISE_INLINE void lam_depthwise_rows(const lam_depthwise_channel *t, const uint16_t *band, uint32_t rows,
                                             uint8_t *y, uint32_t taps, uint32_t stride)
{
    const uint32_t pitch = t->pitch, n = t->s->out_w, down = pitch * t->s->stride_h;
    const uint32_t *level = t->level;
    const uint32_t at_once = lam_depthwise_at_once(&t->q) ? n - (n % 4u > 1u ? n % 4u : 0u) : 0u;
    const int32_t multiplier = t->q.multiplier, zero = t->q.zero;
    for (; rows > 0; rows--, band += down) {
        const uint16_t *x = band;
        for (const uint8_t *end = y + at_once / 4u * 4u; y != end;) {
            lam_depthwise_put(t, level, &x, pitch, &y, taps, stride);
        }
        if (at_once % 4u != 0) { /* one more */
            *y++ = (uint8_t)lam_usat8(lam_smmlar(lam_depthwise_single(t, x, taps), multiplier, zero));
        }
        const uint32_t left = n - at_once;
        if (left == 0) {
            continue;
        }
        lam_depthwise_line(t, x, left, taps, stride);
        lam_depthwise_finish(t, left, y);
        y += left;
    }
}

#endif
