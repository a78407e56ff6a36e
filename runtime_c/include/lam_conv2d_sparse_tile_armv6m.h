/* The sums of the three large tiles for Cortex-M0, M0+ and M23, for lam_conv2d_sparse_tile.c only.
 *
 * Eight sums do not fit into the eight low registers, and compilers make no use of an `add` into the high ones: from C
 * they make up to 18 instructions for 4 words of 2 pixels. Here it is 22 (one row) to 25 (four rows) for 8 words.
 *
 *   r4 r5 r6 r7 r8 r9 r10 r11  sums        r2  offset     r3  address   r0  datum
 *   r1  pitch in bytes                     r12 x          lr  end of the offsets
 */
#ifndef LAM_CONV2D_SPARSE_TILE_ARMV6M_H
#define LAM_CONV2D_SPARSE_TILE_ARMV6M_H

#include "lam_conv2d_sparse_tile.h"

#if LAM_TILE_ARMV6M

/* The offsets of lam_tile's members stand in the code below. */
typedef char lam_tile_layout[offsetof(lam_tile, minus) == 4 && offsetof(lam_tile, n_plus) == 8 &&
                                     offsetof(lam_tile, n_minus) == 12 && offsetof(lam_tile, pitch) == 16
                                 ? 1
                                 : -1];

#define LAM_TILE_LOW(sum, place) "ldr r0, [r3, #" #place "]\n adds " #sum ", r0\n"
#define LAM_TILE_HIGH(sum, place) "ldr r0, [r3, #" #place "]\n add " #sum ", r0\n"
#define LAM_TILE_ROW "adds r3, r1\n"

#define LAM_TILE_1X8                                                                                                 \
    LAM_TILE_LOW(r4, 0) LAM_TILE_LOW(r5, 4) LAM_TILE_LOW(r6, 8) LAM_TILE_LOW(r7, 12)                                 \
    LAM_TILE_HIGH(r8, 16) LAM_TILE_HIGH(r9, 20) LAM_TILE_HIGH(r10, 24) LAM_TILE_HIGH(r11, 28)
#define LAM_TILE_2X4                                                                                                 \
    LAM_TILE_LOW(r4, 0) LAM_TILE_LOW(r5, 4) LAM_TILE_LOW(r6, 8) LAM_TILE_LOW(r7, 12)                                 \
    LAM_TILE_ROW LAM_TILE_HIGH(r8, 0) LAM_TILE_HIGH(r9, 4) LAM_TILE_HIGH(r10, 8) LAM_TILE_HIGH(r11, 12)
#define LAM_TILE_4X2                                                                                                 \
    LAM_TILE_LOW(r4, 0) LAM_TILE_LOW(r5, 4) LAM_TILE_ROW LAM_TILE_LOW(r6, 0) LAM_TILE_LOW(r7, 4)                     \
    LAM_TILE_ROW LAM_TILE_HIGH(r8, 0) LAM_TILE_HIGH(r9, 4) LAM_TILE_ROW LAM_TILE_HIGH(r10, 0) LAM_TILE_HIGH(r11, 4)

/* One list: r2 its first offset, r3 their number. */
#define LAM_TILE_LIST(start, end, words)                                                                             \
    "lsls r3, #1\n adds r3, r2\n mov lr, r3\n"                                                                       \
    "cmp r2, lr\n beq " end "f\n"                                                                                    \
    start ":\n"                                                                                                      \
    "ldrh r3, [r2]\n adds r2, #2\n lsls r3, #1\n add r3, r12\n"                                                      \
    words                                                                                                            \
    "cmp r2, lr\n bne " start "b\n"                                                                                  \
    end ":\n"

#define LAM_TILE_NEGATE(sum) "mov r0, " #sum "\n rsbs r0, r0, #0\n mov " #sum ", r0\n"

/* First the list to subtract, then the other one. */
#define LAM_TILE_BODY(words)                                                                                         \
    __asm__(".syntax unified\n"                                                                                      \
            "push {r0, r1, r4, r5, r6, r7, lr}\n"                                                                    \
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n push {r4, r5, r6, r7}\n"                          \
            "mov r12, r2\n"                                                                                          \
            "movs r4, #0\n movs r5, #0\n movs r6, #0\n movs r7, #0\n"                                                \
            "mov r8, r4\n mov r9, r4\n mov r10, r4\n mov r11, r4\n"                                                  \
            "ldr r2, [r1, #4]\n ldr r3, [r1, #12]\n ldr r1, [r1, #16]\n lsls r1, #1\n"                               \
            LAM_TILE_LIST("1", "2", words)                                                                           \
            "rsbs r4, r4, #0\n rsbs r5, r5, #0\n rsbs r6, r6, #0\n rsbs r7, r7, #0\n"                                \
            LAM_TILE_NEGATE(r8) LAM_TILE_NEGATE(r9) LAM_TILE_NEGATE(r10) LAM_TILE_NEGATE(r11)                        \
            "ldr r3, [sp, #20]\n ldr r2, [r3, #0]\n ldr r3, [r3, #8]\n"                                              \
            LAM_TILE_LIST("3", "4", words)                                                                           \
            "ldr r0, [sp, #16]\n"                                                                                    \
            "stmia r0!, {r4, r5, r6, r7}\n"                                                                          \
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"                                                  \
            "stmia r0!, {r4, r5, r6, r7}\n"                                                                          \
            "pop {r4, r5, r6, r7}\n mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"                           \
            "pop {r0, r1, r4, r5, r6, r7, pc}\n")

#define LAM_TILE_NAKED static __attribute__((naked, noinline))
#define LAM_TILE_ARGUMENT __attribute__((unused))

LAM_TILE_NAKED void lam_tile_sum_1x8(LAM_TILE_ARGUMENT uint32_t *sums, LAM_TILE_ARGUMENT const lam_tile *t,
                                     LAM_TILE_ARGUMENT const uint16_t *x)
{
    LAM_TILE_BODY(LAM_TILE_1X8);
}

LAM_TILE_NAKED void lam_tile_sum_2x4(LAM_TILE_ARGUMENT uint32_t *sums, LAM_TILE_ARGUMENT const lam_tile *t,
                                     LAM_TILE_ARGUMENT const uint16_t *x)
{
    LAM_TILE_BODY(LAM_TILE_2X4);
}

LAM_TILE_NAKED void lam_tile_sum_4x2(LAM_TILE_ARGUMENT uint32_t *sums, LAM_TILE_ARGUMENT const lam_tile *t,
                                     LAM_TILE_ARGUMENT const uint16_t *x)
{
    LAM_TILE_BODY(LAM_TILE_4X2);
}

#endif
#endif
