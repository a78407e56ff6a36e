/* Sixteen words of sums: for cores with registers enough. */
#define LAM_POINTWISE_WORDS 16
#define LAM_POINTWISE_SHORT 0
#include "lam_conv2d_sparse_pointwise_tile.h"

#if LAM_POINTWISE_CORE == LAM_POINTWISE_RISCV

/* In C the sums do not stay in registers: compilers load all pixels of a tile before they add the first.
 *
 *   s0 .. s11, t3 .. t6  sums     a0 next word of the list     a6 y     a7 pitch     a5 place     a1 .. a4  pixels
 * (their loads take two bytes of code only) */
#define LAM_POINTWISE_FOUR(do, at, a, b, c, d)                                                                        \
    "lw a1, " #at "(a5)\n lw a2, " #at "+4(a5)\n lw a3, " #at "+8(a5)\n lw a4, " #at "+12(a5)\n"                      \
    do(a, a1) do(b, a2) do(c, a3) do(d, a4)
#define LAM_POINTWISE_ADD(sum, x) "add " #sum ", " #sum ", " #x "\n"
#define LAM_POINTWISE_STEP                                                                                            \
    "lw a5, 0(a0)\n addi a0, a0, 4\n"                                                                                 \
    LAM_POINTWISE_FOUR(LAM_POINTWISE_ADD, 0, s0, s1, s2, s3) LAM_POINTWISE_FOUR(LAM_POINTWISE_ADD, 16, s4, s5, s6, s7) \
    LAM_POINTWISE_FOUR(LAM_POINTWISE_ADD, 32, s8, s9, s10, s11)                                                       \
    LAM_POINTWISE_FOUR(LAM_POINTWISE_ADD, 48, t3, t4, t5, t6)
#define LAM_POINTWISE_LOAD(sum, at) "lw " #sum ", " #at "(a5)\n"
#define LAM_POINTWISE_NEGATE(sum) "sub " #sum ", t1, " #sum "\n"
#define LAM_POINTWISE_START(sum) "mv " #sum ", t1\n"
#define LAM_POINTWISE_EACH(DO)                                                                                        \
    DO(s0) DO(s1) DO(s2) DO(s3) DO(s4) DO(s5) DO(s6) DO(s7) DO(s8) DO(s9) DO(s10) DO(s11) DO(t3) DO(t4) DO(t5) DO(t6)
#define LAM_POINTWISE_NEXT "lw a5, 0(a0)\n addi a0, a0, 4\n jr a5\n"

/* Two pixels of a word; y is 0 there already, and after a ReLU that is right for every other pixel. The lower lane is
 * 2^15 too large, so the upper one never lends it anything, and its sign is bit 15 the other way round.
 *
 *   a6 y  a3 multiplier  a4 round  a5 the same for the lower lane  a2 2^24  a1 mask of the upper lane  t1 any */
#define LAM_POINTWISE_LANE(lane, round, place)                                                                        \
    "mulhu " #lane ", " #lane ", a3\n add " #lane ", " #lane ", " round "\n"                                           \
    "bltu " #lane ", a2, 1f\n li " #lane ", -1\n"                                                                     \
    "1: srli " #lane ", " #lane ", 16\n sb " #lane ", " #place "(a6)\n"
#define LAM_POINTWISE_PUT(sum, place)                                                                                 \
    "slli t1, " #sum ", 16\n bgez t1, 2f\n" LAM_POINTWISE_LANE(t1, "a5", place) "2:"                                   \
    "bltz " #sum ", 2f\n and " #sum ", " #sum ", a1\n" LAM_POINTWISE_LANE(sum, "a4", place + 2) "2:"
#define LAM_POINTWISE_PUT_FOUR(a, b, place)                                                                           \
    "sw zero, " #place "(a6)\n" LAM_POINTWISE_PUT(a, place) LAM_POINTWISE_PUT(b, place + 1)

