#include "lam_dense_blocks.h"

/* A word of weights holds two columns of four rows: 16 bits with sign each,
 *   4096 * level of row 3 + 256 * (level of row 2 + 8) + 16 * (level of row 1 + 8) + (level of row 0 + 8).
 * It is multiplied as it is, without its upper nibble, with only two, with one; the differences are the rows' sums.
 * Seven instructions for eight products. 256 columns at a time keep 4096 * sum within 32 bits. */

#if LAM_DENSE_DSP

#define LAM_INT4_PAIR(w, x)                                                                                          \
    "smlad r11, " w ", " x ", r11\n bic " w ", " w ", #0xf000f000\n"                                                 \
    "smlad r10, " w ", " x ", r10\n uxtb16 " w ", " w "\n"                                                           \
    "smlad r9, " w ", " x ", r9\n and " w ", " w ", #0x000f000f\n"                                                   \
    "smlad r8, " w ", " x ", r8\n"

#define LAM_INT4_EIGHT                                                                                               \
    "ldm r0!, {r4, r5, r6, r7}\n"                                                                                    \
    "ldrd r12, lr, [r1], #8\n" LAM_INT4_PAIR("r4", "r12") LAM_INT4_PAIR("r5", "lr")                                  \
    "ldrd r12, lr, [r1], #8\n" LAM_INT4_PAIR("r6", "r12") LAM_INT4_PAIR("r7", "lr")

LAM_DENSE_NAKED static void lam_dense_int4_pairs_dot(LAM_DENSE_ARGUMENT const uint32_t *w,
                                                     LAM_DENSE_ARGUMENT const void *x,
                                                     LAM_DENSE_ARGUMENT uint32_t units,
                                                     LAM_DENSE_ARGUMENT int32_t *sums,
                                                     LAM_DENSE_ARGUMENT uint32_t next)
{
    __asm__(".syntax unified\n"
            "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
            "mov r8, #0\n mov r9, #0\n mov r10, #0\n mov r11, #0\n"
            "lsrs r2, r2, #1\n" /* units of four columns: an odd one first */
            "bcc 1f\n"
            "ldrd r4, r5, [r0], #8\n"
            "ldrd r12, lr, [r1], #8\n" LAM_INT4_PAIR("r4", "r12") LAM_INT4_PAIR("r5", "lr")
            "1:\n"
            "lsrs r2, r2, #1\n" /* then an odd two */
            "bcc 2f\n"
            LAM_INT4_EIGHT
            "2:\n"
            "beq 4f\n" /* flags of the last shift: nothing above sets any */
            "3:\n"
            LAM_INT4_EIGHT LAM_INT4_EIGHT
            "subs r2, #1\n"
            "bne 3b\n"
            "4:\n"
            "ldm r3, {r4, r5, r6, r7}\n"
            "sub r11, r10\n sub r10, r9\n sub r9, r8\n"
            "add r4, r8\n"
            "add r5, r5, r9, lsr #4\n"
            "add r6, r6, r10, lsr #8\n"
            "add r7, r7, r11, asr #12\n"
            "stm r3, {r4, r5, r6, r7}\n"
            "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n");
}

#else

static void lam_dense_int4_pairs_dot(const uint32_t *w, const void *x, uint32_t units, int32_t *sums, uint32_t next)
{
    (void)next;
    const uint16_t *v = x;
    for (uint32_t left = 2 * units; left > 0; left--, v += 2) {
        const uint32_t two = *w++;
        for (uint32_t r = 0; r < 3; r++) {
            lam_dense_add(&sums[r], (two >> 4 * r & 15u) * v[0] + (two >> (16 + 4 * r) & 15u) * v[1]);
        }
        const int32_t low = (int16_t)(two & 0xffffu) >> 12, high = (int32_t)two >> 28;
        lam_dense_add(&sums[3], (uint32_t)(low * v[0] + high * v[1]));
    }
}

#endif

void lam_dense_int4_pairs(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    static const lam_dense_layout layout = {
        .dot = lam_dense_int4_pairs_dot,
        .prepare = lam_dense_widened,
        .rows = 4,
        .blocks = 1,
        .cols = 4,
        .words = 2,
        .x_bytes = 2,
        .period = 4,
        .offset = 8,
        .last = 0,
    };
    lam_dense_blocks(d, &layout, x, y, scratch);
}
