#include "lam_dense_blocks.h"

/* Four rows of a column are four bytes, so that an input is loaded once for four products. */

#define LAM_INT8_QUAD(column)                                                                                              \
    do {                                                                                                                   \
        const uint32_t one = v[column];                                                                                    \
        row0 += level[4 * (column)] * one;                                                                                 \
        row1 += level[4 * (column) + 1] * one;                                                                             \
        LAM_DENSE_STEP16(row0, row1, level);                                                                               \
        row2 += level[4 * (column) + 2] * one;                                                                             \
        row3 += level[4 * (column) + 3] * one;                                                                             \
        LAM_DENSE_STEP16(row2, row3, level);                                                                               \
    } while (0)

static void lam_dense_int8_quads_dot(const uint32_t *w, const void *x, uint32_t units, int32_t *sums, uint32_t next)
{
    (void)next;
    const uint8_t *level = (const uint8_t *)w, *v = x;
    uint32_t row0 = 0, row1 = 0, row2 = 0, row3 = 0;
    const uint8_t *end = v + 2 * units;
    if (units & 1u) {
        LAM_INT8_QUAD(0);
        LAM_INT8_QUAD(1);
        v += 2;
        level += 8;
    }
    for (; v != end; v += 4, level += 16) {
        LAM_INT8_QUAD(0);
        LAM_INT8_QUAD(1);
        LAM_INT8_QUAD(2);
        LAM_INT8_QUAD(3);
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
