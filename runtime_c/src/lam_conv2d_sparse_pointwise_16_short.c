/* Eight words of sums, products of 32 bits. */
#define LAM_POINTWISE_WORDS 8
#define LAM_POINTWISE_SHORT 1
#include "lam_conv2d_sparse_pointwise_tile.h"

#if LAM_POINTWISE_CORE == LAM_POINTWISE_ARMV6M

/* For compilers this is out of reach: sums in the high registers of Armv6-M, and pixels in bursts.
 *
 *   r0 r1 r8 .. r12 lr  sums     r3 next word of the list     r4 place     r2 r5 r6 r7  pixels
 *   [sp] y     [sp, #4] pitch     [sp, #8] list, while r3 is needed */
#define LAM_POINTWISE_STEP                                                                                            \
    "ldm r3!, {r4}\n"                                                                                                 \
    "ldm r4!, {r2, r5, r6, r7}\n"                                                                                     \
    "adds r0, r0, r2\n adds r1, r1, r5\n add r8, r6\n add r9, r7\n"                                                   \
    "ldm r4!, {r2, r5, r6, r7}\n add r10, r2\n add r11, r5\n add r12, r6\n add lr, r7\n"

#define LAM_POINTWISE_NEXT "ldm r3!, {r4}\n bx r4\n"
#define LAM_POINTWISE_FIRST                                                                                           \
    "ldm r4!, {r0, r1, r5, r6, r7}\n mov r8, r5\n mov r9, r6\n mov r10, r7\n"                                        \
    "ldm r4!, {r5, r6, r7}\n mov r11, r5\n mov r12, r6\n mov lr, r7\n"
#define LAM_POINTWISE_NEGATE(sum) "mov r6, " #sum "\n subs r6, r5, r6\n mov " #sum ", r6\n"

/* Two pixels of a word; y is 0 there already, and after a ReLU that is right for every other pixel. The lower lane is
 * 2^15 too large, so the upper one never lends it anything, and its sign is bit 15 the other way round: carry tells.
 *
 *   r2 y  r3 pixel  r4 round  r5 multiplier  r6 shift  r7 word */
#define LAM_POINTWISE_PUT_LANE(place, next)                                                                           \
    "muls r3, r5, r3\n adds r3, r3, r4\n lsrs r3, r3, r6\n"                                                           \
    "cmp r3, #255\n bls " next "0f\n movs r3, #255\n" next "0: strb r3, [r2, #" place "]\n" next ":"
#define LAM_POINTWISE_PUT(sum, low, high)                                                                             \
    "lsls r3, " #sum ", #17\n bcc 4f\n lsrs r3, r3, #17\n" LAM_POINTWISE_PUT_LANE(low, "4")                           \
    "asrs r3, " #sum ", #16\n bmi 5f\n" LAM_POINTWISE_PUT_LANE(high, "5")
#define LAM_POINTWISE_PUT_HIGH(sum, low, high) "mov r7, " #sum "\n" LAM_POINTWISE_PUT(r7, low, high)
#define LAM_POINTWISE_PUT_TILE                                                                                        \
    "ldr r2, [sp]\n"                                                                                                  \
    "movs r4, #0\n str r4, [r2]\n str r4, [r2, #4]\n str r4, [r2, #8]\n str r4, [r2, #12]\n"                          \
    "ldm r3!, {r4, r5, r6}\n str r3, [sp, #8]\n"                                                                      \
    LAM_POINTWISE_PUT(r0, "0", "2") LAM_POINTWISE_PUT(r1, "1", "3")                                                   \
    LAM_POINTWISE_PUT_HIGH(r8, "4", "6") LAM_POINTWISE_PUT_HIGH(r9, "5", "7")                                         \
    LAM_POINTWISE_PUT_HIGH(r10, "8", "10") LAM_POINTWISE_PUT_HIGH(r11, "9", "11")                                     \
    LAM_POINTWISE_PUT_HIGH(r12, "12", "14") LAM_POINTWISE_PUT_HIGH(lr, "13", "15")                                    \
    "ldr r3, [sp, #8]\n ldr r4, [sp, #4]\n adds r2, r2, r4\n str r2, [sp]\n"

/* The argument `pixels` is for hosts: here a place is an address. */
__attribute__((naked)) void lam_pointwise_tile_16_short(__attribute__((unused)) const uint32_t *list,
                                                        __attribute__((unused)) const uint32_t *pixels,
                                                        __attribute__((unused)) uint8_t *y,
                                                        __attribute__((unused)) uint32_t pitch)
{
    __asm__(".syntax unified\n"
            "push {r4, r5, r6, r7, lr}\n"
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n push {r4, r5, r6, r7}\n"
            "sub sp, #12\n"
            "str r2, [sp]\n str r3, [sp, #4]\n"
            "mov r3, r0\n"
            LAM_POINTWISE_NEXT
            "1: ldm r3!, {r4}\n"
            LAM_POINTWISE_FIRST
            LAM_POINTWISE_NEXT
            "10: "
            LAM_POINTWISE_STEP
            "11: "
            LAM_POINTWISE_STEP LAM_POINTWISE_STEP LAM_POINTWISE_STEP LAM_POINTWISE_STEP
            LAM_POINTWISE_STEP LAM_POINTWISE_STEP LAM_POINTWISE_STEP
            "12: "
            LAM_POINTWISE_NEXT
            "2: ldm r3!, {r5}\n"
            "subs r0, r5, r0\n subs r1, r5, r1\n"
            LAM_POINTWISE_NEGATE(r8) LAM_POINTWISE_NEGATE(r9) LAM_POINTWISE_NEGATE(r10)
            LAM_POINTWISE_NEGATE(r11) LAM_POINTWISE_NEGATE(r12) LAM_POINTWISE_NEGATE(lr)
            LAM_POINTWISE_NEXT
            "3: ldm r3!, {r0}\n"
            "mov r1, r0\n mov r8, r0\n mov r9, r0\n mov r10, r0\n mov r11, r0\n mov r12, r0\n mov lr, r0\n"
            LAM_POINTWISE_NEXT
            "6: "
            LAM_POINTWISE_PUT_TILE
            LAM_POINTWISE_NEXT
            "7: add sp, #12\n"
            "pop {r4, r5, r6, r7}\n"
            "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
            "pop {r4, r5, r6, r7, pc}\n"
            /* Addresses of code have their lowest bit set. */
            ".balign 4\n"
            ".global lam_pointwise_code_of_core\n"
            "lam_pointwise_code_of_core:\n"
            ".word 1b + 1, 2b + 1, 3b + 1, 6b + 1, 7b + 1, 12b + 1, 11b - 10b\n");
}

#elif LAM_POINTWISE_CORE == LAM_POINTWISE_C

#include "lam_conv2d_sparse_pointwise_loop.h"

void lam_pointwise_tile_16_short(const uint32_t *list, const uint32_t *pixels, uint8_t *y, uint32_t pitch)
{
    lam_pointwise_run(list, pixels, y, pitch);
}

#endif
