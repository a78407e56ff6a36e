#include "lam_mfcc.h"

#include <string.h>

#include "lam_requant.h"

/* Steps stay functions of their own: together they would share one set of registers, for a quarter more instructions. */
#if defined(__GNUC__)
#define LAM_MFCC_APART static __attribute__((noinline))
#else
#define LAM_MFCC_APART static
#endif

/* Names as in lamella/mfcc/integer.py. A complex number is two words of z: real part, imaginary part. */

/* floor((a * u + b * v + 2^14) / 2^15), 0 <= |u|, |v| <= 2^15, the result within 32 bits. */
static inline int32_t lam_mfcc_products(int32_t a, int32_t u, int32_t b, int32_t v)
{
#if LAM_NO_LONG_MULTIPLY
    /* The lower 15 bits apart: their products stay within 2^31 - 2^14, and the upper parts' are whole. */
    const int32_t low = (a & 0x7fff) * u + (b & 0x7fff) * v + 0x4000;
    return (a >> 15) * u + (b >> 15) * v + (low >> 15);
#else
    return (int32_t)(((int64_t)a * u + (int64_t)b * v + 0x4000) >> 15);
#endif
}

/* cos and sin of 2 pi k / N for k = 0 .. N/2. */
static inline int32_t lam_mfcc_cos(const lam_mfcc_desc *d, uint32_t k)
{
    const uint32_t quarter = (1u << d->log2_frame) / 4u;
    return k <= quarter ? (int32_t)d->sine[quarter - k] : -(int32_t)d->sine[k - quarter];
}

static inline int32_t lam_mfcc_sin(const lam_mfcc_desc *d, uint32_t k)
{
    const uint32_t quarter = (1u << d->log2_frame) / 4u;
    return d->sine[k <= quarter ? k : 2u * quarter - k];
}

/* `n` samples under the Hann window 1 - cos. table: sin at the quarter's first sample; it is read on by `step`, and
 * `sign` (0 or -1) makes a cosine of it. */
LAM_MFCC_APART void lam_mfcc_window(const int16_t *samples, uint32_t n, const uint16_t *table, int32_t step, int32_t sign,
                            uint32_t shift, int32_t *z)
{
    const int32_t round = 1 << (shift - 1u);
    for (; n != 0; n--, table += step) {
        const int32_t window = 0x8000 - ((*table ^ sign) - sign);
        *z++ = (*samples++ * window + round) >> shift;
    }
}

/* The frame under its window, from the samples kept and the new ones. */
LAM_MFCC_APART void lam_mfcc_load(const lam_mfcc_desc *d, const int16_t *state, const int16_t *samples, int32_t *z)
{
    const uint32_t quarter = (1u << d->log2_frame) / 4u, old = 4u * quarter - d->hop, shift = d->log2_frame + 3u;
    for (uint32_t k = 0; k < 4u * quarter;) {
        const uint32_t q = k >> (d->log2_frame - 2u), inside = k & (quarter - 1u);
        uint32_t n = quarter - inside;
        if (k < old && n > old - k) {
            n = old - k;
        }
        /* The cosine falls from 1 to 0 to -1, then the same back. */
        const int16_t *const from = k < old ? state + k : samples + (k - old);
        const uint16_t *const table = d->sine + (q & 1u ? inside : quarter - inside);
        lam_mfcc_window(from, n, table, q & 1u ? 1 : -1, q == 1u || q == 2u ? -1 : 0, shift, z + k);
        k += n;
    }
}

/* N/2 complex numbers into the order that the transform begins with: the bits of the index reversed. */
LAM_MFCC_APART void lam_mfcc_reverse(const lam_mfcc_desc *d, int32_t *z)
{
    const uint32_t half = (1u << d->log2_frame) / 2u;
    for (uint32_t k = 1, to = 0; k < half; k++) {
        uint32_t bit = half >> 1;
        for (; to & bit; bit >>= 1) {
            to ^= bit;
        }
        to |= bit;
        if (k < to) {
            int32_t *const a = z + 2u * k, *const b = z + 2u * to;
            const int32_t re = a[0], im = a[1];
            a[0] = b[0];
            a[1] = b[1];
            b[0] = re;
            b[1] = im;
        }
    }
}

