#include "lam_elementwise.h"
#include "lam_requant.h"

/* x within +-2^30. */
static int32_t lam_twice_of(lam_twice by, int32_t x)
{
    const int32_t value = lam_scale_by_2_32((int32_t)((uint32_t)x << 1), by.multiplier);
    if (by.right == 0u) {
        return value;
    }
    return (value + (int32_t)(1u << (by.right - 1u)) - (value < 0)) >> by.right;
}

static int32_t lam_addend(lam_twice by, int32_t x, uint8_t negative)
{
    const int32_t value = lam_twice_of(by, x * (1 << 20));
    return negative ? -value : value;
}

void lam_add_as_tflite(const lam_add_as_tflite_desc *d, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    const lam_add_as_tflite_desc local = *d;
    const uint8_t *const end = a + local.n;
    while (a != end) {
        const int32_t first = lam_addend(local.a, *a++ - local.a_zero, local.a_negative);
        const int32_t second = lam_addend(local.b, *b++ - local.b_zero, local.b_negative);
        *y++ = lam_clamp(local.zero + lam_twice_of(local.total, first + second), local.low, local.high);
    }
}

void lam_add_constants_as_tflite(const lam_add_constants_as_tflite_desc *d, const uint8_t *x, uint8_t *y)
{
    const lam_add_constants_as_tflite_desc local = *d;
    for (uint32_t t = 0; t < local.times; t++) {
        for (uint32_t k = 0; k < local.count; k++) {
            const int32_t constant = local.constants[k];
            const uint8_t *const end = x + local.inner;
            while (x != end) {
                const int32_t value = lam_addend(local.a, *x++ - local.a_zero, local.a_negative);
                *y++ = lam_clamp(local.zero + lam_twice_of(local.total, value + constant), local.low, local.high);
            }
        }
    }
}
