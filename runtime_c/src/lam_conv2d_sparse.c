#include "lam_conv2d_sparse_core.h"
#include "lam_requant.h"
#include "lam_simd.h"

/* Pixels have 16 bits. One 32-bit addition adds two of them, on any core: the sum of a word is low + 2^16 * high with
 * both taken as signed, so low = the lower half as int16_t and high = (word - low) / 2^16. */

/* Tiles summed before they are requantised: calls cost little then, and their sums few bytes of stack. */
#define LAM_SPARSE_BLOCK 4u

#if defined(__GNUC__) && defined(__thumb__) && !defined(LAM_NO_ASSEMBLY)

/* For compilers this is out of reach: sums in the high registers of Armv6-M, and pixels in bursts. The loop has only
 * instructions of Armv6-M, fourteen for sixteen pixels.
 *
 *   r0 r1 r8 .. r12 lr  sums     r2 first pixel of the tile     r3 next offset     r4 address     r5 r6 r7  pixels
 *   [sp] s   [sp, #4] sums   [sp, #8] tiles left */
#define LAM_SPARSE_ADD_16                                                                                             \
    "ldm r4!, {r5, r6, r7}\n adds r0, r0, r5\n adds r1, r1, r6\n add r8, r7\n"                                        \
    "ldm r4!, {r5, r6, r7}\n add r9, r5\n add r10, r6\n add r11, r7\n"                                               \
    "ldm r4!, {r5, r6}\n add r12, r5\n add lr, r6\n"
/* Sets carry at the end of the list. */
#define LAM_SPARSE_OFFSET "ldm r3!, {r4}\n adds r4, r4, r2\n"
#if defined(__thumb2__)
#define LAM_SPARSE_FIRST_16 "ldm r4, {r0, r1, r8, r9, r10, r11, r12, lr}\n"
#define LAM_SPARSE_STORE_16 "stm r4!, {r0, r1, r8, r9, r10, r11, r12, lr}\n"
#define LAM_SPARSE_NEGATE(sum) "sub " #sum ", r5, " #sum "\n"
#else
#define LAM_SPARSE_FIRST_16                                                                                           \
    "ldm r4!, {r0, r1, r5, r6, r7}\n mov r8, r5\n mov r9, r6\n mov r10, r7\n"                                        \
    "ldm r4!, {r5, r6, r7}\n mov r11, r5\n mov r12, r6\n mov lr, r7\n"
#define LAM_SPARSE_STORE_16                                                                                           \
    "mov r5, r8\n mov r6, r9\n mov r7, r10\n stm r4!, {r0, r1, r5, r6, r7}\n"                                        \
    "mov r5, r11\n mov r6, r12\n mov r7, lr\n stm r4!, {r5, r6, r7}\n"
#define LAM_SPARSE_NEGATE(sum) "mov r6, " #sum "\n subs r6, r5, r6\n mov " #sum ", r6\n"
#endif

/* The sums of n tiles, n > 0, 8 words each. The offsets of the members of lam_sparse_sum stand in the code. */
static __attribute__((naked, noinline)) void lam_sparse_sums(__attribute__((unused)) const lam_sparse_sum *s,
                                                             __attribute__((unused)) const uint8_t *x,
                                                             __attribute__((unused)) uint32_t *sums,
                                                             __attribute__((unused)) uint32_t n)
{
    __asm__(".syntax unified\n"
            "push {r4, r5, r6, r7, lr}\n"
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n push {r4, r5, r6, r7}\n"
            "mov r4, r1\n mov r1, r2\n mov r2, r4\n"
            "push {r0, r1, r3}\n"
            "b 10f\n"
            "1: ldr r0, [sp]\n"
            "10: ldr r3, [r0, #4]\n"
            LAM_SPARSE_OFFSET
            "bcs 5f\n"
            LAM_SPARSE_FIRST_16
            LAM_SPARSE_OFFSET
            "bcs 3f\n"
            "2:\n"
            LAM_SPARSE_ADD_16
            LAM_SPARSE_OFFSET
            "bcc 2b\n"
            "3: ldr r3, [sp]\n"
            "ldr r5, [r3, #12]\n"
            "subs r0, r5, r0\n subs r1, r5, r1\n"
            LAM_SPARSE_NEGATE(r8) LAM_SPARSE_NEGATE(r9) LAM_SPARSE_NEGATE(r10)
            LAM_SPARSE_NEGATE(r11) LAM_SPARSE_NEGATE(r12) LAM_SPARSE_NEGATE(lr)
            "4: ldr r3, [r3, #8]\n"
            LAM_SPARSE_OFFSET
            "bcs 7f\n"
            "6:\n"
            LAM_SPARSE_ADD_16
            LAM_SPARSE_OFFSET
            "bcc 6b\n"
            "7: ldr r4, [sp, #4]\n"
            LAM_SPARSE_STORE_16
            "ldr r0, [sp]\n"
            "str r4, [sp, #4]\n"
            "ldr r5, [r0]\n"
            "ldr r0, [sp, #8]\n"
            "adds r2, r2, r5\n"
            "subs r0, #1\n"
            "str r0, [sp, #8]\n"
            "bne 1b\n"
            "pop {r0, r1, r3, r4, r5, r6, r7}\n"
            "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
            "pop {r4, r5, r6, r7, pc}\n"
            /* Nothing to subtract. */
            "5: mov r3, r0\n"
            "ldr r0, [r3, #12]\n"
            "mov r1, r0\n mov r8, r0\n mov r9, r0\n mov r10, r0\n mov r11, r0\n mov r12, r0\n mov lr, r0\n"
            "b 4b\n");
}

