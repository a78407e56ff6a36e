/* Rows of 3 x 3 windows, and requantisation, in the instructions of Cortex-M0; for the depthwise kernels only. Its
 * multiplication overwrites a factor, so that a pixel is best loaded for each: 3 instructions a tap, with all eight low
 * registers in use, which no compiler manages. Whole functions, for the same reason. */
#ifndef LAM_CONV2D_DEPTHWISE_ARMV6M_H
#define LAM_CONV2D_DEPTHWISE_ARMV6M_H

#include "lam_conv2d_depthwise.h"

#if defined(__GNUC__) && defined(__ARM_ARCH_6M__)

#define LAM_DEPTHWISE_NAKED __attribute__((naked, noinline, unused)) static
#define LAM_DEPTHWISE_ARGUMENT __attribute__((unused))

/* Arguments are in r0 to r3, and the fifth is the first word on the stack. */
#define LAM_DEPTHWISE_ENTER                                                                                            \
    ".syntax unified\n\t"                                                                                              \
    "push {r4, r5, r6, r7, lr}\n\t"                                                                                    \
    "mov r4, r8\n\t"                                                                                                   \
    "mov r5, r9\n\t"                                                                                                   \
    "mov r6, r10\n\t"                                                                                                  \
    "mov r7, r11\n\t"                                                                                                  \
    "push {r4, r5, r6, r7}\n\t"
#define LAM_DEPTHWISE_LEAVE                                                                                            \
    "pop {r4, r5, r6, r7}\n\t"                                                                                         \
    "mov r8, r4\n\t"                                                                                                   \
    "mov r9, r5\n\t"                                                                                                   \
    "mov r10, r6\n\t"                                                                                                  \
    "mov r11, r7\n\t"                                                                                                  \
    "pop {r4, r5, r6, r7, pc}\n\t"

/* Levels by r0, pixels by r1, four sums in r2 to r5, the level in r6, a pixel in r7. */
#define LAM_DEPTHWISE_MAC(sum, at)                                                                                     \
    "ldrh r7, [r1, #" at "]\n\t"                                                                                       \
    "muls r7, r6\n\t"                                                                                                  \
    "adds " sum ", r7\n\t"
#define LAM_DEPTHWISE_TAP(level, a, b, c, d)                                                                           \
    "ldr r6, [r0, #" level "]\n\t"                                                                                     \
    LAM_DEPTHWISE_MAC("r2", a)                                                                                         \
    LAM_DEPTHWISE_MAC("r3", b)                                                                                         \
    LAM_DEPTHWISE_MAC("r4", c)                                                                                         \
    LAM_DEPTHWISE_MAC("r5", d)
#define LAM_DEPTHWISE_TAPS_BY1(u, v, w)                                                                                \
    LAM_DEPTHWISE_TAP(u, "0", "2", "4", "6")                                                                           \
    LAM_DEPTHWISE_TAP(v, "2", "4", "6", "8")                                                                           \
    LAM_DEPTHWISE_TAP(w, "4", "6", "8", "10")
#define LAM_DEPTHWISE_TAPS_BY2(u, v, w)                                                                                \
    LAM_DEPTHWISE_TAP(u, "0", "4", "8", "12")                                                                          \
    LAM_DEPTHWISE_TAP(v, "2", "6", "10", "14")                                                                         \
    LAM_DEPTHWISE_TAP(w, "4", "8", "12", "16")
