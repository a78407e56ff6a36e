#include "lam_dense_mve.h"
#include "lam_mve.h"

#if defined(__ARM_FEATURE_MVE)

#define LAM_ROWS 4u  /* computed together */
#define LAM_KEPT 32u /* sums that are requantised together; a multiple of LAM_ROWS */

/* A byte holds a column of two or four rows. Multiplied as it is, it gives the sums of all of them, one above the
 * other; without its upper fields, those of the lower rows. The difference is a row's alone, times a power of two. So a
 * row costs a mask and a multiplication of sixteen columns, no more than one whose levels have 8 bits, and a load less.
 * Fields have no sign, nor have activations: 255 * 255 * 65535 columns stay below 2^32, and nothing needs mending but
 * the offset of the levels, by the sum of the inputs. VMLADAVA wants its sums in even registers. */

/* Four rows of four bits. w, w1: rows 0 and 1, rows 2 and 3. */
static LAM_MVE_CROWDED void lam_rows_of_4_bits(const uint8_t *x, const uint8_t *w, const uint8_t *w1, uint32_t n,
                                               int32_t *sums)
{
    register uint32_t a __asm__("r0") = 0, b __asm__("r2") = 0, c __asm__("r4") = 0, d __asm__("r6") = 0;
    __asm__("vmov.i8 q7, #15\n\t"
            "dlstp.8 lr, %[n]\n"
            "1:\n\t"
            "vldrb.8 q0, [%[x]], #16\n\t"
            "vldrb.8 q1, [%[w0]], #16\n\tvmladava.u8 %[a], q0, q1\n\t"
            "vand q1, q1, q7\n\tvmladava.u8 %[b], q0, q1\n\t"
            "vldrb.8 q2, [%[w1]], #16\n\tvmladava.u8 %[c], q0, q2\n\t"
            "vand q2, q2, q7\n\tvmladava.u8 %[d], q0, q2\n\t"
            "letp lr, 1b"
            : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [x] "+r"(x), [w0] "+r"(w), [w1] "+r"(w1)
            : [n] "r"(n)
            : "q0", "q1", "q2", "q7", "lr", "cc", "memory");
    sums[0] = (int32_t)b;
    sums[1] = (int32_t)((a - b) >> 4);
    sums[2] = (int32_t)d;
    sums[3] = (int32_t)((c - d) >> 4);
}

/* Four rows of two bits. */
static LAM_MVE_CROWDED void lam_rows_of_2_bits(const uint8_t *x, const uint8_t *w, uint32_t n, int32_t *sums)
{
    register uint32_t a __asm__("r0") = 0, b __asm__("r2") = 0, c __asm__("r4") = 0, d __asm__("r6") = 0;
    __asm__("vmov.i8 q5, #63\n\tvmov.i8 q6, #15\n\tvmov.i8 q7, #3\n\t"
            "dlstp.8 lr, %[n]\n"
            "1:\n\t"
            "vldrb.8 q0, [%[x]], #16\n\t"
            "vldrb.8 q1, [%[w]], #16\n\tvmladava.u8 %[a], q0, q1\n\t"
            "vand q2, q1, q5\n\tvmladava.u8 %[b], q0, q2\n\t"
            "vand q3, q1, q6\n\tvmladava.u8 %[c], q0, q3\n\t"
            "vand q1, q1, q7\n\tvmladava.u8 %[d], q0, q1\n\t"
            "letp lr, 1b"
            : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [x] "+r"(x), [w] "+r"(w)
            : [n] "r"(n)
            : "q0", "q1", "q2", "q3", "q5", "q6", "q7", "lr", "cc", "memory");
    sums[0] = (int32_t)d;
    sums[1] = (int32_t)((c - d) >> 2);
    sums[2] = (int32_t)((b - c) >> 4);
    sums[3] = (int32_t)((a - b) >> 6);
}

static uint32_t lam_rows_sum(const uint8_t *x, uint32_t n)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i += LAM_MVE_BYTES) {
        const mve_pred16_t first = vctp8q(n - i);
        sum = vaddvaq_p_u8(sum, vldrbq_z_u8(x + i, first), first);
    }
    return sum;
}

void lam_dense_rows_mve(const lam_dense_rows_mve_desc *d, const uint8_t *x, uint8_t *y)
{
    const lam_dense_shape *s = &d->shape;
    const uint32_t cols = s->cols, rows = s->rows, four_bits = d->bits == 4u;
    for (uint32_t vector = 0; vector < s->batch; vector++, x += cols) {
        const uint32_t offset = lam_rows_sum(x, cols) << (d->bits - 1u); /* in every sum: that of the fields */
        const uint8_t *w = d->weights;
        for (uint32_t first = 0; first < rows; first += LAM_KEPT) {
            const uint32_t n = lam_mve_least(rows - first, LAM_KEPT);
            const int32_t *bias = (const int32_t *)s->bias + first;
            int32_t sums[LAM_KEPT];
            for (uint32_t r = 0; r < n; r += LAM_ROWS) {
                if (four_bits) { /* of the last two rows alone there is but one group: it is computed twice */
                    const uint8_t *const second = n - r > 2u ? w + cols : w;
                    lam_rows_of_4_bits(x, w, second, cols, sums + r);
                    w = second + cols;
                } else {
                    lam_rows_of_2_bits(x, w, cols, sums + r);
                    w += cols;
                }
            }
            for (uint32_t r = 0; r < n; r += LAM_ROWS) {
                const mve_pred16_t some = vctp32q(n - r);
                const int32x4_t start = vsubq_n_s32(vldrwq_z_s32(bias + r, some), (int32_t)offset);
                vstrwq_s32(sums + r, vaddq_s32(start, vldrwq_s32(sums + r)));
            }
            lam_mve_requant_rows(&s->q, first, n, sums, y);
            y += n;
        }
    }
}

#endif
