#include "lam_conv2d_sparse_mve.h"
#include "lam_conv2d_sparse_core.h"
#include "lam_mve.h"

#if defined(__ARM_FEATURE_MVE)

#define LAM_GATHERED 17u /* the widest step at which the offsets of 16 pixels have 8 bits */

/* For every offset of a list, until one overflows: adds 16 pixels (or takes them away) to each of one or three tiles.
 * Loads widen from bytes to 16 bits. Written out for the overflow, which ends a list, and for all eight registers; such
 * loads want their address in a low one. */
#define LAM_SPARSE_16(operation, low, high)                                                                            \
    "vldrb.u16 q6, [%[at]]\n\tvldrb.u16 q7, [%[at], #8]\n\t" operation " " low ", " low ", q6\n\t" operation " " high  \
    ", " high ", q7\n\t"
#define LAM_SPARSE_LIST(list, tiles)                                                                                   \
    "ldr %[at], [%[" list "]], #4\n\tadds %[at], %[x]\n\tbcs 2f\n1:\n\t" tiles                                         \
    "ldr %[at], [%[" list "]], #4\n\tadds %[at], %[x]\n\tbcc 1b\n2:\n\t"
#define LAM_SPARSE_1(operation) LAM_SPARSE_16(operation, "q0", "q1")
#define LAM_SPARSE_3(operation)                                                                                        \
    LAM_SPARSE_1(operation)                                                                                            \
    "add %[at], %[step]\n\t" LAM_SPARSE_16(operation, "q2", "q3") "add %[at], %[step]\n\t" LAM_SPARSE_16(operation, "q4", "q5")

static inline void lam_sparse_mve_one(const lam_sparse_sum *s, const uint8_t *x, int16_t *sums)
{
    const uint32_t *minus = s->minus, *plus = s->plus;
    uint32_t at;
    __asm__ volatile("vdup.32 q0, %[start]\n\tvmov q1, q0\n\t"
                     LAM_SPARSE_LIST("minus", LAM_SPARSE_1("vsub.i16"))
                     LAM_SPARSE_LIST("plus", LAM_SPARSE_1("vadd.i16"))
                     "vstrh.16 q0, [%[sums]]\n\tvstrh.16 q1, [%[sums], #16]"
                     : [at] "=&l"(at), [minus] "+r"(minus), [plus] "+r"(plus)
                     : [x] "r"(x), [start] "r"(s->start), [sums] "r"(sums)
                     : "q0", "q1", "q6", "q7", "cc", "memory");
}

