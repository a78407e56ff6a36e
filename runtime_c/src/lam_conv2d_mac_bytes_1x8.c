#include "lam_conv2d_mac_thumb2.h"

#if defined(__GNUC__) && (defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)) && !defined(LAM_NO_ASSEMBLY)

/* Tiles of one output channel and eight or four pixels for Cortex-M0, M0+ and M23: three instructions a product. Sums
 * lie in high registers too, where an addition can reach them and a compiler does not think of it.
 *
 *   r4 r5 r6 r7 r8 r9 r10 r11  accumulators      r0  product, step      r1  stream      r2  weight      r3  x
 *   stack: run, x, n, acc
 */
typedef char lam_mac_run_layout[offsetof(lam_mac_run, bias) == 4 ? 1 : -1];

#define LAM_MAC_LOW(at, sum) "ldrb r0, [r3, #" at "]\n muls r0, r2, r0\n adds " sum ", r0\n"
#define LAM_MAC_HIGH(at, sum) "ldrb r0, [r3, #" at "]\n muls r0, r2, r0\n add " sum ", r0\n"
#define LAM_MAC_FOUR(a, b, c, d) LAM_MAC_LOW(a, "r4") LAM_MAC_LOW(b, "r5") LAM_MAC_LOW(c, "r6") LAM_MAC_LOW(d, "r7")
#define LAM_MAC_MORE(a, b, c, d) \
    LAM_MAC_HIGH(a, "r8") LAM_MAC_HIGH(b, "r9") LAM_MAC_HIGH(c, "r10") LAM_MAC_HIGH(d, "r11")
#define LAM_MAC_NEXT "ldmia r1!, {r2}\n"

/* All lines of the stream; r0 run. */
#define LAM_MAC_LOOP(label, more, taps)                                                                              \
    "ldr r4, [r0, #4]\n mov r5, r4\n mov r6, r4\n mov r7, r4\n" more                                                 \
    "ldr r1, [r0]\n ldr r3, [sp, #4]\n"                                                                              \
    "ldmia r1!, {r0, r2}\n adds r3, r0\n"                                                                            \
    label ":\n"                                                                                                      \
    taps                                                                                                             \
    "ldmia r1!, {r0, r2}\n adds r3, r0\n bcc " label "b\n"                                                           \
    "ldr r0, [sp, #12]\n stmia r0!, {r4, r5, r6, r7}\n"

#define LAM_MAC_BODY(eight, four)                                                                                    \
    __asm__(".syntax unified\n"                                                                                      \
            "push {r4, r5, r6, r7, lr}\n"                                                                            \
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n push {r4, r5, r6, r7}\n"                          \
            "push {r0, r1, r2, r3}\n"                                                                                \
            "b 3f\n"                                                                                                 \
            "1: subs r2, #8\n str r2, [sp, #8]\n"                                                                    \
            LAM_MAC_LOOP("2", "mov r8, r4\n mov r9, r4\n mov r10, r4\n mov r11, r4\n", eight)                        \
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n stmia r0!, {r4, r5, r6, r7}\n str r0, [sp, #12]\n" \
            "ldr r0, [sp, #4]\n adds r0, #8\n str r0, [sp, #4]\n"                                                    \
            "ldr r0, [sp]\n ldr r2, [sp, #8]\n"                                                                      \
            "3: cmp r2, #4\n bgt 1b\n"                                                                               \
            "cmp r2, #0\n ble 5f\n"                                                                                  \
            LAM_MAC_LOOP("4", "", four)                                                                              \
            "5: add sp, #16\n"                                                                                       \
            "pop {r4, r5, r6, r7}\n mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"                           \
            "pop {r4, r5, r6, r7, pc}\n")

#define LAM_MAC_NAKED __attribute__((naked))
#define LAM_MAC_ARGUMENT __attribute__((unused))

LAM_MAC_NAKED void lam_mac_bytes_1x8(LAM_MAC_ARGUMENT const lam_mac_run *run, LAM_MAC_ARGUMENT const void *x,
                                     LAM_MAC_ARGUMENT uint32_t n, LAM_MAC_ARGUMENT int32_t *acc)
{
    LAM_MAC_BODY(LAM_MAC_FOUR("0", "1", "2", "3") LAM_MAC_MORE("4", "5", "6", "7"), LAM_MAC_FOUR("0", "1", "2", "3"));
}

LAM_MAC_NAKED void lam_mac_bytes_1x8_by3(LAM_MAC_ARGUMENT const lam_mac_run *run, LAM_MAC_ARGUMENT const void *x,
                                         LAM_MAC_ARGUMENT uint32_t n, LAM_MAC_ARGUMENT int32_t *acc)
{
    LAM_MAC_BODY(LAM_MAC_FOUR("0", "1", "2", "3") LAM_MAC_MORE("4", "5", "6", "7") LAM_MAC_NEXT
                 LAM_MAC_FOUR("1", "2", "3", "4") LAM_MAC_MORE("5", "6", "7", "8") LAM_MAC_NEXT
                 LAM_MAC_FOUR("2", "3", "4", "5") LAM_MAC_MORE("6", "7", "8", "9"),
                 LAM_MAC_FOUR("0", "1", "2", "3") LAM_MAC_NEXT LAM_MAC_FOUR("1", "2", "3", "4") LAM_MAC_NEXT
                 LAM_MAC_FOUR("2", "3", "4", "5"));
}

#elif !LAM_MAC_THUMB2 /* where registers allow the tile of two channels, nobody wants this one */

/* Unsigned, because what lies behind a run may be anything. */
static void lam_mac_bytes_plain(const lam_mac_run *run, const uint8_t *from, uint32_t n, int32_t *acc, uint32_t taps)
{
    for (uint32_t done = 0; done < n; done += 4) {
        const uint8_t *x = from + done;
        const uint32_t *w = run->stream;
        uint32_t a0 = (uint32_t)run->bias[0], a1 = a0, a2 = a0, a3 = a0;
        while (*w != LAM_MAC_END) {
            x += *w++;
            for (uint32_t v = 0; v < taps; v++) {
                const uint32_t level = *w++;
                a0 += x[v] * level;
                a1 += x[v + 1] * level;
                a2 += x[v + 2] * level;
                a3 += x[v + 3] * level;
            }
        }
        acc[done] = (int32_t)a0;
        acc[done + 1] = (int32_t)a1;
        acc[done + 2] = (int32_t)a2;
        acc[done + 3] = (int32_t)a3;
    }
}

void lam_mac_bytes_1x8(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc)
{
    lam_mac_bytes_plain(run, x, n, acc, 1);
}

void lam_mac_bytes_1x8_by3(const lam_mac_run *run, const void *x, uint32_t n, int32_t *acc)
{
    lam_mac_bytes_plain(run, x, n, acc, 3);
}

#endif
