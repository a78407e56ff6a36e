/* Tiles of 3 x 3 and 5 x 5 windows in Thumb-2, for Cortex-M3 and larger; for the depthwise kernels only. Written by
 * hand, because compilers load everything first and then run out of registers: up to twice the instructions.
 *
 * Per row of three taps and four pixels, with DSP: 8 multiplications of pairs, 2 or 3 loads of pixels, 1 of levels;
 * without: 12 multiplications, 6 or 9 loads of pixels, 2 of levels. Of five taps, with DSP only: 12, 3 or 5, and 2.
 *
 * level: as lam_depthwise_channel.level. *x: the first pixel of the first window, moves on by four windows.
 * pitch: bytes from row to row. lam_depthwise_tile3_..: the accumulators. lam_depthwise_put3_..: activations, to *y,
 * which moves on too; where lam_depthwise_at_once. */
#ifndef LAM_CONV2D_DEPTHWISE_THUMB2_H
#define LAM_CONV2D_DEPTHWISE_THUMB2_H

#include "lam_conv2d_depthwise.h"
#include "lam_simd.h"

#if defined(__GNUC__) && defined(__thumb2__)

#if LAM_HAS_DSP

/* Pixels 0 and 1 in p, 2 and 3 in q, 4 and 5 in r; levels 0 and 1 in w, 1 and 2 in v. */
#define LAM_DEPTHWISE_ROW(level, last, bias_a, bias_b, bias_c, bias_d)                                                 \
    "ldrd %[p], %[q], [%[x]]\n\t"                                                                                      \
    "ldr %[r], [%[x], #8]\n\t"                                                                                         \
    "ldrd %[w], %[v], [%[l], #" level "]\n\t"                                                                          \
    "smlad %[a], %[p], %[w], %[" bias_a "]\n\t"                                                                        \
    "smlatb %[b], %[p], %[w], %[" bias_b "]\n\t"                                                                       \
    "smlad %[c], %[q], %[w], %[" bias_c "]\n\t"                                                                        \
    "smlatb %[d], %[q], %[w], %[" bias_d "]\n\t"                                                                       \
    "smlabt %[a], %[q], %[v], %[a]\n\t"                                                                                \
    "smlad %[b], %[q], %[v], %[b]\n\t"                                                                                 \
    "smlabt %[c], %[r], %[v], %[c]\n\t"                                                                                \
    "smlad %[d], %[r], %[v], %[d]\n\t"
/* Of the pixels 0 to 9, pairs go through p and q in turn. */
#define LAM_DEPTHWISE_ROW_BY2(level, last, bias_a, bias_b, bias_c, bias_d)                                             \
    "ldrd %[w], %[v], [%[l], #" level "]\n\t"                                                                          \
    "ldrd %[p], %[q], [%[x]]\n\t"                                                                                      \
    "smlad %[a], %[p], %[w], %[" bias_a "]\n\t"                                                                        \
    "smlabt %[a], %[q], %[v], %[a]\n\t"                                                                                \
    "smlad %[b], %[q], %[w], %[" bias_b "]\n\t"                                                                        \
    "ldrd %[p], %[q], [%[x], #8]\n\t"                                                                                  \
    "smlabt %[b], %[p], %[v], %[b]\n\t"                                                                                \
    "smlad %[c], %[p], %[w], %[" bias_c "]\n\t"                                                                        \
    "ldr %[p], [%[x], #16]\n\t"                                                                                        \
    "smlabt %[c], %[q], %[v], %[c]\n\t"                                                                                \
    "smlad %[d], %[q], %[w], %[" bias_d "]\n\t"                                                                        \
    "smlabt %[d], %[p], %[v], %[d]\n\t"
/* Windows of 5 x 5: pixels 6 and 7 in p at last; levels 0 and 1 in w, 1 and 2 in v, then 2 and 3 in w, 3 and 4 in v. */
#define LAM_DEPTHWISE_ROW5(level, third, bias_a, bias_b, bias_c, bias_d)                                               \
    "ldrd %[p], %[q], [%[x]]\n\t"                                                                                      \
    "ldr %[r], [%[x], #8]\n\t"                                                                                         \
    "ldrd %[w], %[v], [%[l], #" level "]\n\t"                                                                          \
    "smlad %[a], %[p], %[w], %[" bias_a "]\n\t"                                                                        \
    "smlatb %[b], %[p], %[w], %[" bias_b "]\n\t"                                                                       \
    "smlad %[c], %[q], %[w], %[" bias_c "]\n\t"                                                                        \
    "smlatb %[d], %[q], %[w], %[" bias_d "]\n\t"                                                                       \
    "smlad %[b], %[q], %[v], %[b]\n\t"                                                                                 \
    "smlad %[d], %[r], %[v], %[d]\n\t"                                                                                 \
    "ldr %[p], [%[x], #12]\n\t"                                                                                        \
    "ldrd %[w], %[v], [%[l], #" third "]\n\t"                                                                          \
    "smlad %[a], %[q], %[w], %[a]\n\t"                                                                                 \
    "smlabt %[a], %[r], %[v], %[a]\n\t"                                                                                \
    "smlad %[b], %[r], %[v], %[b]\n\t"                                                                                 \
    "smlad %[c], %[r], %[w], %[c]\n\t"                                                                                 \
    "smlabt %[c], %[p], %[v], %[c]\n\t"                                                                                \
    "smlad %[d], %[p], %[v], %[d]\n\t"