/* The first two stages of the transform: turns by 0 and 90 degrees. */
LAM_MFCC_APART void lam_mfcc_fours(const lam_mfcc_desc *d, int32_t *z)
{
    const int32_t *const end = z + (1u << d->log2_frame);
    for (; z < end; z += 8) {
        const int32_t a_re = z[0] + z[2], a_im = z[1] + z[3], b_re = z[0] - z[2], b_im = z[1] - z[3];
        const int32_t c_re = z[4] + z[6], c_im = z[5] + z[7], d_re = z[4] - z[6], d_im = z[5] - z[7];
        z[0] = a_re + c_re;
        z[1] = a_im + c_im;
        z[2] = b_re + d_im;
        z[3] = b_im - d_re;
        z[4] = a_re - c_re;
        z[5] = a_im - c_im;
        z[6] = b_re - d_im;
        z[7] = b_im + d_re;
    }
}

/* a + b and a - b in the places of a and b, b = (re, im). */
static inline void lam_mfcc_butterfly(int32_t *a, int32_t *b, int32_t re, int32_t im)
{
    const int32_t a_re = a[0], a_im = a[1];
    b[0] = a_re - re;
    b[1] = a_im - im;
    a[0] = a_re + re;
    a[1] = a_im + im;
}

/* Discrete Fourier transform of N/2 complex numbers, in place, by decimation in time: its later stages. */
LAM_MFCC_APART void lam_mfcc_transform(const lam_mfcc_desc *d, int32_t *z)
{
    const uint32_t n = 1u << d->log2_frame;
    const int32_t *const end = z + n;
    uint32_t step = n / 8u; /* from the angle of a turn to the next */
    for (uint32_t half = 4; half < n / 2u; half *= 2u, step /= 2u) {
        for (int32_t *a = z; a < end; a += 4u * half) {
            lam_mfcc_butterfly(a, a + 2u * half, a[2u * half], a[2u * half + 1u]);
        }
        for (uint32_t j = 1, angle = step; j < half; j++, angle += step) {
            const int32_t cosine = lam_mfcc_cos(d, angle), sine = lam_mfcc_sin(d, angle);
            for (int32_t *a = z + 2u * j; a < end; a += 4u * half) {
                int32_t *const b = a + 2u * half;
                const int32_t re = lam_mfcc_products(b[0], cosine, b[1], sine);
                const int32_t im = lam_mfcc_products(b[1], cosine, b[0], -sine);
                lam_mfcc_butterfly(a, b, re, im);
            }
        }
    }
}

/* From the transform to twice the spectrum of the frame, bins 1 .. N/2 - 1. */
LAM_MFCC_APART void lam_mfcc_split(const lam_mfcc_desc *d, int32_t *z)
{
    const uint32_t n = 1u << d->log2_frame;
    for (uint32_t k = 1; k <= n / 4u; k++) {
        int32_t *const a = z + 2u * k, *const b = z + (n - 2u * k);
        const int32_t cosine = lam_mfcc_cos(d, k), sine = lam_mfcc_sin(d, k);
        const int32_t even_re = a[0] + b[0], even_im = a[1] - b[1], odd_re = a[1] + b[1], odd_im = b[0] - a[0];
        const int32_t re = lam_mfcc_products(odd_re, cosine, odd_im, sine);
        const int32_t im = lam_mfcc_products(odd_im, cosine, odd_re, -sine);
        a[0] = even_re + re;
        a[1] = even_im + im;
        b[0] = even_re - re;
        b[1] = im - even_im;
    }
}

/* How far to shift `n` words so that 15 bits and the sign are left. */
LAM_MFCC_APART uint32_t lam_mfcc_headroom(const int32_t *x, uint32_t n)
{
    uint32_t any = 0, shift = 0;
    for (uint32_t k = 0; k < n; k++) {
        any |= (uint32_t)(x[k] ^ (x[k] >> 31));
    }
    for (any >>= 15; any != 0; any >>= 1) {
        shift++;
    }
    return shift;
}

static inline uint32_t lam_mfcc_square(int32_t x, int32_t round, uint32_t shift)
{
    const int32_t amplitude = (x + round) >> shift;
    return (uint32_t)(amplitude * amplitude);
}

