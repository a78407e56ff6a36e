#include "lam_conv2d_sparse_core.h"
#include "lam_simd.h"

/* Two sums to two bytes, as lanes. */
static inline uint32_t lam_sparse_dsp_scale(const lam_sparse_sum *s, uint32_t sums)
{
    const int32_t low = lam_smlawb(s->multiplier, sums, s->round);
    return lam_usat8_16(lam_high_halves(low, lam_smlawt(s->multiplier, sums, s->round)));
}

/* Pixels are bytes. A load of one word brings four of them, two UXTAB16 add bytes 0 and 2 to one register and bytes 1
 * and 3 to another. */

#if LAM_HAS_DSP && defined(__ARM_FEATURE_UNALIGNED) && !defined(LAM_NO_ASSEMBLY)

/* Sixteen pixels: in one LDM, whose address is one of the registers it loads, twelve instructions altogether, which is
 * out of reach for compilers; or, from any address, in four loads, and fifteen instructions.
 *
 *   r4 .. r11  sums: bytes 0 and 2 in r4, bytes 1 and 3 in r5, of the next word in r6 and r7, ..
 *   r0 next offset   r1 first pixel of the tile   r2, r3, r12, lr  pixels
 *   [sp] multiplier, round, y, tiles left, step, minus, plus, start */
#define LAM_SPARSE_BURST "ldm r2, {r2, r3, r12, lr}\n"
#define LAM_SPARSE_LOADS "ldr r3, [r2, #4]\n ldr r12, [r2, #8]\n ldr lr, [r2, #12]\n ldr r2, [r2]\n"
#define LAM_SPARSE_ADD_16                                                                                             \
    "uxtab16 r4, r4, r2\n uxtab16 r5, r5, r2, ror #8\n"                                                               \
    "uxtab16 r6, r6, r3\n uxtab16 r7, r7, r3, ror #8\n"                                                               \
    "uxtab16 r8, r8, r12\n uxtab16 r9, r9, r12, ror #8\n"                                                             \
    "uxtab16 r10, r10, lr\n uxtab16 r11, r11, lr, ror #8\n"
#define LAM_SPARSE_FIRST_16                                                                                           \
    "uxtb16 r4, r2\n uxtb16 r5, r2, ror #8\n uxtb16 r6, r3\n uxtb16 r7, r3, ror #8\n"                                 \
    "uxtb16 r8, r12\n uxtb16 r9, r12, ror #8\n uxtb16 r10, lr\n uxtb16 r11, lr, ror #8\n"
/* Sets carry at the end of the list. */
#define LAM_SPARSE_OFFSET "ldr r2, [r0], #4\n adds r2, r2, r1\n"
#define LAM_SPARSE_FOUR(even, odd)                                                                                    \
    "smlawb r0, r2, " #even ", r3\n smlawt r12, r2, " #even ", r3\n pkhtb " #even ", r12, r0, asr #16\n"              \
    "smlawb r0, r2, " #odd ", r3\n smlawt r12, r2, " #odd ", r3\n pkhtb " #odd ", r12, r0, asr #16\n"                 \
    "usat16 " #even ", #8, " #even "\n usat16 " #odd ", #8, " #odd "\n"                                               \
    "orr " #even ", " #even ", " #odd ", lsl #8\n str " #even ", [lr], #4\n"

/* The places of the members of lam_sparse_sum stand in the code. y may have any address. With a multiplier of 0 the
 * sums are stored, 32 bytes a tile. */
#define LAM_SPARSE_TILES(load)                                                                                        \
    __asm__(".syntax unified\n"                                                                                       \
            "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"                                                           \
            "ldm r0, {r4, r5, r6, r7, r8, r9}\n"                                                                      \
            "push {r2, r3, r4, r5, r6, r7}\n"                                                                         \
            "push {r8, r9}\n"                                                                                         \
            "1: ldr r0, [sp, #20]\n"                                                                                  \
            LAM_SPARSE_OFFSET                                                                                         \
            "bcs 7f\n"                                                                                                \
            load LAM_SPARSE_FIRST_16                                                                                  \
            LAM_SPARSE_OFFSET                                                                                         \
            "bcs 3f\n"                                                                                                \
            "2:\n"                                                                                                    \
            load LAM_SPARSE_ADD_16                                                                                    \
            LAM_SPARSE_OFFSET                                                                                         \
            "bcc 2b\n"                                                                                                \
            "3: ldr r3, [sp, #28]\n"                                                                                  \
            "ssub16 r4, r3, r4\n ssub16 r5, r3, r5\n ssub16 r6, r3, r6\n ssub16 r7, r3, r7\n"                         \
            "ssub16 r8, r3, r8\n ssub16 r9, r3, r9\n ssub16 r10, r3, r10\n ssub16 r11, r3, r11\n"                     \
            "4: ldr r0, [sp, #24]\n"                                                                                  \
            LAM_SPARSE_OFFSET                                                                                         \
            "bcs 6f\n"                                                                                                \
            "5:\n"                                                                                                    \
            load LAM_SPARSE_ADD_16                                                                                    \
            LAM_SPARSE_OFFSET                                                                                         \
            "bcc 5b\n"                                                                                                \
            "6: ldm sp, {r2, r3, lr}\n"                                                                               \
            "cbnz r2, 8f\n"                                                                                           \
            "stm lr!, {r4, r5, r6, r7, r8, r9, r10, r11}\n"                                                           \
            "b 9f\n"                                                                                                  \
            "8:\n"                                                                                                    \
            LAM_SPARSE_FOUR(r4, r5)                                                                                   \
            LAM_SPARSE_FOUR(r6, r7)                                                                                   \
            LAM_SPARSE_FOUR(r8, r9)                                                                                   \
            LAM_SPARSE_FOUR(r10, r11)                                                                                 \
            "9: ldrd r0, r12, [sp, #12]\n"                                                                            \
            "adds r1, r1, r12\n"                                                                                      \
            "subs r0, r0, #1\n"                                                                                       \
            "strd lr, r0, [sp, #8]\n"                                                                                 \
            "bne 1b\n"                                                                                                \
            "add sp, sp, #32\n"                                                                                       \
            "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"                                                            \
            /* Nothing to subtract. */                                                                                \
            "7: ldr r4, [sp, #28]\n"                                                                                  \
            "mov r5, r4\n mov r6, r4\n mov r7, r4\n mov r8, r4\n mov r9, r4\n mov r10, r4\n mov r11, r4\n"            \
            "b 4b\n")

