#include "lam_float.h"

#include <string.h>

#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0
#error "float expressions are not evaluated in float32 here: results would differ from machine to machine"
#endif

static uint32_t lam_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float lam_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float lam_infinity(void)
{
    return lam_from_bits(0x7f800000u);
}

/* 2^n for n within -126 .. 127. */
static float lam_power_of_two(int32_t n)
{
    return lam_from_bits((uint32_t)(n + 127) << 23);
}

/* Arguments beyond 32 bits stay as they are: they are whole. */
static int lam_is_large(float x)
{
    return (lam_bits(x) & 0x7fffffffu) >= 0x4b000000u; /* 2^23, infinity, NaN */
}

float lam_float_abs(float x, float a, float b)
{
    (void)a;
    (void)b;
    return lam_from_bits(lam_bits(x) & 0x7fffffffu);
}

float lam_float_neg(float x, float a, float b)
{
    (void)a;
    (void)b;
    return -x;
}

float lam_float_sign(float x, float a, float b)
{
    (void)a;
    (void)b;
    return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f;
}

float lam_float_at_least(float x, float a, float b)
{
    (void)b;
    return x < a ? a : x;
}

float lam_float_at_most(float x, float a, float b)
{
    (void)b;
    return x > a ? a : x;
}

float lam_float_clip(float x, float a, float b)
{
    const float y = x < a ? a : x;
    return y > b ? b : y;
}

float lam_float_leaky(float x, float a, float b)
{
    return x < 0.0f ? a * x : b * x;
}

float lam_float_thresholded(float x, float a, float b)
{
    (void)b;
    return x > a ? x : 0.0f;
}

float lam_float_shrink(float x, float a, float b)
{
    return x < -a ? x + b : x > a ? x - b : 0.0f;
}

float lam_float_hard_sigmoid(float x, float a, float b)
{
    return lam_float_clip(a * x + b, 0.0f, 1.0f);
}

float lam_float_hard_swish(float x, float a, float b)
{
    return x * lam_float_hard_sigmoid(x, a, b);
}

float lam_float_floor(float x, float a, float b)
{
    (void)a;
    (void)b;
    if (lam_is_large(x)) {
        return x;
    }
    const float whole = (float)(int32_t)x;
    return whole > x ? whole - 1.0f : whole;
}

float lam_float_ceil(float x, float a, float b)
{
    return -lam_float_floor(-x, a, b);
}

float lam_float_round(float x, float a, float b)
{
    (void)a;
    (void)b;
    if (lam_is_large(x)) {
        return x;
    }
    /* The sum has no bits left for a fraction. */
    return x < 0.0f ? (x - 8388608.0f) + 8388608.0f : (x + 8388608.0f) - 8388608.0f;
}

float lam_float_reciprocal(float x, float a, float b)
{
    (void)a;
    (void)b;
    return 1.0f / x;
}

/* e^x = 2^n e^r with |r| at most half of log 2. */
float lam_float_exp(float x, float a, float b)
{
    if (x > 89.0f) {
        return lam_infinity();
    }
    if (x < -104.0f) {
        return 0.0f;
    }
    if (!(x <= 89.0f)) {
        return x; /* NaN */
    }
    const float whole = lam_float_floor(x * 1.44269502f + 0.5f, a, b);
    const float r = (x - whole * 0.693359375f) - whole * -2.12194442e-4f;
    float p = 1.99070491e-4f;
    p = p * r + 1.39329256e-3f;
    p = p * r + 8.3332872e-3f;
    p = p * r + 4.16664742e-2f;
    p = p * r + 1.66666672e-1f;
    p = p * r + 0.5f;
    const float y = (p * (r * r) + r) + 1.0f;
    const int32_t n = (int32_t)whole;
    const int32_t half = n / 2;
    return (y * lam_power_of_two(half)) * lam_power_of_two(n - half);
}

/* log x = e log 2 + log(1 + f) with 1 + f between the roots of 1/2 and of 2. */
float lam_float_log(float x, float a, float b)
{
    (void)a;
    (void)b;
    if (!(x > 0.0f)) {
        return x < 0.0f || x > 0.0f || lam_bits(x) << 1 != 0 ? lam_from_bits(0x7fc00000u) : -lam_infinity();
    }
    if (lam_bits(x) == 0x7f800000u) {
        return x;
    }
    int32_t exponent = 0;
    if (x < 1.17549435e-38f) {
        x = x * 8388608.0f;
        exponent = -23;
    }
    const uint32_t bits = lam_bits(x);
    exponent += (int32_t)(bits >> 23) - 127;
    float m = lam_from_bits((bits & 0x007fffffu) | 0x3f800000u);
    if (m > 1.41421354f) {
        m = m * 0.5f;
        exponent++;
    }
    const float f = m - 1.0f;
    float p = 6.74663857e-2f;
    p = p * f - 1.16756514e-1f;
    p = p * f + 1.18881628e-1f;
    p = p * f - 1.24055892e-1f;
    p = p * f + 1.42195523e-1f;
    p = p * f - 1.66679963e-1f;
    p = p * f + 2.00021192e-1f;
    p = p * f - 2.50000089e-1f;
    p = p * f + 3.33333135e-1f;
    const float e = (float)exponent;
    const float low = ((p * f) * (f * f) - 0.5f * (f * f)) + e * -2.12194442e-4f;
    return (f + low) + e * 0.693359375f;
}