/* Of the pixels 0 to 11, pairs go through p and q in turn; levels 0 and 1 in w, 2 and 3 in v, 3 and 4 in r. */
#define LAM_DEPTHWISE_ROW5_BY2(level, third, bias_a, bias_b, bias_c, bias_d)                                           \
    "ldr %[w], [%[l], #" level "]\n\t"                                                                                 \
    "ldrd %[v], %[r], [%[l], #" third "]\n\t"                                                                          \
    "ldrd %[p], %[q], [%[x]]\n\t"                                                                                      \
    "smlad %[a], %[p], %[w], %[" bias_a "]\n\t"                                                                        \
    "smlad %[a], %[q], %[v], %[a]\n\t"                                                                                 \
    "smlad %[b], %[q], %[w], %[" bias_b "]\n\t"                                                                        \
    "ldr %[p], [%[x], #8]\n\t"                                                                                         \
    "smlabt %[a], %[p], %[r], %[a]\n\t"                                                                                \
    "smlad %[b], %[p], %[v], %[b]\n\t"                                                                                 \
    "smlad %[c], %[p], %[w], %[" bias_c "]\n\t"                                                                        \
    "ldr %[q], [%[x], #12]\n\t"                                                                                        \
    "smlabt %[b], %[q], %[r], %[b]\n\t"                                                                                \
    "smlad %[c], %[q], %[v], %[c]\n\t"                                                                                 \
    "smlad %[d], %[q], %[w], %[" bias_d "]\n\t"                                                                        \
    "ldr %[p], [%[x], #16]\n\t"                                                                                        \
    "smlabt %[c], %[p], %[r], %[c]\n\t"                                                                                \
    "smlad %[d], %[p], %[v], %[d]\n\t"                                                                                 \
    "ldr %[q], [%[x], #20]\n\t"                                                                                        \
    "smlabt %[d], %[q], %[r], %[d]\n\t"
/* Multiplier in w, zero in v. */
#define LAM_DEPTHWISE_PUT(at)                                                                                          \
    "ldrd %[w], %[v], [%[l], #" at "]\n\t"                                                                             \
    "smmlar %[a], %[a], %[w], %[v]\n\t"                                                                                \
    "usat %[a], #8, %[a]\n\t"                                                                                          \
    "strb %[a], [%[y]], #1\n\t"                                                                                        \
    "smmlar %[b], %[b], %[w], %[v]\n\t"                                                                                \
    "usat %[b], #8, %[b]\n\t"                                                                                          \
    "strb %[b], [%[y]], #1\n\t"                                                                                        \
    "smmlar %[c], %[c], %[w], %[v]\n\t"                                                                                \
    "usat %[c], #8, %[c]\n\t"                                                                                          \
    "strb %[c], [%[y]], #1\n\t"                                                                                        \
    "smmlar %[d], %[d], %[w], %[v]\n\t"                                                                                \
    "usat %[d], #8, %[d]\n\t"                                                                                          \
    "strb %[d], [%[y]], #1\n\t"

#else

