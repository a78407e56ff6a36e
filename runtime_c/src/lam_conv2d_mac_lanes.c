#include "lam_conv2d_mac.h"
#include "lam_simd.h"

/* Two pixels in a word, times one level: the product's halves are the products of both, as long as a signed half can
 * hold their sums. Where it could not, the stream has an end, and the halves are added to accumulators of 32 bits. */

#if defined(__GNUC__) && defined(__thumb__) && !defined(LAM_NO_ASSEMBLY)

/* Compilers make no use of bursts, nor of the high registers of Armv6-M: 23 instructions for 16 pixels there, 15 with
 * Thumb-2. Arguments: r0 accumulators, r1 stream, r2 first pixel.
 *
 *   r0 r1 r8 .. r12 lr  sums, two pixels each     r2 first pixel     r3 stream     r4 address, accumulators
 *   r5 r6 pixels     r7 level     [sp] accumulators
 */
#if defined(__thumb2__)
#define LAM_LANES_TWO(first, second)                                                                                 \
    "ldm r4!, {r5, r6}\n mla " #first ", r5, r7, " #first "\n mla " #second ", r6, r7, " #second "\n"
#define LAM_LANES_TWO_HIGH LAM_LANES_TWO
#define LAM_LANES_FLUSH(sum)                                                                                         \
    "sxth r7, " #sum "\n add " #sum ", " #sum ", #0x8000\n ldrd r5, r6, [r4]\n"                                      \
    "add r5, r5, r7\n add r6, r6, " #sum ", asr #16\n strd r5, r6, [r4], #8\n mov " #sum ", #0\n"
#define LAM_LANES_FLUSH_HIGH LAM_LANES_FLUSH
#define LAM_LANES_HALF ""
#else
#define LAM_LANES_TWO(first, second)                                                                                 \
    "ldm r4!, {r5, r6}\n muls r5, r7, r5\n muls r6, r7, r6\n adds " #first ", r5\n adds " #second ", r6\n"
#define LAM_LANES_TWO_HIGH(first, second)                                                                            \
    "ldm r4!, {r5, r6}\n muls r5, r7, r5\n muls r6, r7, r6\n add " #first ", r5\n add " #second ", r6\n"
#define LAM_LANES_ADD(sum)                                                                                           \
    "sxth r5, " #sum "\n adds " #sum ", r7\n asrs r6, " #sum ", #16\n"                                               \
    "ldr " #sum ", [r4]\n adds r5, " #sum "\n ldr " #sum ", [r4, #4]\n adds r6, " #sum "\n stm r4!, {r5, r6}\n"
#define LAM_LANES_FLUSH(sum) LAM_LANES_ADD(sum) "movs " #sum ", #0\n"
/* After those in r0 and r1, which are free for this: r1 is zero. */
#define LAM_LANES_FLUSH_HIGH(sum) "mov r0, " #sum "\n" LAM_LANES_ADD(r0) "mov " #sum ", r1\n"
#define LAM_LANES_HALF "movs r7, #128\n lsls r7, r7, #8\n"
#endif

#define LAM_LANES_BODY(words, flush)                                                                                 \
    __asm__(".syntax unified\n"                                                                                      \
            "push {r4, r5, r6, r7, lr}\n"                                                                            \
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n push {r4, r5, r6, r7}\n"                          \
            "push {r0}\n"                                                                                            \
            "mov r3, r1\n"                                                                                           \
            "movs r0, #0\n movs r1, #0\n"                                                                            \
            "mov r8, r0\n mov r9, r0\n mov r10, r0\n mov r11, r0\n mov r12, r0\n mov lr, r0\n"                       \
            "1: ldm r3!, {r4, r7}\n adds r4, r4, r2\n bcs 3f\n"                                                      \
            "2:\n" words                                                                                             \
            "ldm r3!, {r4, r7}\n adds r4, r4, r2\n bcc 2b\n"                                                         \
            "3: push {r7}\n ldr r4, [sp, #4]\n" LAM_LANES_HALF                                                       \
            flush                                                                                                    \
            "movs r0, #0\n"                                                                                          \
            "pop {r7}\n cmp r7, #0\n bne 1b\n"                                                                       \
            "add sp, #4\n"                                                                                           \
            "pop {r4, r5, r6, r7}\n mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"                           \
            "pop {r4, r5, r6, r7, pc}\n")

#define LAM_LANES_NAKED static __attribute__((naked, noinline))
#define LAM_LANES_ARGUMENT __attribute__((unused))

