#include "lam_dense_mve.h"
#include "lam_mve.h"

#if defined(__ARM_FEATURE_MVE)

/* Levels have 16 bits once unpacked, and so have activations as they are loaded: no sign to mend. */
static inline int32_t lam_dense_dot(const uint8_t *x, const int16_t *w, uint32_t n, int32_t start)
{
    register int32_t sum __asm__("r0") = start;
    __asm__("dlstp.16 lr, %[n]\n"
            "1:\n\t"
            "vldrb.u16 q0, [%[x]], #8\n\t"
            "vldrh.16 q1, [%[w]], #16\n\t"
            "vmladava.s16 %[sum], q0, q1\n\t"
            "letp lr, 1b"
            : [sum] "+r"(sum), [x] "+l"(x), [w] "+r"(w)
            : [n] "r"(n)
            : "q0", "q1", "lr", "cc", "memory");
    return sum;
}

void lam_dense_mve(const lam_dense_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    const lam_dense_shape *s = &d->shape;
    int16_t *levels = scratch;
    lam_stream stream = lam_stream_of(d->weights);
    for (uint32_t r = 0; r < s->rows; r++) {
        const lam_requant_one q = lam_requant_of(&s->q, r);
        d->unpack(&stream, levels, s->cols);
        for (uint32_t vector = 0; vector < s->batch; vector++) {
            const int32_t sum = lam_dense_dot(x + (size_t)vector * s->cols, levels, s->cols, lam_bias_at(s->bias, s->narrow_bias, r));
            y[(size_t)vector * s->rows + r] = lam_requant_apply(q, sum);
        }
    }
}

#endif