/* Pixels in p one after the other; level 0 in w, 1 in v, 2 in q. */
#define LAM_DEPTHWISE_ROW(level, last, bias_a, bias_b, bias_c, bias_d)                                                 \
    "ldrd %[w], %[v], [%[l], #" level "]\n\t"                                                                          \
    "ldr %[q], [%[l], #" last "]\n\t"                                                                                  \
    "ldrh %[p], [%[x], #0]\n\t"                                                                                        \
    "mla %[a], %[p], %[w], %[" bias_a "]\n\t"                                                                          \
    "ldrh %[p], [%[x], #2]\n\t"                                                                                        \
    "mla %[b], %[p], %[w], %[" bias_b "]\n\t"                                                                          \
    "mla %[a], %[p], %[v], %[a]\n\t"                                                                                   \
    "ldrh %[p], [%[x], #4]\n\t"                                                                                        \
    "mla %[c], %[p], %[w], %[" bias_c "]\n\t"                                                                          \
    "mla %[b], %[p], %[v], %[b]\n\t"                                                                                   \
    "mla %[a], %[p], %[q], %[a]\n\t"                                                                                   \
    "ldrh %[p], [%[x], #6]\n\t"                                                                                        \
    "mla %[d], %[p], %[w], %[" bias_d "]\n\t"                                                                          \
    "mla %[c], %[p], %[v], %[c]\n\t"                                                                                   \
    "mla %[b], %[p], %[q], %[b]\n\t"                                                                                   \
    "ldrh %[p], [%[x], #8]\n\t"                                                                                        \
    "mla %[d], %[p], %[v], %[d]\n\t"                                                                                   \
    "mla %[c], %[p], %[q], %[c]\n\t"                                                                                   \
    "ldrh %[p], [%[x], #10]\n\t"                                                                                       \
    "mla %[d], %[p], %[q], %[d]\n\t"
#define LAM_DEPTHWISE_ROW_BY2(level, last, bias_a, bias_b, bias_c, bias_d)                                             \
    "ldrd %[w], %[v], [%[l], #" level "]\n\t"                                                                          \
    "ldr %[q], [%[l], #" last "]\n\t"                                                                                  \
    "ldrh %[p], [%[x], #0]\n\t"                                                                                        \
    "mla %[a], %[p], %[w], %[" bias_a "]\n\t"                                                                          \
    "ldrh %[p], [%[x], #2]\n\t"                                                                                        \
    "mla %[a], %[p], %[v], %[a]\n\t"                                                                                   \
    "ldrh %[p], [%[x], #4]\n\t"                                                                                        \
    "mla %[b], %[p], %[w], %[" bias_b "]\n\t"                                                                          \
    "mla %[a], %[p], %[q], %[a]\n\t"                                                                                   \
    "ldrh %[p], [%[x], #6]\n\t"                                                                                        \
    "mla %[b], %[p], %[v], %[b]\n\t"                                                                                   \
    "ldrh %[p], [%[x], #8]\n\t"                                                                                        \
    "mla %[c], %[p], %[w], %[" bias_c "]\n\t"                                                                          \
    "mla %[b], %[p], %[q], %[b]\n\t"                                                                                   \
    "ldrh %[p], [%[x], #10]\n\t"                                                                                       \
    "mla %[c], %[p], %[v], %[c]\n\t"                                                                                   \
    "ldrh %[p], [%[x], #12]\n\t"                                                                                       \
    "mla %[d], %[p], %[w], %[" bias_d "]\n\t"                                                                          \
    "mla %[c], %[p], %[q], %[c]\n\t"                                                                                   \
    "ldrh %[p], [%[x], #14]\n\t"                                                                                       \
    "mla %[d], %[p], %[v], %[d]\n\t"                                                                                   \
    "ldrh %[p], [%[x], #16]\n\t"                                                                                       \
    "mla %[d], %[p], %[q], %[d]\n\t"
/* Multiplier in w, zero in q; the product and one half in p, zero in v: v is the result. */
#define LAM_DEPTHWISE_PUT(at)                                                                                          \
    "ldrd %[w], %[q], [%[l], #" at "]\n\t"                                                                             \
    "mov %[p], #0x80000000\n\t"                                                                                        \
    "mov %[v], %[q]\n\t"                                                                                               \
    "smlal %[p], %[v], %[a], %[w]\n\t"                                                                                 \
    "usat %[v], #8, %[v]\n\t"                                                                                          \
    "strb %[v], [%[y]], #1\n\t"                                                                                        \
    "mov %[p], #0x80000000\n\t"                                                                                        \
    "mov %[v], %[q]\n\t"                                                                                               \
    "smlal %[p], %[v], %[b], %[w]\n\t"                                                                                 \
    "usat %[v], #8, %[v]\n\t"                                                                                          \
    "strb %[v], [%[y]], #1\n\t"                                                                                        \
    "mov %[p], #0x80000000\n\t"                                                                                        \
    "mov %[v], %[q]\n\t"                                                                                               \
    "smlal %[p], %[v], %[c], %[w]\n\t"                                                                                 \
    "usat %[v], #8, %[v]\n\t"                                                                                          \
    "strb %[v], [%[y]], #1\n\t"                                                                                        \
    "mov %[p], #0x80000000\n\t"                                                                                        \
    "mov %[v], %[q]\n\t"                                                                                               \
    "smlal %[p], %[v], %[d], %[w]\n\t"                                                                                 \
    "usat %[v], #8, %[v]\n\t"                                                                                          \
    "strb %[v], [%[y]], #1\n\t"

#endif

