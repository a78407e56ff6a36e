#include "lam_dense_blocks.h"

/* A word of weights, shifted and masked with 0x00030003, is (1 - level) of one column for two rows: one 32-bit product
 * serves both. Four columns of four rows a word, two blocks at a time. The sums have 16 bits each; because it is
 * 1 - level that is stored, ternary levels are no more than 2 and leave them room for 128 columns and more. */

#if defined(__GNUC__) && defined(__ARM_ARCH_6M__) && !defined(LAM_NO_SIMD)

/* Of one column, two rows of which the fields have been shifted down in r6. */
#define LAM_INT2_TWO(acc) "ands r6, r5\n muls r6, r4\n add " acc ", r6\n"
#define LAM_INT2_FOUR(column, low, high)                                                                              \
    "ldrb r4, [r1, #" column "]\n"                                                                                   \
    "lsrs r6, r2, #" low "\n" LAM_INT2_TWO("r8") "lsrs r6, r2, #" high "\n" LAM_INT2_TWO("r9")                      \
    "lsrs r6, r3, #" low "\n" LAM_INT2_TWO("r10") "lsrs r6, r3, #" high "\n" LAM_INT2_TWO("r11")
/* A unit of both blocks. */
#define LAM_INT2_UNIT(c0, c1, c2, c3)                                                                                 \
    "ldr r3, [r0, r7]\n"                                                                                             \
    "ldm r0!, {r2}\n"                                                                                                \
    "ldrb r4, [r1, #" c0 "]\n"                                                                                       \
    "mov r6, r2\n" LAM_INT2_TWO("r8") "lsrs r6, r2, #2\n" LAM_INT2_TWO("r9")                                        \
    "mov r6, r3\n" LAM_INT2_TWO("r10") "lsrs r6, r3, #2\n" LAM_INT2_TWO("r11")                                      \
    LAM_INT2_FOUR(c1, "4", "6") LAM_INT2_FOUR(c2, "8", "10") LAM_INT2_FOUR(c3, "12", "14")
/* Takes two rows' sums from those at r3. */
#define LAM_INT2_OUT(acc)                                                                                             \
    "mov r4, " acc "\n ldr r5, [r3]\n ldr r6, [r3, #4]\n uxth r7, r4\n lsrs r4, r4, #16\n"                       \
    "subs r5, r5, r7\n subs r6, r6, r4\n stm r3!, {r5, r6}\n"

/* Compilers spill half of these registers: 4 more instructions for 16 products. */
__attribute__((naked)) static void lam_dense_int2_quads_dot(
    __attribute__((unused)) const uint32_t *w, __attribute__((unused)) const void *x,
    __attribute__((unused)) uint32_t units, __attribute__((unused)) int32_t *sums,
    __attribute__((unused)) uint32_t next)
{
    __asm__(".syntax unified\n"
            "push {r3, r4, r5, r6, r7, lr}\n"
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"
            "push {r4, r5, r6, r7}\n"
            "ldr r7, [sp, #40]\n"
            "lsls r7, r7, #2\n"
            "movs r5, #3\n lsls r6, r5, #16\n adds r5, r5, r6\n"
            "movs r6, #0\n mov r8, r6\n mov r9, r6\n mov r10, r6\n mov r11, r6\n"
            "lsls r4, r2, #2\n"
            "adds r4, r0, r4\n"
            "mov r12, r4\n"
            "lsrs r2, r2, #1\n" /* an odd unit first */
            "bcc 1f\n"
            LAM_INT2_UNIT("0", "1", "2", "3")
            "adds r1, #4\n"
            "1:\n"
            "cmp r0, r12\n"
            "bne 2f\n"
            "b 3f\n" /* further than a condition reaches, as is the loop */
            "2:\n"
            LAM_INT2_UNIT("0", "1", "2", "3") LAM_INT2_UNIT("4", "5", "6", "7")
            "adds r1, #8\n"
            "cmp r0, r12\n"
            "beq 3f\n"
            "b 2b\n"
            "3:\n"
            "ldr r3, [sp, #16]\n"
            LAM_INT2_OUT("r8") LAM_INT2_OUT("r9") LAM_INT2_OUT("r10") LAM_INT2_OUT("r11")
            "pop {r4, r5, r6, r7}\n"
            "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
            "pop {r3, r4, r5, r6, r7, pc}\n");
}

#elif defined(__GNUC__) && defined(__riscv) && __riscv_xlen == 32 && !defined(__riscv_32e) && !defined(LAM_NO_SIMD)

/* Of one column, two rows of which the fields have been shifted down in t3. */
#define LAM_INT2_TWO(acc) "and t3, t3, a5\n mul t3, t3, t2\n add " acc ", " acc ", t3\n"
#define LAM_INT2_FOUR(column, low, high)                                                                              \
    "lbu t2, " column "(a1)\n"                                                                                       \
    "srli t3, t0, " low "\n" LAM_INT2_TWO("a6") "srli t3, t0, " high "\n" LAM_INT2_TWO("a7")                        \
    "srli t3, t1, " low "\n" LAM_INT2_TWO("t5") "srli t3, t1, " high "\n" LAM_INT2_TWO("t6")