/* Correctly rounded: the root of the mantissa, bit by bit. */
float lam_float_sqrt(float x, float a, float b)
{
    (void)a;
    (void)b;
    uint32_t bits = lam_bits(x);
    if (bits << 1 == 0 || bits == 0x7f800000u) {
        return x;
    }
    if (bits > 0x7f800000u) {
        return lam_from_bits(0x7fc00000u); /* negative, NaN */
    }
    int32_t exponent = 0;
    if (bits < 0x00800000u) {
        bits = lam_bits(x * 16777216.0f);
        exponent = -24;
    }
    exponent += (int32_t)(bits >> 23) - 127;
    uint32_t mantissa = (bits & 0x007fffffu) | 0x00800000u;
    if (exponent & 1) {
        mantissa *= 2;
        exponent -= 1;
    }
    const uint64_t square = (uint64_t)mantissa << 25;
    uint32_t root = 0; /* 25 bits: one more than there is room for */
    for (uint32_t bit = 1u << 24; bit != 0; bit >>= 1) {
        const uint32_t more = root + bit;
        if ((uint64_t)more * more <= square) {
            root = more;
        }
    }
    return lam_from_bits(((root + 1) >> 1) + ((uint32_t)(exponent / 2 + 126) << 23));
}

float lam_float_sigmoid(float x, float a, float b)
{
    if (x >= 0.0f) {
        return 1.0f / (1.0f + lam_float_exp(-x, a, b));
    }
    const float e = lam_float_exp(x, a, b);
    return e / (1.0f + e);
}

float lam_float_silu(float x, float a, float b)
{
    return x * lam_float_sigmoid(a * x, a, b);
}

float lam_float_tanh(float x, float a, float b)
{
    const float size = lam_float_abs(x, a, b);
    if (size < 0.625f) {
        const float z = x * x;
        float p = -6.11326518e-3f;
        p = p * z + 2.10101455e-2f;
        p = p * z - 5.38540892e-2f;
        p = p * z + 1.33327946e-1f;
        p = p * z - 3.33333284e-1f;
        return (p * z) * x + x;
    }
    const float y = 1.0f - 2.0f / (lam_float_exp(2.0f * size, a, b) + 1.0f);
    return x < 0.0f ? -y : y;
}

/* e^x - 1. */
static float lam_exp_less_one(float x)
{
    if (x > -0.5f && x < 0.5f) {
        /* (1 + t) / (1 - t) - 1 with t = tanh(x / 2) */
        const float t = lam_float_tanh(0.5f * x, 0.0f, 0.0f);
        return (2.0f * t) / (1.0f - t);
    }
    return lam_float_exp(x, 0.0f, 0.0f) - 1.0f;
}

float lam_float_elu(float x, float a, float b)
{
    return x < 0.0f ? b * (a * lam_exp_less_one(x)) : b * x;
}

float lam_float_celu(float x, float a, float b)
{
    (void)b;
    return x < 0.0f ? a * lam_exp_less_one(x / a) : x;
}

float lam_float_softplus(float x, float a, float b)
{
    const float e = lam_float_exp(-lam_float_abs(x, a, b), a, b);
    const float u = 1.0f + e;
    const float tail = lam_float_log(u, a, b) + (e - (u - 1.0f)) / u; /* with what the sum has lost */
    return x > 0.0f ? x + tail : tail;
}

float lam_float_softsign(float x, float a, float b)
{
    return x / (1.0f + lam_float_abs(x, a, b));
}

float lam_float_mish(float x, float a, float b)
{
    return x * lam_float_tanh(lam_float_softplus(x, a, b), a, b);
}

float lam_float_erf(float x, float a, float b)
{
    const float size = lam_float_abs(x, a, b);
    if (size < 1.0f) {
        const float z = x * x;
        float p = 7.88912294e-5f;
        p = p * z - 8.02084222e-4f;
        p = p * z + 5.18953567e-3f;
        p = p * z - 2.68544443e-2f;
        p = p * z + 1.12836003e-1f;
        p = p * z - 3.7612626e-1f;
        p = p * z + 1.12837911f;
        return p * x;
    }
    float y = 1.0f;
    if (size < 4.0f) {
        const float t = 1.0f / (1.0f + 0.5f * size);
        float p = 1.19015977e-1f;
        p = p * t - 4.70151514e-1f;
        p = p * t + 5.6187278e-1f;
        p = p * t - 1.02592222e-1f;
        p = p * t + 3.4736082e-1f;
        p = p * t + 2.59801745e-1f;
        p = p * t + 2.84896225e-1f;
        p = p * t - 1.53187211e-4f;
        y = 1.0f - p * lam_float_exp(-(x * x), a, b);
    }
    return x < 0.0f ? -y : y;
}

