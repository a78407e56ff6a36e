/* Tiles of two output channels and four pixels for Thumb-2, for the lam_conv2d_mac_*.c only.
 *
 * Compilers spill at eight accumulators. Here all is in registers, and one addition both moves on in the input and
 * finds the end of the stream (LAM_MAC_END carries).
 *
 *   r4 r5 r6 r7      accumulators of the first output channel      r0  stream      r2 r3  weights
 *   r8 r9 r10 r11    of the second                                 r12 x           r1 lr  elements; r1 also the step
 *   stack: run, x, end of x, acc of the first channel, acc of the second
 */
#ifndef LAM_CONV2D_MAC_THUMB2_H
#define LAM_CONV2D_MAC_THUMB2_H

#include "lam_conv2d_mac.h"

#if defined(__GNUC__) && defined(__thumb2__) && !defined(LAM_NO_ASSEMBLY)
#define LAM_MAC_THUMB2 1
#else
#define LAM_MAC_THUMB2 0
#endif

#if LAM_MAC_THUMB2

/* The offsets of lam_mac_run's members stand in the code below. */
typedef char lam_mac_run_layout[offsetof(lam_mac_run, bias) == 4 && offsetof(lam_mac_run, pitch) == 12 ? 1 : -1];

/* Arguments: r0 run, r1 x, r2 n, r3 acc. `shift`: log2 of the bytes of an element, `tile`: bytes of four. */
#define LAM_MAC_BODY(shift, tile, taps)                                                                              \
    __asm__(".syntax unified\n"                                                                                      \
            "cbnz r2, 0f\n bx lr\n 0:\n"                                                                            \
            "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"                                                          \
            "ldr r12, [r0, #12]\n"                                                                                   \
            "add r2, r1, r2, lsl #" shift "\n"                                                                       \
            "add r12, r3, r12, lsl #2\n"                                                                             \
            "push {r0, r1, r2, r3, r12}\n"                                                                           \
            "1:\n"                                                                                                   \
            "ldm sp, {r1, r12}\n"                                                                                    \
            "ldm r1, {r0, r4, r8}\n"                                                                                 \
            "mov r5, r4\n mov r6, r4\n mov r7, r4\n mov r9, r8\n mov r10, r8\n mov r11, r8\n"                        \
            "ldm r0!, {r1, r2, r3}\n"                                                                                \
            "add r12, r1\n"                                                                                          \
            "2:\n"                                                                                                   \
            taps                                                                                                     \
            "ldm r0!, {r1, r2, r3}\n"                                                                                \
            "adds r12, r1\n"                                                                                         \
            "bcc 2b\n"                                                                                               \
            "ldrd r0, r1, [sp, #12]\n"                                                                               \
            "stm r0!, {r4, r5, r6, r7}\n"                                                                            \
            "stm r1!, {r8, r9, r10, r11}\n"                                                                          \
            "strd r0, r1, [sp, #12]\n"                                                                               \
            "ldrd r0, r1, [sp, #4]\n"                                                                                \
            "adds r0, #" tile "\n"                                                                                   \
            "str r0, [sp, #4]\n"                                                                                     \
            "cmp r0, r1\n"                                                                                           \
            "blo 1b\n"                                                                                               \
            "add sp, #20\n"                                                                                          \
            "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n")

/* The weights of the next element of a line. */
#define LAM_MAC_NEXT "ldm r0!, {r2, r3}\n"

#define LAM_MAC_NAKED __attribute__((naked))
#define LAM_MAC_ARGUMENT __attribute__((unused))

#endif
#endif
