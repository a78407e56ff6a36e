#include "lam_dense_blocks.h"

static uint32_t lam_dense_least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* One vector. */
static void lam_dense_one(const lam_dense_blocks_desc *d, const lam_dense_layout *layout, const uint8_t *input,
                          uint8_t *y, void *scratch)
{
    lam_dense_input in = {0, 0};
    if (d->by_pieces) {
        for (uint32_t c = 0; c < d->shape.cols; c++) {
            in.sum += input[c];
        }
    } else {
        in = layout->prepare(input, d->shape.cols, (uint32_t)d->units * layout->cols, scratch);
    }
    const uint32_t rows = d->shape.rows, together = layout->rows, wanted = together * layout->blocks;
    const uint32_t stride = (uint32_t)d->units * layout->words; /* from block to block */
    const uint32_t step = stride * layout->blocks;              /* from call to call */
    const uint32_t group_words = stride * (together == 2 ? LAM_DENSE_GROUP / 2 : LAM_DENSE_GROUP / 4);
    const uint32_t start = 0u - (uint32_t)layout->offset * in.sum, last = 0u - (uint32_t)layout->last * in.sum;
    int32_t sums[LAM_DENSE_GROUP];
    const uint32_t *w = d->weights;
    for (uint32_t r = 0; r < rows; r += LAM_DENSE_GROUP) {
        const uint32_t n = rows - r < LAM_DENSE_GROUP ? rows - r : LAM_DENSE_GROUP;
        const int32_t *bias = (const int32_t *)d->shape.bias + r;
        for (int32_t *sum = sums; sum != sums + n;) {
            *sum++ = (int32_t)((uint32_t)*bias++ + start);
        }
        if (last != start) {
            for (uint32_t i = layout->period - 1u; i < n; i += layout->period) {
                sums[i] = (int32_t)((uint32_t)sums[i] + last - start);
            }
        }
        for (uint32_t i = n; i & (wanted - 1); i++) {
            sums[i] = 0; /* no rows, but computed */
        }
        const uint8_t *x = in.x;
        const uint32_t *column = w; /* of the first block */
        for (uint32_t left = d->units; left > 0;) {
            const uint32_t units = left < d->chunk ? left : d->chunk;
            const uint32_t *at = column;
            if (d->by_pieces) {
                const uint32_t cols = units * layout->cols, done = (d->units - left) * layout->cols;
                x = layout->prepare(input + done, lam_dense_least(cols, d->shape.cols - done), cols, scratch).x;
            }
            int32_t *sum = sums;
            const int32_t *const end = sum + n, *const last_block = sum + (n > together ? n - together : 0u);
            for (; sum < end; sum += wanted, at += step) {
                layout->dot(at, x, units, sum, sum < last_block ? stride : 0u);
            }
            column += units * layout->words;
            x += units * layout->cols * layout->x_bytes;
            left -= units;
        }
        w += group_words;
        lam_dense_store(&d->shape, r, n, sums, y + r);
    }
}

void lam_dense_blocks(const lam_dense_blocks_desc *d, const lam_dense_layout *layout, const uint8_t *x, uint8_t *y,
                      void *scratch)
{
    for (uint32_t vector = 0; vector < d->shape.batch; vector++) {
        lam_dense_one(d, layout, x, y, scratch);
        x += d->shape.cols;
        y += d->shape.rows;
    }
}
