#include "lam_dense_blocks.h"

/* A word of weights, shifted and masked with 0x000f000f, is (level + 8) of one column for two rows: one 32-bit product
 * serves both. Two columns of four rows a word, two blocks at a time. The sums have 16 bits each. */

static void lam_dense_int4_quads_dot(const uint32_t *w, const void *x, uint32_t units, int32_t *sums, uint32_t next)
{
    const uint8_t *v = x;
    uint32_t mask = 0x000f000fu;
    uint32_t a = 0, b = 0, c = 0, d = 0; /* of two rows each */
    LAM_DENSE_KEEP(mask);
    for (const uint32_t *end = w + units; w != end; v += 2) {
        uint32_t second = w[next], first = *w++, one = v[0];
        a += (first & mask) * one;
        b += (first >> 4 & mask) * one;
        LAM_DENSE_STEP16(a, b, first);
        c += (second & mask) * one;
        d += (second >> 4 & mask) * one;
        LAM_DENSE_STEP16(c, d, v);
        one = v[1];
        a += (first >> 8 & mask) * one;
        b += (first >> 12 & mask) * one;
        LAM_DENSE_STEP16(a, b, second);
        c += (second >> 8 & mask) * one;
        d += (second >> 12 & mask) * one;
        LAM_DENSE_STEP16(c, d, v);
    }
    lam_dense_add(&sums[0], a & 0xffffu);
    lam_dense_add(&sums[1], a >> 16);
    lam_dense_add(&sums[2], b & 0xffffu);
    lam_dense_add(&sums[3], b >> 16);
    lam_dense_add(&sums[4], c & 0xffffu);
    lam_dense_add(&sums[5], c >> 16);
    lam_dense_add(&sums[6], d & 0xffffu);
    lam_dense_add(&sums[7], d >> 16);
}

void lam_dense_int4_quads(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    static const lam_dense_layout layout = {
        .dot = lam_dense_int4_quads_dot,
        .prepare = lam_dense_padded,
        .rows = 4,
        .blocks = 2,
        .cols = 2,
        .words = 1,
        .x_bytes = 1,
        .period = 4,
        .offset = 8,
        .last = 8,
    };
    lam_dense_blocks(d, &layout, x, y, scratch);
}