#define LAM_DEPTHWISE_TILE3(row, step)                                                                                 \
    "ldr %[d], [%[l], #36]\n\t"                                                                                        \
    row("0", "8", "d", "d", "d", "d")                                                                                  \
    "add %[x], %[x], %[pitch]\n\t"                                                                                     \
    row("12", "20", "a", "b", "c", "d")                                                                                \
    "add %[x], %[x], %[pitch]\n\t"                                                                                     \
    row("24", "32", "a", "b", "c", "d")                                                                                \
    "sub %[x], %[x], %[pitch], lsl #1\n\t"                                                                             \
    "add %[x], %[x], #" step "\n\t"

#define LAM_DEPTHWISE_TILE5(row, step)                                                                                 \
    "ldr %[d], [%[l], #100]\n\t"                                                                                       \
    row("0", "8", "d", "d", "d", "d")                                                                                  \
    "add %[x], %[x], %[pitch]\n\t"                                                                                     \
    row("20", "28", "a", "b", "c", "d")                                                                                \
    "add %[x], %[x], %[pitch]\n\t"                                                                                     \
    row("40", "48", "a", "b", "c", "d")                                                                                \
    "add %[x], %[x], %[pitch]\n\t"                                                                                     \
    row("60", "68", "a", "b", "c", "d")                                                                                \
    "add %[x], %[x], %[pitch]\n\t"                                                                                     \
    row("80", "88", "a", "b", "c", "d")                                                                                \
    "sub %[x], %[x], %[pitch], lsl #2\n\t"                                                                             \
    "add %[x], %[x], #" step "\n\t"

#if LAM_HAS_DSP
#define LAM_DEPTHWISE_REGISTERS                                                                                        \
    int32_t a, b, c, d;                                                                                                \
    uint32_t w, v, p, q, r
#define LAM_DEPTHWISE_OPERANDS                                                                                         \
    [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [x] "+r"(*x), [w] "=&r"(w), [v] "=&r"(v), [p] "=&r"(p),    \
        [q] "=&r"(q), [r] "=&r"(r)
#else
#define LAM_DEPTHWISE_REGISTERS                                                                                        \
    int32_t a, b, c, d;                                                                                                \
    uint32_t w, v, p, q
#define LAM_DEPTHWISE_OPERANDS                                                                                         \
    [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [x] "+r"(*x), [w] "=&r"(w), [v] "=&r"(v), [p] "=&r"(p),    \
        [q] "=&r"(q)
#endif

#define LAM_DEPTHWISE_FUNCTIONS(name, tile, row, step, at)                                                             \
    LAM_DEPTHWISE_INLINE lam_depthwise_sums lam_depthwise_tile##name(const uint32_t *level, const uint16_t **x,        \
                                                                       uint32_t pitch)                                 \
    {                                                                                                                  \
        LAM_DEPTHWISE_REGISTERS;                                                                                       \
        __asm__(tile(row, step)                                                                                        \
                : LAM_DEPTHWISE_OPERANDS                                                                               \
                : [l] "r"(level), [pitch] "r"(pitch)                                                                   \
                : "memory");                                                                                           \
        const lam_depthwise_sums sums = {a, b, c, d};                                                                  \
        return sums;                                                                                                   \
    }                                                                                                                  \
    LAM_DEPTHWISE_INLINE void lam_depthwise_put##name(const uint32_t *level, const uint16_t **x, uint32_t pitch,       \
                                                          uint8_t **y)                                                 \
    {                                                                                                                  \
        LAM_DEPTHWISE_REGISTERS;                                                                                       \
        __asm__ volatile(tile(row, step) LAM_DEPTHWISE_PUT(at)                                                         \
                         : LAM_DEPTHWISE_OPERANDS, [y] "+r"(*y)                                                        \
                         : [l] "r"(level), [pitch] "r"(pitch)                                                          \
                         : "memory", "cc");                                                                            \
    }

LAM_DEPTHWISE_FUNCTIONS(3_stride1, LAM_DEPTHWISE_TILE3, LAM_DEPTHWISE_ROW, "8", "40")
LAM_DEPTHWISE_FUNCTIONS(3_stride2, LAM_DEPTHWISE_TILE3, LAM_DEPTHWISE_ROW_BY2, "16", "40")
#if LAM_HAS_DSP
LAM_DEPTHWISE_FUNCTIONS(5_stride1, LAM_DEPTHWISE_TILE5, LAM_DEPTHWISE_ROW5, "8", "104")
LAM_DEPTHWISE_FUNCTIONS(5_stride2, LAM_DEPTHWISE_TILE5, LAM_DEPTHWISE_ROW5_BY2, "16", "104")
#endif

#endif
#endif
