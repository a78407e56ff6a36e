#include "lam_dense_blocks.h"

/* A word of weights, rotated and masked with 0xc003c003, is two columns of two rows: 16 bits with sign each,
 * 2^14 * level of the second row + (level of the first + 2). Two instructions for four products; eight columns a word.
 * Both sums grow in one accumulator, S = 2^14 * B + A. In 16 columns A grows by less than 2^14, so that by how much
 * can be read from the lower bits of S; what remains in the end is B, which for 256 columns fits in the upper bits. */

#if LAM_DENSE_DSP

#define LAM_INT2_WORD(w)                                                                                             \
    "ldm r1!, {r6, r7, r8, r9}\n"                                                                                    \
    "and r10, r3, " w "\n smlad r11, r10, r6, r11\n"                                                                 \
    "and r10, r3, " w ", ror #4\n smlad r11, r10, r7, r11\n"                                                         \
    "and r10, r3, " w ", ror #8\n smlad r11, r10, r8, r11\n"                                                         \
    "and r10, r3, " w ", ror #12\n smlad r11, r10, r9, r11\n"

/* r12: A so far. */
#define LAM_INT2_SPLIT "sub r10, r11, r12\n ubfx r10, r10, #0, #14\n add r12, r10\n"

LAM_DENSE_NAKED static void lam_dense_int2_pairs_dot(LAM_DENSE_ARGUMENT const uint32_t *w,
                                                     LAM_DENSE_ARGUMENT const void *x,
                                                     LAM_DENSE_ARGUMENT uint32_t units,
                                                     LAM_DENSE_ARGUMENT int32_t *sums,
                                                     LAM_DENSE_ARGUMENT uint32_t next)
{
    __asm__(".syntax unified\n"
            "push {r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
            "mov r3, #3\n"
            "movt r3, #0xc003\n"
            "orr r3, r3, #0xc000\n"
            "mov r11, #0\n"
            "mov r12, #0\n"
            "lsrs r2, r2, #1\n" /* units of eight columns: an odd one first */
            "bcc 1f\n"
            "ldr r4, [r0], #4\n"
            LAM_INT2_WORD("r4") LAM_INT2_SPLIT
            "1:\n"
            "lsrs r2, r2, #1\n" /* then an odd two */
            "bcc 2f\n"
            "ldrd r4, r5, [r0], #8\n"
            LAM_INT2_WORD("r4") LAM_INT2_WORD("r5") LAM_INT2_SPLIT
            "2:\n"
            "beq 4f\n" /* flags of the last shift: nothing above sets any */
            "3:\n"
            "ldrd r4, r5, [r0], #8\n"
            LAM_INT2_WORD("r4") LAM_INT2_WORD("r5") LAM_INT2_SPLIT
            "ldrd r4, r5, [r0], #8\n"
            LAM_INT2_WORD("r4") LAM_INT2_WORD("r5") LAM_INT2_SPLIT
            "subs r2, #1\n"
            "bne 3b\n"
            "4:\n"
            "pop {r3}\n"
            "ldrd r4, r5, [r3]\n"
            "sub r11, r11, r12\n"
            "add r4, r12\n"
            "add r5, r5, r11, asr #14\n"
            "strd r4, r5, [r3]\n"
            "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n");
}

#else

static void lam_dense_int2_pairs_dot(const uint32_t *w, const void *x, uint32_t units, int32_t *sums, uint32_t next)
{
    (void)next;
    const uint16_t *v = x;
    for (; units > 0; units--) {
        uint32_t word = *w++;
        for (uint32_t pair = 0; pair < 4; pair++, v += 2) {
            const int32_t low = (int16_t)(word & 0xffffu) >> 14, high = (int32_t)word >> 30;
            lam_dense_add(&sums[0], (word & 3u) * v[0] + (word >> 16 & 3u) * v[1]);
            lam_dense_add(&sums[1], (uint32_t)(low * v[0] + high * v[1]));
            word = word >> 4 | word << 28;
        }
    }
}

#endif

void lam_dense_int2_pairs(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    static const lam_dense_layout layout = {
        .dot = lam_dense_int2_pairs_dot,
        .prepare = lam_dense_widened,
        .rows = 2,
        .blocks = 1,
        .cols = 8,
        .words = 1,
        .x_bytes = 2,
        .period = 2,
        .offset = 2,
        .last = 0,
    };
    lam_dense_blocks(d, &layout, x, y, scratch);
}
