#include "lam_dense_blocks.h"
#include "lam_requant.h"

#include <string.h>

/* A few columns of ternary weights have few combinations: 81 for four, 243 for five. Their sums with the inputs, all of
 * them, are a table that every row looks up with one byte: a row takes one addition for four or five columns.
 *
 * Two groups of columns are worked off together. Their tables are made together, in the halves of the same words (which
 * is why levels count as 0, 1, 2: no half is ever negative; the sum of the inputs takes it back in the end), and they
 * share the loads and stores of the rows' sums. A table is made column by column, the last one first: what is there
 * plus the column's input, and plus twice that, go behind it. */

enum { LAM_SUMS_MOST = 5 }; /* columns of a group */

#if defined(__GNUC__) && defined(__thumb__) && !defined(LAM_NO_ASSEMBLY)

/* Instructions of Armv6-M, but for one. r3: inputs of the column before r7, of both groups. lr: digits. */
#define LAM_SUMS_INPUT                                                                                                \
    "subs r7, #1\n ldrb r3, [r7]\n mov r4, lr\n ldrb r4, [r7, r4]\n lsls r4, r4, #16\n adds r3, r3, r4\n"
/* Three entries from r0, plus one input to r1, plus two to r2. */
#define LAM_SUMS_THREE                                                                                                \
    "ldm r0!, {r4, r5, r6}\n"                                                                                         \
    "adds r4, r4, r3\n adds r5, r5, r3\n adds r6, r6, r3\n stm r1!, {r4, r5, r6}\n"                                \
    "adds r4, r4, r3\n adds r5, r5, r3\n adds r6, r6, r3\n stm r2!, {r4, r5, r6}\n"

/* The table of a pair of groups. x: 2 * digits inputs. digits > 1. */
__attribute__((naked, noinline)) static void lam_sums_table(__attribute__((unused)) uint32_t *table,
                                                             __attribute__((unused)) const uint8_t *x,
                                                             __attribute__((unused)) uint32_t digits)
{
    __asm__(".syntax unified\n"
            "push {r0, r1, r4, r5, r6, r7, lr}\n"
            "mov lr, r2\n"
            "adds r7, r1, r2\n"
            LAM_SUMS_INPUT
            "movs r4, #0\n mov r5, r3\n adds r6, r3, r3\n stm r0!, {r4, r5, r6}\n"
            "mov r1, r0\n" /* behind what is there */
            "1:\n"
            LAM_SUMS_INPUT
            "ldr r0, [sp]\n"
            "mov r12, r1\n"
            "subs r2, r1, r0\n"
            "cmp r2, #12\n"
            "add r2, r1\n"
            "beq 3f\n" /* three entries: the last third of the loop */
            "2:\n"
            LAM_SUMS_THREE LAM_SUMS_THREE
            "3:\n"
            LAM_SUMS_THREE
            "cmp r0, r12\n"
            "bne 2b\n"
            "mov r1, r2\n"
            "ldr r4, [sp, #4]\n"
            "cmp r7, r4\n"
            "bne 1b\n"
            "add sp, #8\n"
            "pop {r4, r5, r6, r7, pc}\n");
}

#if defined(__thumb2__)
#define LAM_SUMS_ENTRY(table) "ldrh r4, [" table ", r4, lsl #2]\n"
#else
#define LAM_SUMS_ENTRY(table) "lsls r4, r4, #2\n ldrh r4, [" table ", r4]\n"
#endif
#define LAM_SUMS_LOOK_UP(sum, at, table)                                                                              \
    "ldrb r4, [r0, #" at "]\n" LAM_SUMS_ENTRY(table) "adds " sum ", " sum ", r4\n"
#define LAM_SUMS_ROW(sum, first, second) LAM_SUMS_LOOK_UP(sum, first, "r1") LAM_SUMS_LOOK_UP(sum, second, "r2")

