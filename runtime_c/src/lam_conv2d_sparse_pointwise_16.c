/* Eight words of sums. */
#define LAM_POINTWISE_WORDS 8
#define LAM_POINTWISE_SHORT 0
#include "lam_conv2d_sparse_pointwise_tile.h"

#if LAM_POINTWISE_CORE == LAM_POINTWISE_ARMV7M

/* For compilers this is out of reach: sums in registers and pixels in bursts.
 *
 *   r0 r1 r8 .. r12 lr  sums     r3 next word of the list     r4 place     r2 r5 r6 r7  pixels
 *   [sp] y     [sp, #4] pitch less what the requantisation of a tile advances y */
#if LAM_HAS_DSP
#define LAM_POINTWISE_ADD(sum, x) "sadd16 " #sum ", " #sum ", " #x "\n"
#else
#define LAM_POINTWISE_ADD(sum, x) "add " #sum ", " #sum ", " #x "\n"
#endif
#define LAM_POINTWISE_STEP                                                                                            \
    "ldm r3!, {r4}\n"                                                                                                 \
    "ldm r4!, {r2, r5, r6, r7}\n"                                                                                     \
    LAM_POINTWISE_ADD(r0, r2) LAM_POINTWISE_ADD(r1, r5) LAM_POINTWISE_ADD(r8, r6) LAM_POINTWISE_ADD(r9, r7)            \
    "ldm r4!, {r2, r5, r6, r7}\n"                                                                                     \
    LAM_POINTWISE_ADD(r10, r2) LAM_POINTWISE_ADD(r11, r5) LAM_POINTWISE_ADD(r12, r6) LAM_POINTWISE_ADD(lr, r7)

#define LAM_POINTWISE_NEXT "ldr pc, [r3], #4\n"
#define LAM_POINTWISE_FIRST "ldm r4, {r0, r1, r8, r9, r10, r11, r12, lr}\n"
#if LAM_HAS_DSP
#define LAM_POINTWISE_NEGATE(sum) "ssub16 " #sum ", r5, " #sum "\n"
#else
#define LAM_POINTWISE_NEGATE(sum) "sub " #sum ", r5, " #sum "\n"
#endif

#if LAM_POINTWISE_LONG_LANES
/* Four pixels of two words. Lanes become 2^16 * s + fraction, of which the upper half of a product has y in its upper
 * half: r5 holds the fraction less that of the lower lane, where the list's start has put it for the upper lane's sake.
 *
 *   r2 y  r4 pixels  r5 fraction  r6 multiplier  r7 any */
#define LAM_POINTWISE_PUT(a, b)                                                                                       \
    "add r4, r5, " #a ", lsl #16\n sub " #a ", " #a ", r4, asr #16\n"                                                 \
    "smull r7, r4, r4, r6\n smull r7, " #a ", " #a ", r6\n"                                                           \
    "usat r4, #8, r4, asr #16\n usat " #a ", #8, " #a ", asr #16\n"                                                   \
    "orr r4, r4, " #a ", lsl #16\n"                                                                                   \
    "add " #a ", r5, " #b ", lsl #16\n sub " #b ", " #b ", " #a ", asr #16\n"                                         \
    "smull r7, " #a ", " #a ", r6\n smull r7, " #b ", " #b ", r6\n"                                                   \
    "usat " #a ", #8, " #a ", asr #16\n usat " #b ", #8, " #b ", asr #16\n"                                           \
    "orr r4, r4, " #a ", lsl #8\n orr r4, r4, " #b ", lsl #24\n"                                                      \
    "str r4, [r2], #4\n"

#else

/* Four pixels of two words.
 *
 *   r2 y  r4 pixels  r5 round  r6 multiplier */
#define LAM_POINTWISE_PUT(a, b)                                                                                       \
    "smlawb r4, r6, " #a ", r5\n smlawt " #a ", r6, " #a ", r5\n pkhtb r4, " #a ", r4, asr #16\n usat16 r4, #8, r4\n" \
    "smlawb " #a ", r6, " #b ", r5\n smlawt " #b ", r6, " #b ", r5\n pkhtb " #a ", " #b ", " #a ", asr #16\n"         \
    "usat16 " #a ", #8, " #a "\n"                                                                                     \
    "orr r4, r4, " #a ", lsl #8\n"                                                                                    \
    "str r4, [r2], #4\n"

#endif

#define LAM_POINTWISE_PUT_TILE                                                                                        \
    "ldr r2, [sp]\n"                                                                                                  \
    "ldm r3!, {r5, r6}\n"                                                                                             \
    LAM_POINTWISE_PUT(r0, r1) LAM_POINTWISE_PUT(r8, r9) LAM_POINTWISE_PUT(r10, r11) LAM_POINTWISE_PUT(r12, lr)        \
    "ldr r4, [sp, #4]\n"                                                                                              \
    "add r2, r2, r4\n"                                                                                                \
    "str r2, [sp]\n"

/* The argument `pixels` is for hosts: here a place is an address. */
__attribute__((naked)) void lam_pointwise_tile_16(__attribute__((unused)) const uint32_t *list,
                                                  __attribute__((unused)) const uint32_t *pixels,
                                                  __attribute__((unused)) uint8_t *y,
                                                  __attribute__((unused)) uint32_t pitch)
{
    __asm__(".syntax unified\n"
            "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
            "sub sp, #8\n"
            "subs r3, #16\n str r2, [sp]\n str r3, [sp, #4]\n"
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
            LAM_POINTWISE_NEGATE(r0) LAM_POINTWISE_NEGATE(r1)
            LAM_POINTWISE_NEGATE(r8) LAM_POINTWISE_NEGATE(r9) LAM_POINTWISE_NEGATE(r10)
            LAM_POINTWISE_NEGATE(r11) LAM_POINTWISE_NEGATE(r12) LAM_POINTWISE_NEGATE(lr)
            LAM_POINTWISE_NEXT
            "3: ldm r3!, {r0}\n"
            "mov r1, r0\n mov r8, r0\n mov r9, r0\n mov r10, r0\n mov r11, r0\n mov r12, r0\n mov lr, r0\n"
            LAM_POINTWISE_NEXT
            "6: "
            LAM_POINTWISE_PUT_TILE
            LAM_POINTWISE_NEXT
            "7: add sp, #8\n"
            "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
            /* Addresses of code have their lowest bit set. */
            ".balign 4\n"
            ".global lam_pointwise_code_of_core\n"
            "lam_pointwise_code_of_core:\n"
            ".word 1b + 1, 2b + 1, 3b + 1, 6b + 1, 7b + 1, 12b + 1, 11b - 10b\n");
}

#elif LAM_POINTWISE_CORE == LAM_POINTWISE_C

#include "lam_conv2d_sparse_pointwise_loop.h"

void lam_pointwise_tile_16(const uint32_t *list, const uint32_t *pixels, uint8_t *y, uint32_t pitch)
{
    lam_pointwise_run(list, pixels, y, pitch);
}

#endif
