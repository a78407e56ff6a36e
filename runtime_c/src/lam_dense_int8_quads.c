#include "lam_dense_blocks.h"

/* Four rows of a column are four bytes, so that an input is loaded once for four products. */

static void lam_dense_int8_quads_dot(const uint32_t *w, const void *x, uint32_t units, int32_t *sums, uint32_t next)
{
    (void)next;
    const uint8_t *level = (const uint8_t *)w, *v = x;
    uint32_t row0 = 0, row1 = 0, row2 = 0, row3 = 0;
    for (const uint8_t *end = v + 2 * units; v != end; v += 2, level += 8) {
        uint32_t one = v[0];
        row0 += level[0] * one;
        row1 += level[1] * one;
        LAM_DENSE_STEP16(row0, row1, level);
        row2 += level[2] * one;
        row3 += level[3] * one;
        LAM_DENSE_STEP16(row2, row3, level);
        one = v[1];
        row0 += level[4] * one;
        row1 += level[5] * one;
        LAM_DENSE_STEP16(row0, row1, level);
        row2 += level[6] * one;
        row3 += level[7] * one;
        LAM_DENSE_STEP16(row2, row3, level);
    }
    lam_dense_add(&sums[0], row0);
    lam_dense_add(&sums[1], row1);
    lam_dense_add(&sums[2], row2);
    lam_dense_add(&sums[3], row3);
}

void lam_dense_int8_quads(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    static const lam_dense_layout layout = {
        .dot = lam_dense_int8_quads_dot,
        .prepare = lam_dense_padded,
        .rows = 4,
        .blocks = 1,
        .cols = 2,
        .words = 2,
        .x_bytes = 1,
        .period = 4,
        .offset = 128,
        .last = 128,
    };
    lam_dense_blocks(d, &layout, x, y, scratch);
}