#define LAM_SPARSE_ARGUMENTS                                                                                          \
    __attribute__((unused)) const lam_sparse_sum *s, __attribute__((unused)) const uint8_t *x,                        \
        __attribute__((unused)) uint8_t *y, __attribute__((unused)) uint32_t n

static __attribute__((naked, noinline)) void lam_sparse_burst_tiles(LAM_SPARSE_ARGUMENTS)
{
    LAM_SPARSE_TILES(LAM_SPARSE_BURST);
}

static __attribute__((naked, noinline)) void lam_sparse_lean_tiles(LAM_SPARSE_ARGUMENTS)
{
    LAM_SPARSE_TILES(LAM_SPARSE_LOADS);
}

static void lam_sparse_burst_sums(const lam_sparse_sum *s, const uint8_t *x, uint32_t *sums, uint32_t n)
{
    lam_sparse_sum plain = *s;
    plain.multiplier = 0;
    lam_sparse_burst_tiles(&plain, x, (uint8_t *)sums, n);
}

static void lam_sparse_lean_sums(const lam_sparse_sum *s, const uint8_t *x, uint32_t *sums, uint32_t n)
{
    lam_sparse_sum plain = *s;
    plain.multiplier = 0;
    lam_sparse_lean_tiles(&plain, x, (uint8_t *)sums, n);
}

#else

static void lam_sparse_dsp_add(uint32_t *sums, const uint8_t *x, const uint32_t *offset)
{
    for (; *offset != LAM_SPARSE_END; offset++) {
        const uint8_t *p = x + *offset;
        for (uint32_t i = 0; i < 8u; i += 2, p += 4) {
            const uint32_t four = lam_load32(p);
            sums[i] = lam_uxtab16(sums[i], four);
            sums[i + 1u] = lam_uxtab16_ror8(sums[i + 1u], four);
        }
    }
}

static void lam_sparse_dsp_sums(const lam_sparse_sum *s, const uint8_t *x, uint32_t *sums, uint32_t n)
{
    for (; n > 0; n--, x += s->step, sums += 8) {
        for (uint32_t i = 0; i < 8u; i++) {
            sums[i] = 0;
        }
        lam_sparse_dsp_add(sums, x, s->minus);
        for (uint32_t i = 0; i < 8u; i++) {
            sums[i] = lam_ssub16(s->start, sums[i]);
        }
        lam_sparse_dsp_add(sums, x, s->plus);
    }
}

static void lam_sparse_dsp_tiles(const lam_sparse_sum *s, const uint8_t *x, uint8_t *y, uint32_t n)
{
    for (; n > 0; n--, x += s->step) {
        uint32_t sums[8];
        lam_sparse_dsp_sums(s, x, sums, 1);
        for (uint32_t i = 0; i < 8u; i += 2, y += 4) {
            lam_store32(y, lam_sparse_dsp_scale(s, sums[i]) | lam_sparse_dsp_scale(s, sums[i + 1u]) << 8);
        }
    }
}

#define lam_sparse_burst_tiles lam_sparse_dsp_tiles
#define lam_sparse_lean_tiles lam_sparse_dsp_tiles
#define lam_sparse_burst_sums lam_sparse_dsp_sums
#define lam_sparse_lean_sums lam_sparse_dsp_sums

#endif

static void lam_sparse_dsp_add_tile(const uint32_t *sums, int32_t *acc)
{
    for (uint32_t i = 0; i < 8u; i += 2, acc += 4) {
        acc[0] = lam_sxtah(acc[0], (int32_t)sums[i]);
        acc[1] = lam_sxtah(acc[1], (int32_t)sums[i + 1u]);
        acc[2] = lam_sxtah_ror16(acc[2], (int32_t)sums[i]);
        acc[3] = lam_sxtah_ror16(acc[3], (int32_t)sums[i + 1u]);
    }
}