/* Adds the entries of both groups to the sums of n rows, eight at a time. n > 0. */
__attribute__((naked, noinline)) static void lam_sums_eights(__attribute__((unused)) const uint8_t *w,
                                                              __attribute__((unused)) const uint32_t *table,
                                                              __attribute__((unused)) uint32_t *sums,
                                                              __attribute__((unused)) uint32_t n)
{
    __asm__(".syntax unified\n"
            "push {r4, r5, r6, r7, lr}\n"
            "lsls r3, r3, #2\n"
            "adds r3, r2, r3\n"
            "mov r12, r3\n"
            "mov r3, r2\n"
            "adds r2, r1, #2\n" /* the upper halves */
            "1:\n"
            "ldm r3!, {r5, r6, r7}\n subs r3, #12\n"
            LAM_SUMS_ROW("r5", "0", "1") LAM_SUMS_ROW("r6", "2", "3") LAM_SUMS_ROW("r7", "4", "5")
            "stm r3!, {r5, r6, r7}\n"
            "ldm r3!, {r5, r6, r7}\n subs r3, #12\n"
            LAM_SUMS_ROW("r5", "6", "7") LAM_SUMS_ROW("r6", "8", "9") LAM_SUMS_ROW("r7", "10", "11")
            "stm r3!, {r5, r6, r7}\n"
            "ldm r3!, {r5, r6}\n subs r3, #8\n"
            LAM_SUMS_ROW("r5", "12", "13") LAM_SUMS_ROW("r6", "14", "15")
            "stm r3!, {r5, r6}\n"
            "adds r0, #16\n"
            "cmp r3, r12\n"
            "bne 1b\n"
            "pop {r4, r5, r6, r7, pc}\n");
}

#else

static void lam_sums_table(uint32_t *table, const uint8_t *x, uint32_t digits)
{
    const uint8_t *column = x + digits - 1u;
    uint32_t input = column[0] | (uint32_t)column[digits] << 16;
    table[0] = 0;
    table[1] = input;
    table[2] = 2u * input;
    for (uint32_t n = 3; column != x; n *= 3u) {
        column--;
        input = column[0] | (uint32_t)column[digits] << 16;
        uint32_t *to = table + n, *and_to = to + n;
        for (const uint32_t *from = table, *const end = to; from != end; from += 3, to += 3, and_to += 3) {
            const uint32_t a = from[0] + input, b = from[1] + input, c = from[2] + input;
            to[0] = a;
            to[1] = b;
            to[2] = c;
            and_to[0] = a + input;
            and_to[1] = b + input;
            and_to[2] = c + input;
        }
    }
}

static void lam_sums_eights(const uint8_t *w, const uint32_t *table, uint32_t *sums, uint32_t n)
{
    for (uint32_t *const end = sums + n; sums != end; sums += 4, w += 8) {
        sums[0] += (table[w[0]] & 0xffffu) + (table[w[1]] >> 16);
        sums[1] += (table[w[2]] & 0xffffu) + (table[w[3]] >> 16);
        sums[2] += (table[w[4]] & 0xffffu) + (table[w[5]] >> 16);
        sums[3] += (table[w[6]] & 0xffffu) + (table[w[7]] >> 16);
    }
}

#endif

/* The inputs of a pair of groups; columns behind the last one are zero. */
static const uint8_t *lam_sums_inputs(const uint8_t *x, uint32_t left, uint32_t wanted, uint8_t *copy)
{
    if (left >= wanted) {
        return x;
    }
    memset(copy, 0, wanted);
    memcpy(copy, x, left);
    return copy;
}

void lam_dense_ternary_sums(const lam_dense_sums_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    const uint32_t rows = d->shape.rows, cols = d->shape.cols, digits = d->digits;
    const uint32_t entries = digits == LAM_SUMS_MOST ? 243u : 81u, whole = rows & ~7u;
    uint32_t *const table = scratch, *const sums = table + entries;
    uint8_t copy[2 * LAM_SUMS_MOST];
    for (uint32_t vector = 0; vector < d->shape.batch; vector++, x += cols, y += rows) {
        const uint8_t *w = d->weights;
        uint32_t all = 0; /* the sum of the inputs */
        memset(sums, 0, rows * sizeof *sums);
        for (uint32_t c = 0; c < cols; c += 2u * digits) {
            lam_sums_table(table, lam_sums_inputs(x + c, cols - c, 2u * digits, copy), digits);
            const uint32_t ones = table[entries / 2u]; /* all levels 1 */
            all += (ones & 0xffffu) + (ones >> 16);
            if (cols - c > digits) {
                if (whole > 0) {
                    lam_sums_eights(w, table, sums, whole);
                }
                w += 2u * whole;
                for (uint32_t r = whole; r < rows; r++, w += 2) {
                    sums[r] += (table[w[0]] & 0xffffu) + (table[w[1]] >> 16);
                }
            } else { /* a last group alone */
                for (uint32_t r = 0; r < rows; r++) {
                    sums[r] += table[*w++] & 0xffffu;
                }
            }
        }
        for (uint32_t r = 0; r < rows; r++) {
            sums[r] += (uint32_t)lam_bias_at(d->shape.bias, d->shape.narrow_bias, r) - all;
        }
        lam_dense_store(&d->shape, 0, rows, (const int32_t *)sums, y);
    }
}