#else

/* A tile's sums in registers. */
typedef struct {
    uint32_t a, b, c, d, e, f, g, h;
} lam_sparse_eight;

/* sums + the tiles at a list's offsets. */
static inline lam_sparse_eight lam_sparse_add(lam_sparse_eight sums, const uint8_t *x, const uint32_t *list)
{
    uint32_t offset = *list++;
    while (offset != LAM_SPARSE_END) {
        const uint32_t *p = (const uint32_t *)(const void *)(x + offset);
        sums.a += p[0];
        sums.b += p[1];
        sums.c += p[2];
        sums.d += p[3];
        sums.e += p[4];
        sums.f += p[5];
        sums.g += p[6];
        sums.h += p[7];
        offset = *list++;
    }
    return sums;
}

static void lam_sparse_sums(const lam_sparse_sum *s, const uint8_t *x, uint32_t *sums, uint32_t n)
{
    const uint32_t *const minus = s->minus, *const plus = s->plus;
    const uint32_t start = s->start, step = s->step;
    for (; n > 0; n--, sums += 8, x += step) {
        lam_sparse_eight t = {start, start, start, start, start, start, start, start};
        if (*minus != LAM_SPARSE_END) {
            const uint32_t *p = (const uint32_t *)(const void *)(x + *minus);
            const lam_sparse_eight first = {p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]};
            t = lam_sparse_add(first, x, minus + 1);
            t.a = start - t.a;
            t.b = start - t.b;
            t.c = start - t.c;
            t.d = start - t.d;
            t.e = start - t.e;
            t.f = start - t.f;
            t.g = start - t.g;
            t.h = start - t.h;
        }
        t = lam_sparse_add(t, x, plus);
        sums[0] = t.a;
        sums[1] = t.b;
        sums[2] = t.c;
        sums[3] = t.d;
        sums[4] = t.e;
        sums[5] = t.f;
        sums[6] = t.g;
        sums[7] = t.h;
    }
}

#endif

#if defined(__GNUC__) && defined(__thumb__) && !defined(__thumb2__) && !defined(LAM_NO_ASSEMBLY)

/* lam_requant_short, for two pixels in about twenty instructions. With a zero point of 0 a sum of 0 or less gives 0
 * without a multiplication: after a ReLU that is every other pixel.
 *
 *   r0 next word  r1 y  r2, r3 upper, lower half of the multiplier  r4 round  r5, r7 sums  r6 any
 *   r8 2^15  r9 end of the words  r10 the largest sum that certainly gives 0 */
#define LAM_SPARSE_SCALE(sum, place, clip, zero, store)                                                               \
    "cmp " #sum ", r10\n ble " zero "f\n"                                                                            \
    "mov r6, r3\n muls r6, " #sum ", r6\n asrs r6, r6, #16\n muls " #sum ", r2, " #sum "\n"                          \
    "adds " #sum ", " #sum ", r6\n adds " #sum ", " #sum ", r4\n asrs " #sum ", " #sum ", #16\n"                     \
    "cmp " #sum ", #255\n bhi " clip "f\n" store ": strb " #sum ", [r1, #" place "]\n"
#define LAM_SPARSE_CLIP(sum, clip, zero, store)                                                                       \
    clip ": asrs " #sum ", " #sum ", #31\n mvns " #sum ", " #sum "\n b " store "b\n"                                 \
    zero ": movs " #sum ", #0\n b " store "b\n"

