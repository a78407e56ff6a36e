/* The inner loops of lam_conv2d_mve: tiles of four or two pixels times two output channels; for it only.
 *
 * Written out, for they take every register: there are eight sums, each in an even register as VMLADAVA wants it (so the
 * loop cannot count in LR), and each pixel and each level is loaded once for all that need it. */
#ifndef LAM_CONV2D_MVE_TILE_H
#define LAM_CONV2D_MVE_TILE_H

#include "lam_mve.h"

#if defined(__ARM_FEATURE_MVE)

#define LAM_CELL 16u /* bytes: one pixel's share of 16 channels */

/* Two output channels of a row. The stream holds for each step a vector of levels of the one and of the other, and in
 * front of them, unless the kernel has lines, how many bytes to go on in the input. The members' places stand in the
 * code below. */
typedef struct {
    int32_t bias[2];
    const int8_t *stream;
    uint32_t n;         /* steps; or lines: three steps that read cells side by side, */
    uint32_t line;      /* so many bytes apart; 0: no lines */
    uint32_t back;      /* bytes from the first pixel of a tile to where its last step ends, less the tile's own */
    uint32_t apart;     /* bytes from the accumulators of the one output channel to those of the other */
    const int32_t *end; /* of the accumulators, for whole tiles of four */
} lam_mve_run;

typedef char lam_mve_run_is_as_the_code_has_it[offsetof(lam_mve_run, end) == 28 ? 1 : -1];

/*   r0, r4, r8, r12  sums of the one output channel, pixel by pixel   r2, r6, r10, lr  of the other
 *   r1 pixels   r3 run   r5 accumulators   r7 stream   r9 steps left   r11 bytes to go on
 *   q0 .. q4 pixels   q5, q6 levels of the two output channels */
#define LAM_MVE_PIXEL(q, bytes) "vldrb.8 " q ", [r1, #" #bytes "]\n\t"
#define LAM_MVE_PIXELS2 LAM_MVE_PIXEL("q0", 0) LAM_MVE_PIXEL("q1", 16)
#define LAM_MVE_PIXELS4 LAM_MVE_PIXELS2 LAM_MVE_PIXEL("q2", 32) LAM_MVE_PIXEL("q3", 48)
#define LAM_MVE_LEVELS "vldrb.8 q5, [r7], #16\n\tvldrb.8 q6, [r7], #16\n\t"
#define LAM_MVE_MULTIPLY(a, b, q) "vmladava.s8 " a ", " q ", q5\n\tvmladava.s8 " b ", " q ", q6\n\t"
#define LAM_MVE_TWO(p, q) LAM_MVE_LEVELS LAM_MVE_MULTIPLY("r0", "r2", p) LAM_MVE_MULTIPLY("r4", "r6", q)
#define LAM_MVE_FOUR(p, q, r, s)                                                                                       \
    LAM_MVE_TWO(p, q) LAM_MVE_MULTIPLY("r8", "r10", r) LAM_MVE_MULTIPLY("r12", "lr", s)
#define LAM_MVE_GO_ON "ldr r11, [r7], #4\n\tadd r1, r11\n\t"
#define LAM_MVE_NEXT_LINE "add r1, r11\n\t"

#define LAM_MVE_LINE_OF_FOUR                                                                                           \
    LAM_MVE_PIXELS4 LAM_MVE_FOUR("q0", "q1", "q2", "q3") LAM_MVE_PIXEL("q4", 64)                                       \
        LAM_MVE_FOUR("q1", "q2", "q3", "q4") LAM_MVE_PIXEL("q0", 80) LAM_MVE_FOUR("q2", "q3", "q4", "q0")              \
            LAM_MVE_NEXT_LINE
#define LAM_MVE_STEP_OF_FOUR LAM_MVE_GO_ON LAM_MVE_PIXELS4 LAM_MVE_FOUR("q0", "q1", "q2", "q3")
#define LAM_MVE_LINE_OF_TWO                                                                                            \
    LAM_MVE_PIXELS2 LAM_MVE_TWO("q0", "q1") LAM_MVE_PIXEL("q2", 32) LAM_MVE_TWO("q1", "q2") LAM_MVE_PIXEL("q3", 48)    \
        LAM_MVE_TWO("q2", "q3") LAM_MVE_NEXT_LINE
