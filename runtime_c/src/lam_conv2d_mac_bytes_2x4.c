#include "lam_conv2d_mac_thumb2.h"

#if LAM_MAC_THUMB2

/* A byte for two output channels. */
#define LAM_MAC_BYTE(at, first, second)                                                                              \
    "ldrb r1, [r12, #" at "]\n mla " first ", r1, r2, " first "\n mla " second ", r1, r3, " second "\n"

/* Four pixels: 13 instructions with the load of the weights, for 8 products. */
#define LAM_MAC_BYTES(a, b, c, d)                                                                                    \
    LAM_MAC_BYTE(a, "r4", "r8") LAM_MAC_BYTE(b, "r5", "r9") LAM_MAC_BYTE(c, "r6", "r10") LAM_MAC_BYTE(d, "r7", "r11")

LAM_MAC_NAKED void lam_mac_bytes_2x4(LAM_MAC_ARGUMENT const lam_mac_run *run, LAM_MAC_ARGUMENT const void *x,
                                     LAM_MAC_ARGUMENT uint32_t n, LAM_MAC_ARGUMENT int32_t *acc)
{
    LAM_MAC_BODY("0", "4", LAM_MAC_BYTES("0", "1", "2", "3"));
}

LAM_MAC_NAKED void lam_mac_bytes_2x4_by3(LAM_MAC_ARGUMENT const lam_mac_run *run, LAM_MAC_ARGUMENT const void *x,
                                         LAM_MAC_ARGUMENT uint32_t n, LAM_MAC_ARGUMENT int32_t *acc)
{
    LAM_MAC_BODY("0", "4",
                 LAM_MAC_BYTES("0", "1", "2", "3") LAM_MAC_NEXT LAM_MAC_BYTES("1", "2", "3", "4")
                     LAM_MAC_NEXT LAM_MAC_BYTES("2", "3", "4", "5"));
}

LAM_MAC_NAKED void lam_mac_bytes_2x4_by5(LAM_MAC_ARGUMENT const lam_mac_run *run, LAM_MAC_ARGUMENT const void *x,
                                         LAM_MAC_ARGUMENT uint32_t n, LAM_MAC_ARGUMENT int32_t *acc)
{
    LAM_MAC_BODY("0", "4",
                 LAM_MAC_BYTES("0", "1", "2", "3") LAM_MAC_NEXT LAM_MAC_BYTES("1", "2", "3", "4")
                     LAM_MAC_NEXT LAM_MAC_BYTES("2", "3", "4", "5") LAM_MAC_NEXT LAM_MAC_BYTES("3", "4", "5", "6")
                         LAM_MAC_NEXT LAM_MAC_BYTES("4", "5", "6", "7"));
}

#elif !defined(__ARM_ARCH_6M__) && !defined(__ARM_ARCH_8M_BASE__) /* these have no registers for it */

/* Tap v of a line, for four pixels and both output channels: written out, since compilers keep a loop. */
#define LAM_MAC_TAP(v)                                                                                               \
    {                                                                                                                \
        const uint32_t first = w[2 * (v)], second = w[2 * (v) + 1];                                                  \
        const uint32_t x0 = x[v], x1 = x[(v) + 1], x2 = x[(v) + 2], x3 = x[(v) + 3];                                 \
        a0 += x0 * first;                                                                                            \
        b0 += x0 * second;                                                                                           \
        a1 += x1 * first;                                                                                            \
        b1 += x1 * second;                                                                                           \
        a2 += x2 * first;                                                                                            \
        b2 += x2 * second;                                                                                           \
        a3 += x3 * first;                                                                                            \
        b3 += x3 * second;                                                                                           \
    }

/* Unsigned, because what lies behind a run may be anything. */
#define LAM_MAC_PLAIN(name, taps, each)                                                                              \
    void name(const lam_mac_run *run, const void *from, uint32_t n, int32_t *acc)                                    \
    {                                                                                                                \
        const uint8_t *tile = from;                                                                                  \
        for (; n > 0; n = n > 4 ? n - 4 : 0, tile += 4, acc += 4) {                                                  \
            const uint8_t *x = tile;                                                                                 \
            const uint32_t *w = run->stream;                                                                         \
            int32_t *below = acc + run->pitch;                                                                       \
            uint32_t a0 = (uint32_t)run->bias[0], a1 = a0, a2 = a0, a3 = a0;                                         \
            uint32_t b0 = (uint32_t)run->bias[1], b1 = b0, b2 = b0, b3 = b0;                                         \
            for (uint32_t step = *w; step != LAM_MAC_END; step = *w) {                                               \
                x += step;                                                                                           \
                w++;                                                                                                 \
                each;                                                                                                \
                w += 2 * (taps);                                                                                     \
            }                                                                                                        \
            acc[0] = (int32_t)a0;                                                                                    \
            acc[1] = (int32_t)a1;                                                                                    \
            acc[2] = (int32_t)a2;                                                                                    \
            acc[3] = (int32_t)a3;                                                                                    \
            below[0] = (int32_t)b0;                                                                                  \
            below[1] = (int32_t)b1;                                                                                  \
            below[2] = (int32_t)b2;                                                                                  \
            below[3] = (int32_t)b3;                                                                                  \
        }                                                                                                            \
    }

LAM_MAC_PLAIN(lam_mac_bytes_2x4, 1, LAM_MAC_TAP(0))
LAM_MAC_PLAIN(lam_mac_bytes_2x4_by3, 3, LAM_MAC_TAP(0) LAM_MAC_TAP(1) LAM_MAC_TAP(2))
LAM_MAC_PLAIN(lam_mac_bytes_2x4_by5, 5, LAM_MAC_TAP(0) LAM_MAC_TAP(1) LAM_MAC_TAP(2) LAM_MAC_TAP(3) LAM_MAC_TAP(4))

#endif
