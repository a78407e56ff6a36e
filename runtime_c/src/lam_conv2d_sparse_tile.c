#include "lam_conv2d_sparse_tile.h"
#include "lam_conv2d_sparse_tile_armv6m.h"

#include <string.h>

/* Also at -Os: one body serves all tiles, and shrinks to a few instructions only where the tile's shape is known. */
#if defined(__GNUC__)
#define LAM_TILE_INLINE static inline __attribute__((always_inline))
#else
#define LAM_TILE_INLINE static inline
#endif

typedef struct {
    uint32_t a, b, c, d, e, f, g, h;
} lam_tile_sums;

/* Two pixels; compiles to a single load. */
LAM_TILE_INLINE uint32_t lam_tile_load(const uint16_t *pixel)
{
    uint32_t word;
#if LAM_UNALIGNED_LOADS || !defined(__GNUC__)
    memcpy(&word, pixel, sizeof word);
#else
    memcpy(&word, __builtin_assume_aligned(pixel, sizeof word), sizeof word);
#endif
    return word;
}

/* Adds, for every offset, `rows` x `words` words, `pitch` pixels from row to row. rows and words are constants where
 * this is inlined: 1 x 8, 2 x 4, 1 x 4, 4 x 2, 2 x 2 or 1 x 2. */
LAM_TILE_INLINE lam_tile_sums lam_tile_add(lam_tile_sums s, const uint16_t *x, const uint16_t *offset, uint32_t n,
                                         uint32_t rows, uint32_t words, uint32_t pitch)
{
    for (const uint16_t *end = offset + n; offset != end; offset++) {
        const uint16_t *p = x + *offset;
        s.a += lam_tile_load(p);
        s.b += lam_tile_load(p + 2);
        if (words == 2 && rows >= 2) {
            p += pitch;
            s.c += lam_tile_load(p);
            s.d += lam_tile_load(p + 2);
        }
        if (words == 2 && rows == 4) {
            p += pitch;
            s.e += lam_tile_load(p);
            s.f += lam_tile_load(p + 2);
            p += pitch;
            s.g += lam_tile_load(p);
            s.h += lam_tile_load(p + 2);
        }
        if (words >= 4) {
            s.c += lam_tile_load(p + 4);
            s.d += lam_tile_load(p + 6);
        }
        if (words == 4 && rows == 2) {
            p += pitch;
            s.e += lam_tile_load(p);
            s.f += lam_tile_load(p + 2);
            s.g += lam_tile_load(p + 4);
            s.h += lam_tile_load(p + 6);
        }
        if (words == 8) {
            s.e += lam_tile_load(p + 8);
            s.f += lam_tile_load(p + 10);
            s.g += lam_tile_load(p + 12);
            s.h += lam_tile_load(p + 14);
        }
    }
    return s;
}

/* The two pixels of a word. Unsigned in between, because pixels beyond the row hold anything. */
LAM_TILE_INLINE void lam_tile_spill(uint32_t word, int32_t bias, int32_t *acc)
{
    acc[0] = (int32_t)((uint32_t)bias + (uint32_t)(int32_t)(int16_t)word);
    acc[1] = (int32_t)((uint32_t)bias + (uint32_t)((int32_t)(word + 0x8000u) >> 16));
}

/* bias + the sums, which go along the rows of the tile, to acc. */
LAM_TILE_INLINE void lam_tile_spill_all(lam_tile_sums s, int32_t bias, int32_t *acc, uint32_t acc_pitch, uint32_t rows,
                                      uint32_t words)
{
    lam_tile_spill(s.a, bias, acc);
    lam_tile_spill(s.b, bias, acc + 2);
    if (words == 2 && rows >= 2) {
        acc += acc_pitch;
        lam_tile_spill(s.c, bias, acc);
        lam_tile_spill(s.d, bias, acc + 2);
    }
    if (words == 2 && rows == 4) {
        acc += acc_pitch;
        lam_tile_spill(s.e, bias, acc);
        lam_tile_spill(s.f, bias, acc + 2);
        acc += acc_pitch;
        lam_tile_spill(s.g, bias, acc);
        lam_tile_spill(s.h, bias, acc + 2);
    }
    if (words >= 4) {
        lam_tile_spill(s.c, bias, acc + 4);
        lam_tile_spill(s.d, bias, acc + 6);
    }
    if (words == 4 && rows == 2) {
        acc += acc_pitch;
        lam_tile_spill(s.e, bias, acc);
        lam_tile_spill(s.f, bias, acc + 2);
        lam_tile_spill(s.g, bias, acc + 4);
        lam_tile_spill(s.h, bias, acc + 6);
    }
    if (words == 8) {
        lam_tile_spill(s.e, bias, acc + 8);
        lam_tile_spill(s.f, bias, acc + 10);
        lam_tile_spill(s.g, bias, acc + 12);
        lam_tile_spill(s.h, bias, acc + 14);
    }
}

/* First the pixels to subtract are summed and the sum negated: both signs need nothing but additions. */
LAM_TILE_INLINE void lam_tile_run(const lam_tile *t, const uint16_t *x, int32_t *acc, uint32_t rows, uint32_t words)
{
    lam_tile_sums s = {0, 0, 0, 0, 0, 0, 0, 0};
#if LAM_TILE_ARMV6M
    if (rows * words == 8) {
        uint32_t sums[8];
        (words == 8 ? lam_tile_sum_1x8 : words == 4 ? lam_tile_sum_2x4 : lam_tile_sum_4x2)(sums, t, x);
        const lam_tile_sums all = {sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7]};
        lam_tile_spill_all(all, t->bias, acc, t->acc_pitch, rows, words);
        return;
    }
#endif
    s = lam_tile_add(s, x, t->minus, t->n_minus, rows, words, t->pitch);
    s.a = 0u - s.a;
    s.b = 0u - s.b;
    s.c = 0u - s.c;
    s.d = 0u - s.d;
    s.e = 0u - s.e;
    s.f = 0u - s.f;
    s.g = 0u - s.g;
    s.h = 0u - s.h;
    s = lam_tile_add(s, x, t->plus, t->n_plus, rows, words, t->pitch);
    lam_tile_spill_all(s, t->bias, acc, t->acc_pitch, rows, words);
}

void lam_tile_1x8(const lam_tile *t, const uint16_t *x, int32_t *acc)
{
    lam_tile_run(t, x, acc, 1, 8);
}

void lam_tile_2x4(const lam_tile *t, const uint16_t *x, int32_t *acc)
{
    lam_tile_run(t, x, acc, 2, 4);
}

void lam_tile_1x4(const lam_tile *t, const uint16_t *x, int32_t *acc)
{
    lam_tile_run(t, x, acc, 1, 4);
}

void lam_tile_4x2(const lam_tile *t, const uint16_t *x, int32_t *acc)
{
    lam_tile_run(t, x, acc, 4, 2);
}

void lam_tile_2x2(const lam_tile *t, const uint16_t *x, int32_t *acc)
{
    lam_tile_run(t, x, acc, 2, 2);
}

void lam_tile_1x2(const lam_tile *t, const uint16_t *x, int32_t *acc)
{
    lam_tile_run(t, x, acc, 1, 2);
}