static __attribute__((naked, noinline)) void lam_sparse_scale(__attribute__((unused)) const uint32_t *sums,
                                                              __attribute__((unused)) uint8_t *y,
                                                              __attribute__((unused)) const lam_sparse_sum *s,
                                                              __attribute__((unused)) const uint32_t *end)
{
    __asm__(".syntax unified\n"
            "push {r4, r5, r6, r7, lr}\n"
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n push {r4, r5, r6}\n"
            "mov r9, r3\n"
            "movs r3, #1\n lsls r3, r3, #15\n mov r8, r3\n"
            "ldr r4, [r2, #20]\n lsrs r6, r4, #16\n rsbs r6, r6, #0\n lsls r6, r6, #16\n mov r10, r6\n"
            "ldr r2, [r2, #16]\n uxth r3, r2\n asrs r2, r2, #16\n"
            "1: ldm r0!, {r5}\n"
            "sxth r7, r5\n add r5, r8\n asrs r5, r5, #16\n"
            LAM_SPARSE_SCALE(r7, "0", "2", "3", "4")
            LAM_SPARSE_SCALE(r5, "1", "5", "6", "7")
            "adds r1, #2\n"
            "cmp r0, r9\n"
            "bne 1b\n"
            "pop {r4, r5, r6}\n mov r8, r4\n mov r9, r5\n mov r10, r6\n"
            "pop {r4, r5, r6, r7, pc}\n"
            LAM_SPARSE_CLIP(r7, "2", "3", "4")
            LAM_SPARSE_CLIP(r5, "5", "6", "7"));
}

#elif defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_UNALIGNED) && !defined(LAM_NO_ASSEMBLY)

/* lam_requant_short, for four pixels in 23 instructions.
 *
 *   r0 next word  r1 y  r2 multiplier  r3 round  r4 .. r7 pixels  r8 any  r12 end of the words */
#define LAM_SPARSE_SCALE(word, low)                                                                                   \
    "lsls " #low ", " #word ", #16\n sub " #word ", " #word ", " #low ", asr #16\n"                                   \
    "smull r8, " #low ", " #low ", r2\n adds " #low ", " #low ", r3\n usat " #low ", #8, " #low ", asr #16\n"         \
    "smull r8, " #word ", " #word ", r2\n adds " #word ", " #word ", r3\n usat " #word ", #8, " #word ", asr #16\n"

static __attribute__((naked, noinline)) void lam_sparse_scale(__attribute__((unused)) const uint32_t *sums,
                                                              __attribute__((unused)) uint8_t *y,
                                                              __attribute__((unused)) const lam_sparse_sum *s,
                                                              __attribute__((unused)) const uint32_t *end)
{
    __asm__(".syntax unified\n"
            "push {r4, r5, r6, r7, r8, lr}\n"
            "mov r12, r3\n"
            "ldrd r2, r3, [r2, #16]\n"
            "1: ldm r0!, {r4, r5}\n"
            LAM_SPARSE_SCALE(r4, r6)
            LAM_SPARSE_SCALE(r5, r7)
            "orr r6, r6, r4, lsl #8\n"
            "orr r6, r6, r7, lsl #16\n"
            "orr r6, r6, r5, lsl #24\n"
            "str r6, [r1], #4\n"
            "cmp r0, r12\n"
            "bne 1b\n"
            "pop {r4, r5, r6, r7, r8, pc}\n");
}

#else

/* Where bytes are brought into their range by comparing, sums that certainly give 0 are worth a comparison of their
 * own: with a zero point of 0 all up to 0. After a ReLU that is every other pixel. */
static inline uint8_t lam_sparse_scale_one(int32_t high, int32_t least, int32_t multiplier, int32_t round)
{
    return high < least ? 0 : lam_requant_short(high, multiplier, round);
}

static void lam_sparse_scale(const uint32_t *sums, uint8_t *y, const lam_sparse_sum *s, const uint32_t *end)
{
    const int32_t multiplier = s->multiplier, round = s->round, least = round >> 16 == 0 ? 1 : INT32_MIN;
    for (; sums != end; sums += 2, y += 4) {
        const uint32_t a = sums[0], b = sums[1];
        y[0] = lam_sparse_scale_one(lam_requant_low16(a), least, multiplier, round);
        y[1] = lam_sparse_scale_one(lam_requant_high16(a), least, multiplier, round);
        y[2] = lam_sparse_scale_one(lam_requant_low16(b), least, multiplier, round);
        y[3] = lam_sparse_scale_one(lam_requant_high16(b), least, multiplier, round);
    }
}

#endif

static void lam_sparse_tiles(const lam_sparse_sum *s, const uint8_t *x, uint8_t *y, uint32_t n)
{
    uint32_t sums[8u * LAM_SPARSE_BLOCK];
    while (n > 0) {
        const uint32_t some = lam_least(n, LAM_SPARSE_BLOCK);
        lam_sparse_sums(s, x, sums, some);
        lam_sparse_scale(sums, y, s, sums + 8u * some);
        x += s->step * some;
        y += LAM_SPARSE_TILE * some;
        n -= some;
    }
}