/* log2(value) with 14 fraction bits; value is not 0. */
LAM_MFCC_APART int32_t lam_mfcc_log2(const lam_mfcc_desc *d, uint64_t value)
{
    uint32_t exponent = 31;
    for (; value >> 32 != 0; value >>= 8) {
        exponent += 8;
    }
    uint32_t mantissa = (uint32_t)value;
    for (uint32_t step = 16; step != 0; step >>= 1) {
        if (mantissa >> (32u - step) == 0) {
            mantissa <<= step;
            exponent -= step;
        }
    }
    mantissa >>= 16;
    const uint16_t *const entry = d->log2 + ((mantissa >> 10) - 32u);
    const uint32_t rise = (uint32_t)(entry[1] - entry[0]);
    const uint32_t curve = entry[0] + ((rise * (mantissa & 0x3ffu) + 0x200u) >> 10);
    return (int32_t)(exponent * 0x4000u + curve);
}

/* Logarithms of the filters' energies, 10 fraction bits, over the first words of z. */
LAM_MFCC_APART void lam_mfcc_energies(const lam_mfcc_desc *d, int32_t *z)
{
    const int32_t *x = z + 2u * d->first_bin;
    const uint16_t *rising = d->rising;
    uint32_t n = 0;
    for (uint32_t k = 0; k <= d->filters; k++) {
        n += d->bins[k];
    }
    const uint32_t shift = lam_mfcc_headroom(x, 2u * n);
    const int32_t round = shift ? 1 << (shift - 1u) : 0;
    uint64_t floor = shift ? ((d->floor >> (2u * shift - 1u)) + 1u) >> 1 : d->floor;
    floor = floor ? floor : 1u;
    const int32_t base = (int32_t)(2u * shift) * 0x4000 - d->log_floor + 8;
    uint64_t energy = 0; /* of the filter that ends at the next corner */
    for (uint32_t k = 0; k <= d->filters; k++) {
        /* Powers have 32 bits: the sums of their upper and of their lower halves fit a word each. */
        uint32_t low = 0, high = 0, rising_low = 0, rising_high = 0;
        for (uint32_t left = d->bins[k]; left != 0; left--, x += 2, rising++) {
            const uint32_t power = lam_mfcc_square(x[0], round, shift) + lam_mfcc_square(x[1], round, shift);
            low += power & 0xffffu;
            high += power >> 16;
            rising_low += (power & 0xffffu) * *rising;
            rising_high += (power >> 16) * *rising;
        }
        const uint64_t next = ((uint64_t)rising_high << 16) + rising_low;
        if (k != 0) {
            energy += ((((uint64_t)high << 16) + low) << d->weight_bits) - next;
            /* In front of what is still to be read: no filter is without a bin. */
            z[k - 1u] = (lam_mfcc_log2(d, energy + floor) + base) >> 4;
        }
        energy = next;
    }
}

/* Cosine transform, normalisation, 8 bits. */
LAM_MFCC_APART void lam_mfcc_cosines(const lam_mfcc_desc *d, int32_t *z, uint8_t *features)
{
    const uint32_t half = d->filters / 2u;
    const int16_t *cosine = d->cosine;
    for (uint32_t k = 0; k < half; k++) {
        const int32_t head = z[k], tail = z[d->filters - 1u - k];
        z[k] = head + tail;
        z[d->filters - 1u - k] = head - tail;
    }
    for (uint32_t c = 0; c < d->coefficients; c++, cosine += half) {
        const int32_t *x = c & 1u ? z + (d->filters - 1u) : z;
        const int32_t step = c & 1u ? -1 : 1;
        int32_t sum = d->offset[c];
        for (uint32_t k = 0; k < half; k++, x += step) {
            sum += cosine[k] * *x;
        }
        features[c] = lam_clamp(sum >> d->shift[c], 0, 255);
    }
}

void lam_mfcc_push(const lam_mfcc_desc *d, int16_t *state, const int16_t *samples, int32_t *scratch, uint8_t *features)
{
    const uint32_t old = LAM_MFCC_STATE(d->log2_frame, d->hop);
    lam_mfcc_load(d, state, samples, scratch);
    if (old > d->hop) {
        memmove(state, state + d->hop, (old - d->hop) * sizeof *state);
        memcpy(state + (old - d->hop), samples, d->hop * sizeof *state);
    } else {
        memcpy(state, samples + (d->hop - old), old * sizeof *state);
    }
    lam_mfcc_reverse(d, scratch);
    lam_mfcc_fours(d, scratch);
    lam_mfcc_transform(d, scratch);
    lam_mfcc_split(d, scratch);
    lam_mfcc_energies(d, scratch);
    lam_mfcc_cosines(d, scratch, features);
}