static inline void lam_sparse_mve_three(const lam_sparse_sum *s, const uint8_t *x, int16_t *sums)
{
    const uint32_t *minus = s->minus, *plus = s->plus;
    uint32_t at;
    __asm__ volatile("vdup.32 q0, %[start]\n\t"
                     "vmov q1, q0\n\tvmov q2, q0\n\tvmov q3, q0\n\tvmov q4, q0\n\tvmov q5, q0\n\t"
                     LAM_SPARSE_LIST("minus", LAM_SPARSE_3("vsub.i16"))
                     LAM_SPARSE_LIST("plus", LAM_SPARSE_3("vadd.i16"))
                     "vstrh.16 q0, [%[sums]]\n\tvstrh.16 q1, [%[sums], #16]\n\t"
                     "vstrh.16 q2, [%[sums], #32]\n\tvstrh.16 q3, [%[sums], #48]\n\t"
                     "vstrh.16 q4, [%[sums], #64]\n\tvstrh.16 q5, [%[sums], #80]"
                     : [at] "=&l"(at), [minus] "+r"(minus), [plus] "+r"(plus)
                     : [x] "r"(x), [step] "r"(s->step), [start] "r"(s->start), [sums] "r"(sums)
                     : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory");
}

/* Eight sums to bytes, each in the lower half of a lane. The quotients of lam_sparse_core are one here: VRMULH. */
static inline uint16x8_t lam_sparse_mve_scale(const lam_sparse_sum *s, int16x8_t sums)
{
    const int32x4_t multiplier = vdupq_n_s32(s->multiplier);
    const int32_t zero = s->round >> 16;
    const int32x4_t even = vaddq_n_s32(vrmulhq_s32(vmovlbq_s16(sums), multiplier), zero);
    const int32x4_t odd = vaddq_n_s32(vrmulhq_s32(vmovltq_s16(sums), multiplier), zero);
    const uint16x8_t halves = vqmovuntq_s32(vqmovunbq_s32(vreinterpretq_u16_s32(even), even), odd);
    return vminq_u16(halves, vdupq_n_u16(255));
}

static LAM_MVE_NOINLINE void lam_sparse_mve_store(const lam_sparse_sum *s, const int16_t *sums, uint32_t n, uint8_t *y)
{
    const lam_sparse_sum one = *s; /* stores to y cannot change it */
    for (; n > 0; n -= 8u, sums += 8, y += 8) {
        vstrbq_u16(y, lam_sparse_mve_scale(&one, vldrhq_s16(sums)));
    }
}

static void lam_sparse_mve_tiles(const lam_sparse_sum *s, const uint8_t *x, uint8_t *y, uint32_t n)
{
    int16_t sums[3u * LAM_SPARSE_TILE];
    for (; n >= 3u; n -= 3u, x += 3u * s->step, y += 3u * LAM_SPARSE_TILE) {
        lam_sparse_mve_three(s, x, sums);
        lam_sparse_mve_store(s, sums, 3u * LAM_SPARSE_TILE, y);
    }
    for (; n > 0; n--, x += s->step, y += LAM_SPARSE_TILE) {
        lam_sparse_mve_one(s, x, sums);
        lam_sparse_mve_store(s, sums, LAM_SPARSE_TILE, y);
    }
}

/* A word holds the sums of two neighbours. */
static void lam_sparse_mve_sums(const lam_sparse_sum *s, const uint8_t *x, uint32_t *words, uint32_t n)
{
    int16_t *sums = (int16_t *)(void *)words;
    for (; n >= 3u; n -= 3u, x += 3u * s->step, sums += 3u * LAM_SPARSE_TILE) {
        lam_sparse_mve_three(s, x, sums);
    }
    for (; n > 0; n--, x += s->step, sums += LAM_SPARSE_TILE) {
        lam_sparse_mve_one(s, x, sums);
    }
}

static void lam_sparse_mve_pool_2x2(const lam_sparse_sum *s, const uint32_t *top, const uint32_t *bottom, uint8_t *y,
                                    uint32_t n)
{
    const lam_sparse_sum one = *s;
    const int16_t *a = (const int16_t *)(const void *)top, *b = (const int16_t *)(const void *)bottom;
    for (uint32_t i = 0; i < n; i += 8u, a += 16, b += 16) {
        /* of the last eight windows perhaps only some are there */
        const uint32_t left = 2u * lam_least(n - i, 8u);
        const mve_pred16_t first = vctp16q(left), second = vctp16q(left > 8u ? left - 8u : 0u);
        int16_t larger[16];
        vstrhq_s16(larger, vmaxq_s16(vldrhq_z_s16(a, first), vldrhq_z_s16(b, first)));
        vstrhq_s16(larger + 8, vmaxq_s16(vldrhq_z_s16(a + 8, second), vldrhq_z_s16(b + 8, second)));
        const int16x8x2_t columns = vld2q_s16(larger);
        const int16x8_t largest = vmaxq_s16(columns.val[0], columns.val[1]);
        vstrbq_p_u16(y + i, lam_sparse_mve_scale(&one, largest), vctp16q(n - i));
    }
}

static void lam_sparse_mve_add_tile(const uint32_t *words, int32_t *acc)
{
    const int16_t *sums = (const int16_t *)(const void *)words;
    for (uint32_t i = 0; i < LAM_SPARSE_TILE; i += 4u) {
        vstrwq_s32(acc + i, vaddq_s32(vldrwq_s32(acc + i), vldrhq_s32(sums + i)));
    }
}

static void lam_sparse_mve_rows(const lam_sparse_band *b, uint8_t *to, const uint8_t *x, uint32_t x_pitch,
                                uint32_t rows, uint32_t n, uint32_t step)
{
    if (step == 1 && n == x_pitch && n == b->pitch) { /* also from row to row */
        n *= rows;
        rows = 1;
    }
    const uint8x16_t places = vmulq_n_u8(vidupq_n_u8(0, 1), (uint8_t)step);
    for (; rows > 0; rows--, to += b->pitch, x += x_pitch) {
        const uint8_t *from = x;
        if (step > LAM_GATHERED) {
            for (uint32_t i = 0; i < n; i++, from += step) {
                to[i] = *from;
            }
            continue;
        }
        for (uint32_t i = 0; i < n; i += 16u, from += 16u * step) {
            const mve_pred16_t first = vctp8q(n - i);
            vstrbq_p_u8(to + i, vldrbq_gather_offset_z_u8(from, places, first), first);
        }
    }
}

static const lam_sparse_core lam_sparse_mve_core = {
    {0, 1, 1, lam_sparse_mve_rows, NULL},
    0,
    lam_sparse_mve_tiles,
    lam_sparse_mve_sums,
    lam_sparse_mve_pool_2x2,
    lam_sparse_mve_add_tile,
};

void lam_conv2d_sparse_mve(const lam_conv2d_sparse_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    lam_sparse_convolve(d, &lam_sparse_mve_core, x, y, scratch);
}

size_t lam_conv2d_sparse_mve_scratch(const lam_conv2d_sparse_desc *d)
{
    return lam_sparse_scratch(d, &lam_sparse_mve_core);
}

#endif