/* Sums 0 and 2 of a row are in one word, 1 and 3 in the next: a maximum of words is one of neighbours. */
static inline uint32_t lam_sparse_dsp_two(const uint32_t *top, const uint32_t *bottom)
{
    return lam_smax16(lam_smax16(top[0], bottom[0]), lam_smax16(top[1], bottom[1]));
}

static void lam_sparse_dsp_pool_2x2(const lam_sparse_sum *s, const uint32_t *top, const uint32_t *bottom, uint8_t *y,
                                    uint32_t n)
{
    const lam_sparse_sum q = *s;
    for (const uint8_t *end = y + (n & ~1u); y != end; top += 2, bottom += 2, y += 2) {
        const uint32_t bytes = lam_sparse_dsp_scale(&q, lam_sparse_dsp_two(top, bottom));
        y[0] = (uint8_t)bytes;
        y[1] = (uint8_t)(bytes >> 16);
    }
    if (n & 1u) {
        *y = (uint8_t)lam_sparse_dsp_scale(&q, lam_sparse_dsp_two(top, bottom));
    }
}

static void lam_sparse_dsp_rows(const lam_sparse_band *b, uint8_t *to, const uint8_t *x, uint32_t x_pitch,
                                uint32_t rows, uint32_t n, uint32_t step)
{
    if (step == 1 && n == x_pitch && n == b->pitch) { /* also from row to row */
        n *= rows;
        rows = 1;
    }
    for (; rows > 0; rows--, to += b->pitch, x += x_pitch) {
        const uint8_t *from = x;
        uint8_t *at = to;
        uint32_t left = n;
#if !defined(__OPTIMIZE_SIZE__)
        if (step == 1) {
            for (; left >= 8; left -= 8, from += 8, at += 8) {
                lam_store32(at, lam_load32(from));
                lam_store32(at + 4, lam_load32(from + 4));
            }
        } else if (step == 2) {
            for (; left >= 4; left -= 4, from += 8, at += 4) {
                at[0] = from[0];
                at[1] = from[2];
                at[2] = from[4];
                at[3] = from[6];
            }
        }
#endif
        for (; left > 0; left--, from += step) {
            *at++ = *from;
        }
    }
}

/* The other copies, each a word at a time: from now on a load may start at any pixel. */
static void lam_sparse_dsp_copy(const lam_sparse_band *b, uint8_t *band)
{
    uint8_t *to = band + b->size;
    for (uint32_t shift = 1; shift < b->copies; shift++) {
        const uint8_t *from = band + shift;
        uint32_t left = b->size - 4u;
        for (; left >= 16; left -= 16, from += 16, to += 16) {
            lam_store32(to, lam_load32(from));
            lam_store32(to + 4, lam_load32(from + 4));
            lam_store32(to + 8, lam_load32(from + 8));
            lam_store32(to + 12, lam_load32(from + 12));
        }
        for (; left > 0; left -= 4, from += 4, to += 4) {
            lam_store32(to, lam_load32(from));
        }
        to += 4; /* of the last word nothing is used */
    }
}

static const lam_sparse_core lam_sparse_burst_core = {
    {0, 4, 1, lam_sparse_dsp_rows, lam_sparse_dsp_copy},
    0,
    lam_sparse_burst_tiles,
    lam_sparse_burst_sums,
    lam_sparse_dsp_pool_2x2,
    lam_sparse_dsp_add_tile,
};

static const lam_sparse_core lam_sparse_lean_core = {
    {0, 1, 1, lam_sparse_dsp_rows, NULL},
    0,
    lam_sparse_lean_tiles,
    lam_sparse_lean_sums,
    lam_sparse_dsp_pool_2x2,
    lam_sparse_dsp_add_tile,
};

void lam_conv2d_sparse_dsp(const lam_conv2d_sparse_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    lam_sparse_convolve(d, &lam_sparse_burst_core, x, y, scratch);
}

size_t lam_conv2d_sparse_dsp_scratch(const lam_conv2d_sparse_desc *d)
{
    return lam_sparse_scratch(d, &lam_sparse_burst_core);
}

void lam_conv2d_sparse_dsp_lean(const lam_conv2d_sparse_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    lam_sparse_convolve(d, &lam_sparse_lean_core, x, y, scratch);
}

size_t lam_conv2d_sparse_dsp_lean_scratch(const lam_conv2d_sparse_desc *d)
{
    return lam_sparse_scratch(d, &lam_sparse_lean_core);
}

void lam_conv2d_sparse_dsp_plan(lam_conv2d_sparse_desc *d)
{
    lam_band_plan(d, &lam_sparse_burst_core.band);
}

void lam_conv2d_sparse_dsp_lean_plan(lam_conv2d_sparse_desc *d)
{
    lam_band_plan(d, &lam_sparse_lean_core.band);
}