/* The pitch in r8, accumulators by r9 up to r10, the way back to the next tile in r11. */
#define LAM_DEPTHWISE_LINE(taps, step)                                                                                 \
    LAM_DEPTHWISE_ENTER                                                                                                \
    "mov r8, r2\n\t"                                                                                                   \
    "mov r9, r3\n\t"                                                                                                   \
    "ldr r4, [sp, #36]\n\t"                                                                                            \
    "mov r10, r4\n\t"                                                                                                  \
    "adds r2, r2, r2\n\t"                                                                                              \
    "subs r2, #" step "\n\t"                                                                                           \
    "mov r11, r2\n\t"                                                                                                  \
    "0:\n\t"                                                                                                           \
    "ldr r2, [r0, #36]\n\t"                                                                                            \
    "movs r3, r2\n\t"                                                                                                  \
    "movs r4, r2\n\t"                                                                                                  \
    "movs r5, r2\n\t"                                                                                                  \
    taps("0", "4", "8")                                                                                                \
    "add r1, r8\n\t"                                                                                                   \
    taps("12", "16", "20")                                                                                             \
    "add r1, r8\n\t"                                                                                                   \
    taps("24", "28", "32")                                                                                             \
    "mov r6, r11\n\t"                                                                                                  \
    "subs r1, r1, r6\n\t"                                                                                              \
    "mov r7, r9\n\t"                                                                                                   \
    "stmia r7!, {r2, r3, r4, r5}\n\t"                                                                                  \
    "mov r9, r7\n\t"                                                                                                   \
    "cmp r7, r10\n\t"                                                                                                  \
    "bhs 1f\n\t"                                                                                                       \
    "b 0b\n\t"                                                                                                         \
    "1:\n\t"                                                                                                           \
    LAM_DEPTHWISE_LEAVE

/* Accumulators from `acc` on, four at a time, until `end` is reached; at least four. level: as
 * lam_depthwise_channel.level. x: the first pixel of the first window. pitch: bytes from row to row. */
LAM_DEPTHWISE_NAKED void lam_depthwise_line3_stride1(LAM_DEPTHWISE_ARGUMENT const uint32_t *level,
                                                     LAM_DEPTHWISE_ARGUMENT const uint16_t *x,
                                                     LAM_DEPTHWISE_ARGUMENT uint32_t pitch,
                                                     LAM_DEPTHWISE_ARGUMENT int32_t *acc,
                                                     LAM_DEPTHWISE_ARGUMENT const int32_t *end)
{
    __asm__(LAM_DEPTHWISE_LINE(LAM_DEPTHWISE_TAPS_BY1, "8"));
}

LAM_DEPTHWISE_NAKED void lam_depthwise_line3_stride2(LAM_DEPTHWISE_ARGUMENT const uint32_t *level,
                                                     LAM_DEPTHWISE_ARGUMENT const uint16_t *x,
                                                     LAM_DEPTHWISE_ARGUMENT uint32_t pitch,
                                                     LAM_DEPTHWISE_ARGUMENT int32_t *acc,
                                                     LAM_DEPTHWISE_ARGUMENT const int32_t *end)
{
    __asm__(LAM_DEPTHWISE_LINE(LAM_DEPTHWISE_TAPS_BY2, "16"));
}

/* Accumulators from `acc` to `end` to activations in 0 .. 255, as lam_depthwise_split says; at least one. */
LAM_DEPTHWISE_NAKED void lam_depthwise_put_line(LAM_DEPTHWISE_ARGUMENT const int32_t *acc,
                                                LAM_DEPTHWISE_ARGUMENT const int32_t *end,
                                                LAM_DEPTHWISE_ARGUMENT uint8_t *y,
                                                LAM_DEPTHWISE_ARGUMENT const lam_depthwise_split *split)
{
    __asm__(LAM_DEPTHWISE_ENTER
            "mov r8, r1\n\t"
            "ldr r4, [r3, #16]\n\t"
            "mov r9, r4\n\t"
            "ldmia r3!, {r4, r5, r6, r7}\n\t"
            "0:\n\t"
            "ldmia r0!, {r1}\n\t"
            "movs r3, r1\n\t"
            "muls r3, r4\n\t"
            "asrs r3, r6\n\t"
            "muls r1, r5\n\t"
            "adds r1, r1, r3\n\t"
            "add r1, r9\n\t"
            "asrs r1, r7\n\t"
            "lsrs r3, r1, #8\n\t"
            "beq 1f\n\t"
            "mvns r1, r1\n\t" /* beyond the range: 0 or 255 in the lowest byte */
            "asrs r1, r1, #31\n\t"
            "1:\n\t"
            "strb r1, [r2]\n\t"
            "adds r2, #1\n\t"
            "cmp r0, r8\n\t"
            "bne 0b\n\t"
            LAM_DEPTHWISE_LEAVE);
}

#endif
#endif
