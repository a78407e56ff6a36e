#include "lam_dense_blocks.h"

/* A word is a fraction of 20 base 3 digits; multiplied by 81, it gives the next four of them and what remains. They are
 * two columns of two rows, and a table makes of each column a factor for one 32-bit product: (level + 1) of the first
 * row, and 2^16 * (level + 1) of the second. The sums have 16 bits each. */

static const uint32_t lam_dense_ternary_columns[81][2] = {
    {0x00000, 0x00000}, {0x00000, 0x10000}, {0x00000, 0x20000}, {0x00000, 0x00001}, {0x00000, 0x10001},
    {0x00000, 0x20001}, {0x00000, 0x00002}, {0x00000, 0x10002}, {0x00000, 0x20002}, {0x10000, 0x00000},
    {0x10000, 0x10000}, {0x10000, 0x20000}, {0x10000, 0x00001}, {0x10000, 0x10001}, {0x10000, 0x20001},
    {0x10000, 0x00002}, {0x10000, 0x10002}, {0x10000, 0x20002}, {0x20000, 0x00000}, {0x20000, 0x10000},
    {0x20000, 0x20000}, {0x20000, 0x00001}, {0x20000, 0x10001}, {0x20000, 0x20001}, {0x20000, 0x00002},
    {0x20000, 0x10002}, {0x20000, 0x20002}, {0x00001, 0x00000}, {0x00001, 0x10000}, {0x00001, 0x20000},
    {0x00001, 0x00001}, {0x00001, 0x10001}, {0x00001, 0x20001}, {0x00001, 0x00002}, {0x00001, 0x10002},
    {0x00001, 0x20002}, {0x10001, 0x00000}, {0x10001, 0x10000}, {0x10001, 0x20000}, {0x10001, 0x00001},
    {0x10001, 0x10001}, {0x10001, 0x20001}, {0x10001, 0x00002}, {0x10001, 0x10002}, {0x10001, 0x20002},
    {0x20001, 0x00000}, {0x20001, 0x10000}, {0x20001, 0x20000}, {0x20001, 0x00001}, {0x20001, 0x10001},
    {0x20001, 0x20001}, {0x20001, 0x00002}, {0x20001, 0x10002}, {0x20001, 0x20002}, {0x00002, 0x00000},
    {0x00002, 0x10000}, {0x00002, 0x20000}, {0x00002, 0x00001}, {0x00002, 0x10001}, {0x00002, 0x20001},
    {0x00002, 0x00002}, {0x00002, 0x10002}, {0x00002, 0x20002}, {0x10002, 0x00000}, {0x10002, 0x10000},
    {0x10002, 0x20000}, {0x10002, 0x00001}, {0x10002, 0x10001}, {0x10002, 0x20001}, {0x10002, 0x00002},
    {0x10002, 0x10002}, {0x10002, 0x20002}, {0x20002, 0x00000}, {0x20002, 0x10000}, {0x20002, 0x20000},
    {0x20002, 0x00001}, {0x20002, 0x10001}, {0x20002, 0x20001}, {0x20002, 0x00002}, {0x20002, 0x10002},
    {0x20002, 0x20002},
};

#if defined(__GNUC__) && defined(__riscv) && __riscv_xlen == 32 && !defined(__riscv_32e) && !defined(LAM_NO_SIMD)

/* Two columns, in t2 and t3, of two rows. */
#define LAM_TERNARY_TWO(fraction, acc, advance)                                                                       \
    "mulhu t4, " fraction ", a4\n" advance "slli t4, t4, 3\n add t4, t4, a5\n lw t5, 0(t4)\n lw t6, 4(t4)\n"      \
    "mul t5, t5, t2\n mul t6, t6, t3\n add " acc ", " acc ", t5\n add " acc ", " acc ", t6\n"
#define LAM_TERNARY_FOUR(c, next)                                                                                     \
    "lbu t2, " c "(a1)\n lbu t3, " next "(a1)\n"                                                                    \
    LAM_TERNARY_TWO("t0", "a6", "mul t0, t0, a4\n") LAM_TERNARY_TWO("t1", "a7", "mul t1, t1, a4\n")
