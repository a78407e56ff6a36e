#include "lam_dense_mve.h"
#include "lam_mve.h"

#include <string.h>

#if defined(__ARM_FEATURE_MVE)

#define LAM_ROWS 4u  /* that share the loads of x */
#define LAM_KEPT 32u /* sums that are requantised together; a multiple of LAM_ROWS */

/* Adds to four sums the products of n activations with four rows of levels. Written out: VMLADAVA wants each sum in an
 * even register, and DLSTP cuts the last vector to what is left, so that nothing behind the rows is read. */
static LAM_MVE_CROWDED void lam_dense_four(const uint8_t *x, const int8_t *w, uint32_t n, int32_t *sums)
{
    register int32_t a __asm__("r0") = sums[0], b __asm__("r2") = sums[1];
    register int32_t c __asm__("r4") = sums[2], d __asm__("r6") = sums[3];
    const int8_t *w1 = w + n, *w2 = w1 + n, *w3 = w2 + n;
    __asm__("vmov.i8 q7, #128\n\t"
            "dlstp.8 lr, %[n]\n"
            "1:\n\t"
            "vldrb.8 q0, [%[x]], #16\n\t"
            "veor q0, q0, q7\n\t"
            "vldrb.8 q1, [%[w0]], #16\n\tvmladava.s8 %[a], q0, q1\n\t"
            "vldrb.8 q2, [%[w1]], #16\n\tvmladava.s8 %[b], q0, q2\n\t"
            "vldrb.8 q3, [%[w2]], #16\n\tvmladava.s8 %[c], q0, q3\n\t"
            "vldrb.8 q1, [%[w3]], #16\n\tvmladava.s8 %[d], q0, q1\n\t"
            "letp lr, 1b"
            : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [x] "+r"(x), [w0] "+r"(w), [w1] "+r"(w1),
              [w2] "+r"(w2), [w3] "+r"(w3)
            : [n] "r"(n)
            : "q0", "q1", "q2", "q3", "q7", "lr", "cc", "memory");
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

/* A row alone. */
static LAM_MVE_NOINLINE int32_t lam_dense_one(const uint8_t *x, const int8_t *w, uint32_t n, int32_t sum)
{
    for (uint32_t i = 0; i < n; i += LAM_MVE_BYTES) {
        const mve_pred16_t first = vctp8q(n - i);
        const uint8x16_t less_128 = veorq_u8(vldrbq_z_u8(x + i, first), vdupq_n_u8(128));
        sum = vmladavaq_p_s8(sum, vreinterpretq_s8_u8(less_128), vldrbq_z_s8(w + i, first), first);
    }
    return sum;
}

void lam_dense_int8_mve(const lam_dense_int8_mve_desc *d, const uint8_t *x, uint8_t *y)
{
    const lam_dense_shape *s = &d->shape;
    const uint32_t cols = s->cols, rows = s->rows;
    for (uint32_t vector = 0; vector < s->batch; vector++, x += cols) {
        const int8_t *w = d->weights;
        for (uint32_t first = 0; first < rows; first += LAM_KEPT) {
            const uint32_t n = lam_mve_least(rows - first, LAM_KEPT);
            int32_t sums[LAM_KEPT];
            uint32_t r = 0;
            memcpy(sums, (const int32_t *)s->bias + first, n * sizeof *sums);
            for (; r + LAM_ROWS <= n; r += LAM_ROWS, w += LAM_ROWS * cols) {
                lam_dense_four(x, w, cols, sums + r);
            }
            for (; r < n; r++, w += cols) {
                sums[r] = lam_dense_one(x, w, cols, sums[r]);
            }
            lam_mve_requant_rows(&s->q, first, n, sums, y);
            y += n;
        }
    }
}

#endif
