#include "lam_conv2d_mac_thumb2.h"

#if LAM_MAC_THUMB2 && defined(__ARM_FEATURE_DSP)

/* Element `at` of a line for four pixels: 11 instructions with the load of its weights, for 16 products. */
#define LAM_MAC_PAIRS(at, half)                                                                                      \
    "ldrd r1, lr, [r12, #" at "]\n"                                                                                  \
    "smlad r4, r1, r2, r4\n smlad r5, lr, r2, r5\n smlad r8, r1, r3, r8\n smlad r9, lr, r3, r9\n"                    \
    "ldrd r1, lr, [r12, #" half "]\n"                                                                                \
    "smlad r6, r1, r2, r6\n smlad r7, lr, r2, r7\n smlad r10, r1, r3, r10\n smlad r11, lr, r3, r11\n"

LAM_MAC_NAKED void lam_mac_pairs_2x4(LAM_MAC_ARGUMENT const lam_mac_run *run, LAM_MAC_ARGUMENT const void *x,
                                     LAM_MAC_ARGUMENT uint32_t n, LAM_MAC_ARGUMENT int32_t *acc)
{
    LAM_MAC_BODY("2", "16", LAM_MAC_PAIRS("0", "8"));
}

LAM_MAC_NAKED void lam_mac_pairs_2x4_by3(LAM_MAC_ARGUMENT const lam_mac_run *run, LAM_MAC_ARGUMENT const void *x,
                                         LAM_MAC_ARGUMENT uint32_t n, LAM_MAC_ARGUMENT int32_t *acc)
{
    LAM_MAC_BODY("2", "16",
                 LAM_MAC_PAIRS("0", "8") LAM_MAC_NEXT LAM_MAC_PAIRS("4", "12") LAM_MAC_NEXT LAM_MAC_PAIRS("8", "16"));
}

LAM_MAC_NAKED void lam_mac_pairs_2x4_by5(LAM_MAC_ARGUMENT const lam_mac_run *run, LAM_MAC_ARGUMENT const void *x,
                                         LAM_MAC_ARGUMENT uint32_t n, LAM_MAC_ARGUMENT int32_t *acc)
{
    LAM_MAC_BODY("2", "16",
                 LAM_MAC_PAIRS("0", "8") LAM_MAC_NEXT LAM_MAC_PAIRS("4", "12") LAM_MAC_NEXT LAM_MAC_PAIRS("8", "16")
                     LAM_MAC_NEXT LAM_MAC_PAIRS("12", "20") LAM_MAC_NEXT LAM_MAC_PAIRS("16", "24"));
}

#else

/* The products of a pair, added. Unsigned, because what lies behind a run may be anything. */
static uint32_t lam_mac_pair(uint32_t acc, const uint16_t *x, uint32_t w)
{
    return acc + x[0] * (uint32_t)(int16_t)w + x[1] * (uint32_t)((int32_t)w >> 16);
}

static void lam_mac_pairs_plain(const lam_mac_run *run, const void *from, uint32_t n, int32_t *acc, uint32_t taps)
{
    for (uint32_t done = 0; done < n; done += 4) {
        const uint8_t *at = (const uint8_t *)from + (size_t)done * 4u;
        const uint32_t *w = run->stream;
        uint32_t sums[2][4];
        for (uint32_t j = 0; j < 4; j++) {
            sums[0][j] = (uint32_t)run->bias[0];
            sums[1][j] = (uint32_t)run->bias[1];
        }
        while (*w != LAM_MAC_END) {
            at += *w++;
            const uint16_t *x = (const uint16_t *)(const void *)at;
            for (uint32_t v = 0; v < taps; v++, x += 2, w += 2) {
                for (uint32_t j = 0; j < 4; j++) {
                    sums[0][j] = lam_mac_pair(sums[0][j], x + 2 * j, w[0]);
                    sums[1][j] = lam_mac_pair(sums[1][j], x + 2 * j, w[1]);
                }
            }
        }
        for (uint32_t j = 0; j < 4; j++) {
            acc[done + j] = (int32_t)sums[0][j];
            acc[run->pitch + done + j] = (int32_t)sums[1][j];
        }
    }
}

void lam_mac_pairs_2x4(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc)
{
    lam_mac_pairs_plain(run, x, n, acc, 1);
}

void lam_mac_pairs_2x4_by3(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc)
{
    lam_mac_pairs_plain(run, x, n, acc, 3);
}

void lam_mac_pairs_2x4_by5(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc)
{
    lam_mac_pairs_plain(run, x, n, acc, 5);
}

#endif