static inline int32_t lam_sparse_larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static void lam_sparse_pool_2x2(const lam_sparse_sum *s, const uint32_t *top, const uint32_t *bottom, uint8_t *y,
                                uint32_t n)
{
    const int32_t multiplier = s->multiplier, round = s->round;
    for (const uint8_t *end = y + n; y != end; y++) {
        const uint32_t a = *top++, b = *bottom++;
        const int32_t left = lam_sparse_larger(lam_requant_low16(a), lam_requant_low16(b));
        const int32_t right = lam_sparse_larger(lam_requant_high16(a), lam_requant_high16(b));
        *y = lam_requant_short(lam_sparse_larger(left, right), multiplier, round);
    }
}

static void lam_sparse_add_tile(const uint32_t *sums, int32_t *acc)
{
    for (uint32_t i = 0; i < 8u; i++, acc += 2) {
        acc[0] = lam_sxtah(acc[0], (int32_t)sums[i]);
        acc[1] = lam_sxtah_ror16(acc[1], (int32_t)(sums[i] + 0x8000u));
    }
}

#if !defined(__OPTIMIZE_SIZE__) /* then the third of these functions serves for all */

/* n pixels, widened. */
LAM_SPARSE_APART void lam_sparse_widen(uint16_t *at, const uint8_t *x, uint32_t n)
{
    for (const uint8_t *end = x + (n & ~7u); x != end; x += 8, at += 8) {
        for (uint32_t i = 0; i < 8u; i += 4) {
            const uint16_t a = x[i], b = x[i + 1u], c = x[i + 2u], d = x[i + 3u];
            at[i] = a;
            at[i + 1u] = b;
            at[i + 2u] = c;
            at[i + 3u] = d;
        }
    }
    for (n &= 7u; n > 0; n--) {
        *at++ = *x++;
    }
}

/* The same for both copies. */
LAM_SPARSE_APART void lam_sparse_widen_twice(uint16_t *at, uint16_t *other, const uint8_t *x, uint32_t n)
{
    for (const uint8_t *end = x + (n & ~3u); x != end; x += 4, at += 4, other += 4) {
        const uint16_t a = x[0], b = x[1], c = x[2], d = x[3];
        at[0] = a;
        at[1] = b;
        at[2] = c;
        at[3] = d;
        other[0] = a;
        other[1] = b;
        other[2] = c;
        other[3] = d;
    }
    for (n &= 3u; n > 0; n--) {
        *at++ = *x;
        *other++ = *x++;
    }
}

#endif

/* The same for pixels `step` apart. */
LAM_SPARSE_APART void lam_sparse_widen_apart(uint16_t *at, uint16_t *other, const uint8_t *x, uint32_t n, uint32_t step)
{
#if !defined(__OPTIMIZE_SIZE__)
    if (step == 2) {
        for (const uint16_t *end = at + (n & ~3u); at != end; x += 8, at += 4, other += 4) {
            const uint16_t a = x[0], b = x[2], c = x[4], d = x[6];
            at[0] = a;
            at[1] = b;
            at[2] = c;
            at[3] = d;
            other[0] = a;
            other[1] = b;
            other[2] = c;
            other[3] = d;
        }
        n &= 3u;
    }
#endif
    for (; n > 0; n--, x += step) {
        *at++ = *x;
        *other++ = *x;
    }
}

/* The second copy starts a pixel lower: there a word begins with an odd pixel. */
static void lam_sparse_band_rows(const lam_sparse_band *b, uint8_t *to, const uint8_t *x, uint32_t x_pitch,
                                 uint32_t rows, uint32_t n, uint32_t step)
{
    const size_t other = b->copies == 2u ? b->size - 1u : 0;
    uint16_t *row = (uint16_t *)(void *)to;
    if (step == 1 && n == x_pitch && n == b->pitch) { /* also from row to row */
        n *= rows;
        rows = 1;
    }
    for (; rows > 0; rows--, row += b->pitch, x += x_pitch) {
#if !defined(__OPTIMIZE_SIZE__)
        if (step == 1 && other != 0) {
            lam_sparse_widen_twice(row, row + other, x, n);
            continue;
        }
        if (step == 1) {
            lam_sparse_widen(row, x, n);
            continue;
        }
#endif
        lam_sparse_widen_apart(row, row + other, x, n, step);
    }
}

static const lam_sparse_core lam_sparse_plain_core = {
    {1, 2, 0, lam_sparse_band_rows, NULL},
    1,
    lam_sparse_tiles,
    lam_sparse_sums,
    lam_sparse_pool_2x2,
    lam_sparse_add_tile,
};

void lam_conv2d_sparse(const lam_conv2d_sparse_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    lam_sparse_convolve(d, &lam_sparse_plain_core, x, y, scratch);
}

size_t lam_conv2d_sparse_scratch(const lam_conv2d_sparse_desc *d)
{
    return lam_sparse_scratch(d, &lam_sparse_plain_core);
}

void lam_conv2d_sparse_plan(lam_conv2d_sparse_desc *d)
{
    lam_band_plan(d, &lam_sparse_plain_core.band);
}
