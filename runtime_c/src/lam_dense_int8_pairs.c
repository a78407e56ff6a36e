#include "lam_dense_blocks.h"

/* A word of weights holds two columns of two rows: 16 bits with sign each, 256 * level of the second row + (level of
 * the first + 128). Multiplied as it is, it gives 256 * sum of the second row + sum of the first; multiplied without
 * the upper bytes, the sum of the first alone. Three instructions for four products, and nothing else to unpack.
 * 256 columns at a time keep 256 * sum within 32 bits. */

#if LAM_DENSE_DSP

#define LAM_INT8_PAIR(w, x) "smlad r12, " w ", " x ", r12\n uxtb16 " w ", " w "\n smlad lr, " w ", " x ", lr\n"

LAM_DENSE_NAKED static void lam_dense_int8_pairs_dot(LAM_DENSE_ARGUMENT const uint32_t *w,
                                                     LAM_DENSE_ARGUMENT const void *x,
                                                     LAM_DENSE_ARGUMENT uint32_t units,
                                                     LAM_DENSE_ARGUMENT int32_t *sums,
                                                     LAM_DENSE_ARGUMENT uint32_t next)
{
    __asm__(".syntax unified\n"
            "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
            "mov r12, #0\n"
            "mov lr, #0\n"
            "lsrs r2, r2, #1\n" /* units of four columns: an odd one first */
            "bcc 1f\n"
            "ldrd r4, r5, [r0], #8\n"
            "ldrd r8, r9, [r1], #8\n"
            LAM_INT8_PAIR("r4", "r8") LAM_INT8_PAIR("r5", "r9")
            "1:\n"
            "lsrs r2, r2, #1\n" /* then an odd two */
            "bcc 2f\n"
            "ldm r0!, {r4, r5, r6, r7}\n"
            "ldm r1!, {r8, r9, r10, r11}\n"
            LAM_INT8_PAIR("r4", "r8") LAM_INT8_PAIR("r5", "r9") LAM_INT8_PAIR("r6", "r10") LAM_INT8_PAIR("r7", "r11")
            "2:\n"
            "beq 4f\n" /* flags of the last shift: nothing above sets any */
            "3:\n"
            "ldm r0!, {r4, r5, r6, r7}\n"
            "ldm r1!, {r8, r9, r10, r11}\n"
            LAM_INT8_PAIR("r4", "r8") LAM_INT8_PAIR("r5", "r9") LAM_INT8_PAIR("r6", "r10") LAM_INT8_PAIR("r7", "r11")
            "ldm r0!, {r4, r5, r6, r7}\n"
            "ldm r1!, {r8, r9, r10, r11}\n"
            LAM_INT8_PAIR("r4", "r8") LAM_INT8_PAIR("r5", "r9") LAM_INT8_PAIR("r6", "r10") LAM_INT8_PAIR("r7", "r11")
            "subs r2, #1\n"
            "bne 3b\n"
            "4:\n"
            "ldrd r4, r5, [r3]\n"
            "sub r12, r12, lr\n"
            "add r4, lr\n"
            "add r5, r5, r12, asr #8\n"
            "strd r4, r5, [r3]\n"
            "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n");
}

#else

static void lam_dense_int8_pairs_dot(const uint32_t *w, const void *x, uint32_t units, int32_t *sums, uint32_t next)
{
    (void)next;
    const uint16_t *v = x;
    for (uint32_t left = 2 * units; left > 0; left--, v += 2) {
        const uint32_t two = *w++;
        lam_dense_add(&sums[0], (two & 255u) * v[0] + (two >> 16 & 255u) * v[1]);
        lam_dense_add(&sums[1], (uint32_t)((int8_t)(two >> 8) * (int32_t)v[0] + (int8_t)(two >> 24) * (int32_t)v[1]));
    }
}

#endif

void lam_dense_int8_pairs(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    static const lam_dense_layout layout = {
        .dot = lam_dense_int8_pairs_dot,
        .prepare = lam_dense_widened,
        .rows = 2,
        .blocks = 1,
        .cols = 4,
        .words = 2,
        .x_bytes = 2,
        .period = 2,
        .offset = 128,
        .last = 0,
    };
    lam_dense_blocks(d, &layout, x, y, scratch);
}