LAM_LANES_NAKED void lam_lanes_16(LAM_LANES_ARGUMENT int32_t *acc, LAM_LANES_ARGUMENT const uint32_t *stream,
                                  LAM_LANES_ARGUMENT const uint8_t *x)
{
    LAM_LANES_BODY(LAM_LANES_TWO(r0, r1) LAM_LANES_TWO_HIGH(r8, r9) LAM_LANES_TWO_HIGH(r10, r11)
                       LAM_LANES_TWO_HIGH(r12, lr),
                   LAM_LANES_FLUSH(r0) LAM_LANES_FLUSH(r1) LAM_LANES_FLUSH_HIGH(r8) LAM_LANES_FLUSH_HIGH(r9)
                       LAM_LANES_FLUSH_HIGH(r10) LAM_LANES_FLUSH_HIGH(r11) LAM_LANES_FLUSH_HIGH(r12)
                           LAM_LANES_FLUSH_HIGH(lr));
}

LAM_LANES_NAKED void lam_lanes_8(LAM_LANES_ARGUMENT int32_t *acc, LAM_LANES_ARGUMENT const uint32_t *stream,
                                 LAM_LANES_ARGUMENT const uint8_t *x)
{
    LAM_LANES_BODY(LAM_LANES_TWO(r0, r1) LAM_LANES_TWO_HIGH(r8, r9),
                   LAM_LANES_FLUSH(r0) LAM_LANES_FLUSH(r1) LAM_LANES_FLUSH_HIGH(r8) LAM_LANES_FLUSH_HIGH(r9));
}

#else

/* Two pixels, at an address that is a whole number of words. */
static inline uint32_t lam_lanes_load32(const uint8_t *at)
{
#if defined(__GNUC__)
    at = __builtin_assume_aligned(at, 4);
#endif
    return lam_load32(at);
}

static inline void lam_lanes_flush(int32_t *acc, uint32_t sum)
{
    acc[0] = lam_sxtah(acc[0], (int32_t)sum);
    acc[1] = lam_sxtah_ror16(acc[1], (int32_t)(sum + 0x8000u));
}

static void lam_lanes_8(int32_t *acc, const uint32_t *stream, const uint8_t *x)
{
    do {
        uint32_t a = 0, b = 0, c = 0, d = 0;
        for (; stream[0] != LAM_MAC_END; stream += 2) {
            const uint8_t *at = x + stream[0];
            const uint32_t level = stream[1];
            a += lam_lanes_load32(at) * level;
            b += lam_lanes_load32(at + 4) * level;
            c += lam_lanes_load32(at + 8) * level;
            d += lam_lanes_load32(at + 12) * level;
        }
        lam_lanes_flush(acc, a);
        lam_lanes_flush(acc + 2, b);
        lam_lanes_flush(acc + 4, c);
        lam_lanes_flush(acc + 6, d);
        stream += 2;
    } while (stream[-1]);
}

static void lam_lanes_16(int32_t *acc, const uint32_t *stream, const uint8_t *x)
{
    do {
        uint32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
        for (; stream[0] != LAM_MAC_END; stream += 2) {
            const uint8_t *at = x + stream[0];
            const uint32_t level = stream[1];
            a += lam_lanes_load32(at) * level;
            b += lam_lanes_load32(at + 4) * level;
            c += lam_lanes_load32(at + 8) * level;
            d += lam_lanes_load32(at + 12) * level;
            e += lam_lanes_load32(at + 16) * level;
            f += lam_lanes_load32(at + 20) * level;
            g += lam_lanes_load32(at + 24) * level;
            h += lam_lanes_load32(at + 28) * level;
        }
        lam_lanes_flush(acc, a);
        lam_lanes_flush(acc + 2, b);
        lam_lanes_flush(acc + 4, c);
        lam_lanes_flush(acc + 6, d);
        lam_lanes_flush(acc + 8, e);
        lam_lanes_flush(acc + 10, f);
        lam_lanes_flush(acc + 12, g);
        lam_lanes_flush(acc + 14, h);
        stream += 2;
    } while (stream[-1]);
}

#endif

void lam_mac_lanes_1x16(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc)
{
    const uint8_t *at = x;
    const int32_t bias = run->bias[0];
    for (uint32_t i = 0; i < ((n + 7u) & ~7u); i++) {
        acc[i] = bias;
    }
    for (; n > 8; n = n > 16 ? n - 16 : 0, at += 32, acc += 16) {
        lam_lanes_16(acc, run->stream, at);
    }
    if (n > 0) {
        lam_lanes_8(acc, run->stream, at);
    }
}
