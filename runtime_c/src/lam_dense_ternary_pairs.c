#include "lam_dense_blocks.h"

/* Format ternary_quads by dual multiplications. A word is a fraction of 20 base 3 digits; multiplied by 81, it gives
 * the next four of them and what remains. They are two columns of two rows, and a table makes the halfwords of
 * int2_pairs of them, 2^14 * level of the second row + (level of the first + 1): three instructions for four products.
 * Within 20 columns the sum of the first row grows by less than 2^14; 500 columns keep that of the second in 32. */
static const uint32_t lam_dense_ternary_words[81] = {
    0xc000c000u, 0x0000c000u, 0x4000c000u, 0xc001c000u, 0x0001c000u, 0x4001c000u, 0xc002c000u, 0x0002c000u, 0x4002c000u,
    0xc0000000u, 0x00000000u, 0x40000000u, 0xc0010000u, 0x00010000u, 0x40010000u, 0xc0020000u, 0x00020000u, 0x40020000u,
    0xc0004000u, 0x00004000u, 0x40004000u, 0xc0014000u, 0x00014000u, 0x40014000u, 0xc0024000u, 0x00024000u, 0x40024000u,
    0xc000c001u, 0x0000c001u, 0x4000c001u, 0xc001c001u, 0x0001c001u, 0x4001c001u, 0xc002c001u, 0x0002c001u, 0x4002c001u,
    0xc0000001u, 0x00000001u, 0x40000001u, 0xc0010001u, 0x00010001u, 0x40010001u, 0xc0020001u, 0x00020001u, 0x40020001u,
    0xc0004001u, 0x00004001u, 0x40004001u, 0xc0014001u, 0x00014001u, 0x40014001u, 0xc0024001u, 0x00024001u, 0x40024001u,
    0xc000c002u, 0x0000c002u, 0x4000c002u, 0xc001c002u, 0x0001c002u, 0x4001c002u, 0xc002c002u, 0x0002c002u, 0x4002c002u,
    0xc0000002u, 0x00000002u, 0x40000002u, 0xc0010002u, 0x00010002u, 0x40010002u, 0xc0020002u, 0x00020002u, 0x40020002u,
    0xc0004002u, 0x00004002u, 0x40004002u, 0xc0014002u, 0x00014002u, 0x40014002u, 0xc0024002u, 0x00024002u, 0x40024002u,
};

#if LAM_DENSE_DSP

#define LAM_TERNARY_FOUR(x) "umull r4, r10, r4, r3\n ldr r10, [lr, r10, lsl #2]\n smlad r11, r10, " x ", r11\n"
#define LAM_TERNARY_WORD                                                                                              \
    "ldr r4, [r0], #8\n"                                                                                             \
    "ldm r1!, {r5, r6, r7, r8, r9}\n"                                                                                \
    LAM_TERNARY_FOUR("r5") LAM_TERNARY_FOUR("r6") LAM_TERNARY_FOUR("r7") LAM_TERNARY_FOUR("r8") LAM_TERNARY_FOUR("r9")

/* r12: sum of the first row so far. */
#define LAM_TERNARY_SPLIT "sub r10, r11, r12\n ubfx r10, r10, #0, #14\n add r12, r10\n"

LAM_DENSE_NAKED static void lam_dense_ternary_two(LAM_DENSE_ARGUMENT const uint32_t *w,
                                                  LAM_DENSE_ARGUMENT const void *x, LAM_DENSE_ARGUMENT uint32_t units,
                                                  LAM_DENSE_ARGUMENT int32_t *sums,
                                                  LAM_DENSE_ARGUMENT const uint32_t *words)
{
    __asm__(".syntax unified\n"
            "push {r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
            "ldr lr, [sp, #40]\n"
            "mov r3, #81\n"
            "mov r11, #0\n"
            "mov r12, #0\n"
            "lsrs r2, r2, #1\n" /* an odd unit first */
            "bcc 1f\n"
            LAM_TERNARY_WORD LAM_TERNARY_SPLIT
            "1:\n"
            "beq 3f\n"
            "2:\n"
            LAM_TERNARY_WORD LAM_TERNARY_WORD LAM_TERNARY_SPLIT
            "subs r2, #1\n"
            "bne 2b\n"
            "3:\n"
            "pop {r3}\n"
            "ldrd r4, r5, [r3]\n"
            "sub r11, r11, r12\n"
            "add r4, r12\n"
            "add r5, r5, r11, asr #14\n"
            "strd r4, r5, [r3]\n"
            "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n");
}

#else

static void lam_dense_ternary_two(const uint32_t *w, const void *x, uint32_t units, int32_t *sums,
                                  const uint32_t *words)
{
    const uint16_t *v = x;
    for (; units > 0; units--, w += 2) {
        uint32_t fraction = *w;
        for (uint32_t four = 0; four < 5; four++, v += 2) {
            const uint64_t digits = (uint64_t)fraction * 81u;
            const uint32_t word = words[digits >> 32];
            fraction = (uint32_t)digits;
            const int32_t low = (int16_t)(word & 0xffffu) >> 14, high = (int32_t)word >> 30;
            lam_dense_add(&sums[0], (word & 3u) * v[0] + (word >> 16 & 3u) * v[1]);
            lam_dense_add(&sums[1], (uint32_t)(low * v[0] + high * v[1]));
        }
    }
}

#endif

static void lam_dense_ternary_pairs_dot(const uint32_t *w, const void *x, uint32_t units, int32_t *sums, uint32_t next)
{
    (void)next;
    lam_dense_ternary_two(w, x, units, sums, lam_dense_ternary_words);
    lam_dense_ternary_two(w + 1, x, units, sums + 2, lam_dense_ternary_words);
}

void lam_dense_ternary_pairs(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    static const lam_dense_layout layout = {
        .dot = lam_dense_ternary_pairs_dot,
        .prepare = lam_dense_widened,
        .rows = 4,
        .blocks = 1,
        .cols = 10,
        .words = 2,
        .x_bytes = 2,
        .period = 2,
        .offset = 1,
        .last = 0,
    };
    lam_dense_blocks(d, &layout, x, y, scratch);
}