/* Takes two rows' sums to those at `at`. */
#define LAM_TERNARY_OUT(acc, at)                                                                                      \
    "lw t0, " at "(a3)\n lw t1, " at "+4(a3)\n slli t2, " acc ", 16\n srli t2, t2, 16\n srli t3, " acc ", 16\n"  \
    "add t0, t0, t2\n add t1, t1, t3\n sw t0, " at "(a3)\n sw t1, " at "+4(a3)\n"

/* All in registers that need not be saved. */
__attribute__((naked, noinline)) static void lam_dense_ternary_units(
    __attribute__((unused)) const uint32_t *w, __attribute__((unused)) const void *x,
    __attribute__((unused)) uint32_t units, __attribute__((unused)) int32_t *sums,
    __attribute__((unused)) uint32_t power, __attribute__((unused)) const uint32_t (*columns)[2])
{
    __asm__("slli a2, a2, 3\n"
            "add a2, a2, a0\n"
            "li a6, 0\n li a7, 0\n"
            "1:\n"
            "lw t0, 0(a0)\n"
            "lw t1, 4(a0)\n"
            LAM_TERNARY_FOUR("0", "1") LAM_TERNARY_FOUR("2", "3") LAM_TERNARY_FOUR("4", "5") LAM_TERNARY_FOUR("6", "7")
            "lbu t2, 8(a1)\n lbu t3, 9(a1)\n"
            LAM_TERNARY_TWO("t0", "a6", "") LAM_TERNARY_TWO("t1", "a7", "")
            "addi a0, a0, 8\n"
            "addi a1, a1, 10\n"
            "bne a0, a2, 1b\n"
            LAM_TERNARY_OUT("a6", "0") LAM_TERNARY_OUT("a7", "8")
            "ret\n");
}

static void lam_dense_ternary_quads_dot(const uint32_t *w, const void *x, uint32_t units, int32_t *sums, uint32_t next)
{
    (void)next;
    lam_dense_ternary_units(w, x, units, sums, 81, lam_dense_ternary_columns);
}

#else

/* Columns c and c + 1: takes their digits off the fractions of both pairs of rows. Written out five times, because
 * compilers keep a loop of five. */
#define LAM_TERNARY_FOUR(c)                                                                                           \
    do {                                                                                                              \
        const uint64_t p = (uint64_t)first * power, q = (uint64_t)second * power;                                     \
        const uint32_t *s = lam_dense_ternary_columns[p >> 32], *t = lam_dense_ternary_columns[q >> 32];              \
        const uint32_t x0 = v[c], x1 = v[(c) + 1];                                                                    \
        first = (uint32_t)p;                                                                                          \
        second = (uint32_t)q;                                                                                         \
        a += s[0] * x0;                                                                                               \
        a += s[1] * x1;                                                                                               \
        b += t[0] * x0;                                                                                               \
        b += t[1] * x1;                                                                                               \
        LAM_DENSE_STEP();                                                                                             \
    } while (0)

static void lam_dense_ternary_quads_dot(const uint32_t *w, const void *x, uint32_t units, int32_t *sums, uint32_t next)
{
    (void)next;
    const uint8_t *v = x;
    uint32_t power = 81; /* 3^4 */
    LAM_DENSE_KEEP(power);
    uint32_t a = 0, b = 0; /* rows 0 and 1, rows 2 and 3 */
    for (const uint32_t *end = w + 2 * units; w != end; w += 2, v += 10) {
        uint32_t first = w[0], second = w[1];
        LAM_TERNARY_FOUR(0);
        LAM_TERNARY_FOUR(2);
        LAM_TERNARY_FOUR(4);
        LAM_TERNARY_FOUR(6);
        LAM_TERNARY_FOUR(8);
    }
    lam_dense_add(&sums[0], a & 0xffffu);
    lam_dense_add(&sums[1], a >> 16);
    lam_dense_add(&sums[2], b & 0xffffu);
    lam_dense_add(&sums[3], b >> 16);
}

#endif

void lam_dense_ternary_quads(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    static const lam_dense_layout layout = {
        .dot = lam_dense_ternary_quads_dot,
        .prepare = lam_dense_padded,
        .rows = 4,
        .blocks = 1,
        .cols = 10,
        .words = 2,
        .x_bytes = 1,
        .period = 4,
        .offset = 1,
        .last = 1,
    };
    lam_dense_blocks(d, &layout, x, y, scratch);
}