/* The argument `pixels` is for hosts: here a place is an address. */
__attribute__((naked)) void lam_pointwise_tile_32(__attribute__((unused)) const uint32_t *list,
                                                  __attribute__((unused)) const uint32_t *pixels,
                                                  __attribute__((unused)) uint8_t *y,
                                                  __attribute__((unused)) uint32_t pitch)
{
    __asm__("addi sp, sp, -48\n"
            "sw s0, 0(sp)\n sw s1, 4(sp)\n sw s2, 8(sp)\n sw s3, 12(sp)\n sw s4, 16(sp)\n sw s5, 20(sp)\n"
            "sw s6, 24(sp)\n sw s7, 28(sp)\n sw s8, 32(sp)\n sw s9, 36(sp)\n sw s10, 40(sp)\n sw s11, 44(sp)\n"
            "mv a6, a2\n mv a7, a3\n"
            LAM_POINTWISE_NEXT
            "11: lw a5, 0(a0)\n addi a0, a0, 4\n"
            LAM_POINTWISE_LOAD(s0, 0) LAM_POINTWISE_LOAD(s1, 4) LAM_POINTWISE_LOAD(s2, 8) LAM_POINTWISE_LOAD(s3, 12)
            LAM_POINTWISE_LOAD(s4, 16) LAM_POINTWISE_LOAD(s5, 20) LAM_POINTWISE_LOAD(s6, 24)
            LAM_POINTWISE_LOAD(s7, 28) LAM_POINTWISE_LOAD(s8, 32) LAM_POINTWISE_LOAD(s9, 36)
            LAM_POINTWISE_LOAD(s10, 40) LAM_POINTWISE_LOAD(s11, 44) LAM_POINTWISE_LOAD(t3, 48)
            LAM_POINTWISE_LOAD(t4, 52) LAM_POINTWISE_LOAD(t5, 56) LAM_POINTWISE_LOAD(t6, 60)
            LAM_POINTWISE_NEXT
            "16: "
            LAM_POINTWISE_STEP
            "17: "
            LAM_POINTWISE_STEP LAM_POINTWISE_STEP LAM_POINTWISE_STEP LAM_POINTWISE_STEP
            LAM_POINTWISE_STEP LAM_POINTWISE_STEP LAM_POINTWISE_STEP
            "18: "
            LAM_POINTWISE_NEXT
            "12: lw t1, 0(a0)\n addi a0, a0, 4\n"
            LAM_POINTWISE_EACH(LAM_POINTWISE_NEGATE)
            LAM_POINTWISE_NEXT
            "13: lw t1, 0(a0)\n addi a0, a0, 4\n"
            LAM_POINTWISE_EACH(LAM_POINTWISE_START)
            LAM_POINTWISE_NEXT
            "14: lw a4, 0(a0)\n lw a3, 4(a0)\n addi a0, a0, 8\n"
            "srli a5, a3, 1\n sub a5, a4, a5\n li a2, 0x1000000\n li a1, -0x10000\n"
            LAM_POINTWISE_PUT_FOUR(s0, s1, 0) LAM_POINTWISE_PUT_FOUR(s2, s3, 4)
            LAM_POINTWISE_PUT_FOUR(s4, s5, 8) LAM_POINTWISE_PUT_FOUR(s6, s7, 12)
            LAM_POINTWISE_PUT_FOUR(s8, s9, 16) LAM_POINTWISE_PUT_FOUR(s10, s11, 20)
            LAM_POINTWISE_PUT_FOUR(t3, t4, 24) LAM_POINTWISE_PUT_FOUR(t5, t6, 28)
            "add a6, a6, a7\n"
            LAM_POINTWISE_NEXT
            "15: "
            "lw s0, 0(sp)\n lw s1, 4(sp)\n lw s2, 8(sp)\n lw s3, 12(sp)\n lw s4, 16(sp)\n lw s5, 20(sp)\n"
            "lw s6, 24(sp)\n lw s7, 28(sp)\n lw s8, 32(sp)\n lw s9, 36(sp)\n lw s10, 40(sp)\n lw s11, 44(sp)\n"
            "addi sp, sp, 48\n"
            "ret\n"
            ".balign 4\n"
            ".global lam_pointwise_code_of_core\n"
            "lam_pointwise_code_of_core:\n"
            ".word 11b, 12b, 13b, 14b, 15b, 18b, 17b - 16b\n");
}

#elif LAM_POINTWISE_CORE == LAM_POINTWISE_C

#include "lam_conv2d_sparse_pointwise_loop.h"

void lam_pointwise_tile_32(const uint32_t *list, const uint32_t *pixels, uint8_t *y, uint32_t pitch)
{
    lam_pointwise_run(list, pixels, y, pitch);
}

#endif
