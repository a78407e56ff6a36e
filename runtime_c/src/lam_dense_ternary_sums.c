#include "lam_dense_blocks.h"
#include "lam_requant.h"

/* A few columns of ternary weights have few combinations: 81 for four, 243 for five. Their sums with the inputs, all of
 * them, are a table that every row looks up with one byte. So a row takes one addition for four or five columns. Two
 * groups at a time share the loads and stores of the rows' sums.
 *
 * A table of n columns is made from that of n - 1: each entry e gives e - x, e and e + x, x the new column's input. */

enum { LAM_SUMS_MOST = 5 }; /* columns of a group */

#if defined(__GNUC__) && defined(__thumb__) && !defined(LAM_NO_ASSEMBLY)

/* r0 next entry  r1 next of the new table  r3 x  r4 r5 r6 three new entries */
#define LAM_SUMS_ENTRY "ldm r0!, {r5}\n subs r4, r5, r3\n adds r6, r5, r3\n stm r1!, {r4, r5, r6}\n"
#define LAM_SUMS_THREE LAM_SUMS_ENTRY LAM_SUMS_ENTRY LAM_SUMS_ENTRY

/* The table of a group of four columns or more. smaller: room for those of fewer. A compiler would not store three
 * entries at once. Instructions of Armv6-M.
 *
 *   r2 end of the last table  r7 columns still to come  r12 inputs  lr table */
static __attribute__((naked, noinline)) void lam_sums_table(__attribute__((unused)) const uint8_t *x,
                                                            __attribute__((unused)) uint32_t digits,
                                                            __attribute__((unused)) int32_t *smaller,
                                                            __attribute__((unused)) int32_t *table)
{
    __asm__(".syntax unified\n"
            "push {r4, r5, r6, r7, lr}\n"
            "mov lr, r3\n"
            "subs r7, r1, #2\n"
            "ldrb r6, [r0]\n" /* one column */
            "ldrb r3, [r0, #1]\n"
            "adds r0, #2\n mov r12, r0\n"
            "rsbs r4, r6, #0\n movs r5, #0\n"
            "mov r0, r2\n stm r2!, {r4, r5, r6}\n"
            "mov r1, r2\n" /* two columns */
            LAM_SUMS_THREE
            "1: mov r2, r1\n" /* one more */
            "subs r7, #1\n"
            "bne 2f\n"
            "mov r1, lr\n"
            "2: mov r4, r12\n ldrb r3, [r4]\n adds r4, #1\n mov r12, r4\n"
            "3:\n"
            LAM_SUMS_THREE LAM_SUMS_THREE LAM_SUMS_THREE
            "cmp r0, r2\n"
            "bne 3b\n"
            "cmp r7, #0\n"
            "bne 1b\n"
            "pop {r4, r5, r6, r7, pc}\n");
}

#else

static void lam_sums_extend(const int32_t *from, uint32_t n, int32_t *to, int32_t x)
{
    for (const int32_t *end = from + n; from != end; to += 3) {
        const int32_t e = *from++;
        to[0] = e - x;
        to[1] = e;
        to[2] = e + x;
    }
}

/* The table of a group. smaller: room for those of fewer columns. */
static void lam_sums_table(const uint8_t *x, uint32_t digits, int32_t *smaller, int32_t *table)
{
    uint32_t n = 3;
    smaller[0] = -(int32_t)*x;
    smaller[1] = 0;
    smaller[2] = *x++;
    for (; digits > 2; digits--, n *= 3) {
        lam_sums_extend(smaller, n, smaller + n, *x++);
        smaller += n;
    }
    lam_sums_extend(smaller, n, table, *x);
}

#endif

/* The inputs of a group; columns behind the last one are zero. */
static const uint8_t *lam_sums_inputs(const uint8_t *x, uint32_t left, uint32_t digits, uint8_t *copy)
{
    if (left >= digits) {
        return x;
    }
    for (uint32_t i = 0; i < digits; i++) {
        copy[i] = i < left ? x[i] : 0;
    }
    return copy;
}

/* Adds two groups' entries to the sum of each row. Returns the bytes behind those read. */
static const uint8_t *lam_sums_pair(const uint8_t *w, const int32_t *a, const int32_t *b, int32_t *sum, uint32_t rows)
{
    int32_t *const end = sum + rows, *const whole = sum + (rows & ~3u);
    for (; sum != whole; sum += 4, w += 8) {
        sum[0] += a[w[0]] + b[w[1]];
        sum[1] += a[w[2]] + b[w[3]];
        sum[2] += a[w[4]] + b[w[5]];
        sum[3] += a[w[6]] + b[w[7]];
    }
    for (; sum != end; w += 2) {
        *sum++ += a[w[0]] + b[w[1]];
    }
    return w;
}

static void lam_sums_single(const uint8_t *w, const int32_t *a, int32_t *sum, uint32_t rows)
{
    for (int32_t *const end = sum + rows; sum != end;) {
        *sum++ += a[*w++];
    }
}

void lam_dense_ternary_sums(const lam_dense_sums_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    const uint32_t rows = d->shape.rows, cols = d->shape.cols, digits = d->digits;
    const uint32_t entries = digits == LAM_SUMS_MOST ? 243u : 81u;
    int32_t *const a = scratch, *const b = a + entries, *const smaller = b + entries;
    int32_t *const sums = smaller + (entries - 3u) / 2u;
    uint8_t copy[LAM_SUMS_MOST];
    for (uint32_t vector = 0; vector < d->shape.batch; vector++, y += rows) {
        const uint8_t *w = d->weights;
        for (uint32_t r = 0; r < rows; r++) {
            sums[r] = lam_bias_at(d->shape.bias, d->shape.narrow_bias, r);
        }
        uint32_t left = cols;
        for (; left > digits; x += 2u * digits) {
            lam_sums_table(x, digits, smaller, a);
            lam_sums_table(lam_sums_inputs(x + digits, left - digits, digits, copy), digits, smaller, b);
            w = lam_sums_pair(w, a, b, sums, rows);
            if (left < 2u * digits) {
                x += left;
                left = 0;
                break;
            }
            left -= 2u * digits;
        }
        if (left > 0) {
            lam_sums_table(lam_sums_inputs(x, left, digits, copy), digits, smaller, a);
            lam_sums_single(w, a, sums, rows);
            x += left;
        }
        lam_dense_store(&d->shape, 0, rows, sums, y);
    }
}