float lam_float_gelu(float x, float a, float b)
{
    return (0.5f * x) * (1.0f + lam_float_erf(x * 0.707106769f, a, b));
}

float lam_float_gelu_tanh(float x, float a, float b)
{
    const float inner = 0.797884583f * (x + 0.0447149985f * ((x * x) * x));
    return (0.5f * x) * (1.0f + lam_float_tanh(inner, a, b));
}

/* x less a multiple of a quarter of a turn; the multiple modulo 4. Exact enough up to some thousands of turns. */
static uint32_t lam_quarter(float x, float *rest)
{
    const float n = lam_float_round(x * 0.636619747f, 0.0f, 0.0f);
    float r = x - n * 1.5703125f;
    r = r - n * 4.83751297e-4f;
    *rest = r - n * 7.54978942e-8f;
    return lam_is_large(n) ? 0u : (uint32_t)(int32_t)n & 3u;
}

static float lam_sine(float r)
{
    const float z = r * r;
    float p = 2.81875782e-6f;
    p = p * z - 1.98487716e-4f;
    p = p * z + 8.33335146e-3f;
    p = p * z - 1.66666672e-1f;
    return (p * z) * r + r;
}

static float lam_cosine(float r)
{
    const float z = r * r;
    float p = -7.09338224e-7f;
    p = p * z + 2.51894435e-5f;
    p = p * z - 1.38897076e-3f;
    p = p * z + 4.16666679e-2f;
    return ((p * z) * z - 0.5f * z) + 1.0f;
}

float lam_float_sin(float x, float a, float b)
{
    (void)a;
    (void)b;
    float r;
    const uint32_t quarter = lam_quarter(x, &r);
    const float y = quarter & 1u ? lam_cosine(r) : lam_sine(r);
    return quarter & 2u ? -y : y;
}

float lam_float_cos(float x, float a, float b)
{
    (void)a;
    (void)b;
    float r;
    const uint32_t quarter = lam_quarter(x, &r);
    const float y = quarter & 1u ? lam_sine(r) : lam_cosine(r);
    return (quarter + 1u) & 2u ? -y : y;
}

float lam_float_add(float a, float b)
{
    return a + b;
}

float lam_float_sub(float a, float b)
{
    return a - b;
}

float lam_float_mul(float a, float b)
{
    return a * b;
}

float lam_float_div(float a, float b)
{
    return a / b;
}

float lam_float_max(float a, float b)
{
    return a < b ? b : a;
}

float lam_float_min(float a, float b)
{
    return a > b ? b : a;
}

float lam_float_prelu(float a, float b)
{
    return a < 0.0f ? a * b : a;
}

float lam_float_add_square(float a, float b)
{
    return a + b * b;
}

float lam_float_add_abs(float a, float b)
{
    return a + lam_float_abs(b, 0.0f, 0.0f);
}

float lam_float_greater(float a, float b)
{
    return a > b ? 1.0f : 0.0f;
}

float lam_float_greater_equal(float a, float b)
{
    return a >= b ? 1.0f : 0.0f;
}

/* Written so that compilers do not warn of comparing floats, which is what is wanted here. */
float lam_float_equal(float a, float b)
{
    return a >= b && a <= b ? 1.0f : 0.0f;
}

float lam_float_keep(float a, float b)
{
    return a < 0.0f || a > 0.0f ? b : 0.0f;
}

/* a^b: whole b of small size by multiplication, others by e^(b log a). */
float lam_float_pow(float a, float b)
{
    const float size = lam_float_abs(b, 0.0f, 0.0f);
    const float whole = lam_float_floor(b, 0.0f, 0.0f);
    const int is_whole = !(whole < b) && !(whole > b);
    if (is_whole && size <= 64.0f) {
        float power = a;
        float y = 1.0f;
        for (uint32_t n = (uint32_t)size; n != 0; n >>= 1) {
            if (n & 1u) {
                y = y * power;
            }
            power = power * power;
        }
        return b < 0.0f ? 1.0f / y : y;
    }
    const float y = lam_float_exp(b * lam_float_log(lam_float_abs(a, 0.0f, 0.0f), 0.0f, 0.0f), 0.0f, 0.0f);
    if (!(a < 0.0f)) {
        return y;
    }
    if (!is_whole) {
        return lam_from_bits(0x7fc00000u);
    }
    return !lam_is_large(b) && ((uint32_t)(int32_t)b & 1u) ? -y : y;
}