#define LAM_MVE_STEP_OF_TWO LAM_MVE_GO_ON LAM_MVE_PIXELS2 LAM_MVE_TWO("q0", "q1")

#define LAM_MVE_ENTER                                                                                                  \
    ".syntax unified\n\tpush {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n\tvpush {d8, d9, d10, d11, d12, d13}\n\t"          \
    "mov r3, r0\n\tmov r5, r2\n\tldr r11, [r3, #16]\n"
#define LAM_MVE_LEAVE                                                                                                  \
    "mov r0, r1\n\tvpop {d8, d9, d10, d11, d12, d13}\n\tpop {r4, r5, r6, r7, r8, r9, r10, r11, pc}"
/* The sums, from the bias, over all steps. */
#define LAM_MVE_SUM(more, step)                                                                                        \
    "1: ldrd r0, r2, [r3]\n\tmov r4, r0\n\tmov r6, r2\n\t" more "ldrd r7, r9, [r3, #8]\n"                               \
    "2:\n\t" step "subs r9, #1\n\tbne 2b\n\t"
/* Whole tiles of four up to the end of the accumulators; what is left is the first pixel behind them. */
#define LAM_MVE_FOURS(step)                                                                                            \
    __asm__(LAM_MVE_ENTER LAM_MVE_SUM("mov r8, r0\n\tmov r10, r2\n\tmov r12, r0\n\tmov lr, r2\n\t", step)              \
            "ldrd r9, r7, [r3, #20]\n\tsub r1, r9\n\tadd r7, r5\n\tldr r9, [r3, #28]\n\t"                             \
            "strd r0, r4, [r5], #8\n\tstrd r8, r12, [r5], #8\n\tstrd r2, r6, [r7]\n\tstrd r10, lr, [r7, #8]\n\t"       \
            "cmp r5, r9\n\tbne 1b\n\t" LAM_MVE_LEAVE)
#define LAM_MVE_TWOS(step)                                                                                             \
    __asm__(LAM_MVE_ENTER LAM_MVE_SUM("", step)                                                                        \
            "ldr r7, [r3, #24]\n\tadd r7, r5\n\tstrd r0, r4, [r5]\n\tstrd r2, r6, [r7]\n\t" LAM_MVE_LEAVE)

/* Assembly alone, for there is no register left that the compiler could want. */
#define LAM_MVE_TILES static __attribute__((naked, noinline)) const int8_t *
#define LAM_MVE_ARGUMENTS                                                                                              \
    __attribute__((unused)) const lam_mve_run *run, __attribute__((unused)) const int8_t *x,                           \
        __attribute__((unused)) int32_t *acc

LAM_MVE_TILES lam_mve_fours_by_lines(LAM_MVE_ARGUMENTS)
{
    LAM_MVE_FOURS(LAM_MVE_LINE_OF_FOUR);
}

LAM_MVE_TILES lam_mve_fours_by_steps(LAM_MVE_ARGUMENTS)
{
    LAM_MVE_FOURS(LAM_MVE_STEP_OF_FOUR);
}

LAM_MVE_TILES lam_mve_two_by_lines(LAM_MVE_ARGUMENTS)
{
    LAM_MVE_TWOS(LAM_MVE_LINE_OF_TWO);
}

LAM_MVE_TILES lam_mve_two_by_steps(LAM_MVE_ARGUMENTS)
{
    LAM_MVE_TWOS(LAM_MVE_STEP_OF_TWO);
}

/* The accumulators of n pixels that lie side by side. One more may be read and written. */
static inline void lam_mve_row(lam_mve_run *run, const int8_t *x, uint32_t n, int32_t *acc)
{
    if (n >= 4u) {
        run->end = acc + (n & ~3u);
        x = run->line != 0 ? lam_mve_fours_by_lines(run, x, acc) : lam_mve_fours_by_steps(run, x, acc);
        acc += n & ~3u;
        n &= 3u;
    }
    for (; n > 0; n -= lam_mve_least(n, 2u), x += 2u * LAM_CELL, acc += 2) {
        (void)(run->line != 0 ? lam_mve_two_by_lines(run, x, acc) : lam_mve_two_by_steps(run, x, acc));
    }
}

#endif
#endif