/* A unit of both blocks. */
#define LAM_INT2_UNIT(at, c0, c1, c2, c3)                                                                             \
    "lw t0, " at "(a0)\n"                                                                                            \
    "lw t1, " at "(a4)\n"                                                                                            \
    "lbu t2, " c0 "(a1)\n"                                                                                           \
    "and t3, t0, a5\n mul t3, t3, t2\n add a6, a6, t3\n srli t3, t0, 2\n" LAM_INT2_TWO("a7")                      \
    "and t3, t1, a5\n mul t3, t3, t2\n add t5, t5, t3\n srli t3, t1, 2\n" LAM_INT2_TWO("t6")                      \
    LAM_INT2_FOUR(c1, "4", "6") LAM_INT2_FOUR(c2, "8", "10") LAM_INT2_FOUR(c3, "12", "14")
/* Takes two rows' sums from those at `at`. */
#define LAM_INT2_OUT(acc, at)                                                                                         \
    "lw t0, " at "(a3)\n lw t1, " at "+4(a3)\n slli t2, " acc ", 16\n srli t2, t2, 16\n srli t3, " acc ", 16\n"  \
    "sub t0, t0, t2\n sub t1, t1, t3\n sw t0, " at "(a3)\n sw t1, " at "+4(a3)\n"

/* All in registers that need not be saved. */
__attribute__((naked)) static void lam_dense_int2_quads_dot(
    __attribute__((unused)) const uint32_t *w, __attribute__((unused)) const void *x,
    __attribute__((unused)) uint32_t units, __attribute__((unused)) int32_t *sums,
    __attribute__((unused)) uint32_t next)
{
    __asm__("slli a4, a4, 2\n"
            "add a4, a4, a0\n"
            "lui a5, 0x30\n"
            "addi a5, a5, 3\n"
            "li a6, 0\n li a7, 0\n li t5, 0\n li t6, 0\n"
            "andi t4, a2, 1\n" /* an odd unit first */
            "slli a2, a2, 2\n"
            "add a2, a2, a0\n"
            "beqz t4, 1f\n"
            LAM_INT2_UNIT("0", "0", "1", "2", "3")
            "addi a0, a0, 4\n addi a4, a4, 4\n addi a1, a1, 4\n"
            "1:\n"
            "beq a0, a2, 3f\n"
            "2:\n"
            LAM_INT2_UNIT("0", "0", "1", "2", "3") LAM_INT2_UNIT("4", "4", "5", "6", "7")
            "addi a0, a0, 8\n addi a4, a4, 8\n addi a1, a1, 8\n"
            "bne a0, a2, 2b\n"
            "3:\n"
            LAM_INT2_OUT("a6", "0") LAM_INT2_OUT("a7", "8") LAM_INT2_OUT("t5", "16") LAM_INT2_OUT("t6", "24")
            "ret\n");
}

#else

#define LAM_INT2_COLUMN(i)                                                                                            \
    do {                                                                                                              \
        const uint32_t one = v[i];                                                                                    \
        a += (first >> 4 * (i) & mask) * one;                                                                         \
        b += (first >> (4 * (i) + 2) & mask) * one;                                                                   \
        LAM_DENSE_STEP16(a, b, second);                                                                               \
        c += (second >> 4 * (i) & mask) * one;                                                                        \
        d += (second >> (4 * (i) + 2) & mask) * one;                                                                  \
        LAM_DENSE_STEP16(c, d, v);                                                                                    \
    } while (0)

static void lam_dense_int2_quads_dot(const uint32_t *w, const void *x, uint32_t units, int32_t *sums, uint32_t next)
{
    const uint8_t *v = x;
    uint32_t mask = 0x00030003u;
    uint32_t a = 0, b = 0, c = 0, d = 0; /* of two rows each */
    LAM_DENSE_KEEP(mask);
    for (const uint32_t *end = w + units; w != end; v += 4) {
        uint32_t second = w[next], first = *w++;
        LAM_INT2_COLUMN(0);
        LAM_INT2_COLUMN(1);
        LAM_INT2_COLUMN(2);
        LAM_INT2_COLUMN(3);
    }
    lam_dense_add(&sums[0], 0u - (a & 0xffffu));
    lam_dense_add(&sums[1], 0u - (a >> 16));
    lam_dense_add(&sums[2], 0u - (b & 0xffffu));
    lam_dense_add(&sums[3], 0u - (b >> 16));
    lam_dense_add(&sums[4], 0u - (c & 0xffffu));
    lam_dense_add(&sums[5], 0u - (c >> 16));
    lam_dense_add(&sums[6], 0u - (d & 0xffffu));
    lam_dense_add(&sums[7], 0u - (d >> 16));
}

#endif

void lam_dense_int2_quads(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    static const lam_dense_layout layout = {
        .dot = lam_dense_int2_quads_dot,
        .prepare = lam_dense_padded,
        .rows = 4,
        .blocks = 2,
        .cols = 4,
        .words = 1,
        .x_bytes = 1,
        .period = 4,
        .offset = -1,
        .last = -1,
    };
    lam_dense_blocks(d, &layout, x, y, scratch);
}
