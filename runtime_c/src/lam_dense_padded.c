#include <string.h>

#include "lam_dense_blocks.h"

lam_dense_input lam_dense_padded(const uint8_t *x, uint32_t cols, uint32_t padded, void *scratch)
{
    lam_dense_input in = {x, 0};
    if (padded != cols) {
        memcpy(scratch, x, cols);
        memset((uint8_t *)scratch + cols, 0, padded - cols);
        in.x = scratch;
    }
    const uint8_t *const end = x + cols;
    for (; end - x >= 8; x += 8) {
        in.sum += (uint32_t)x[0] + x[1] + x[2] + x[3];
        in.sum += (uint32_t)x[4] + x[5] + x[6] + x[7];
    }
    while (x != end) {
        in.sum += *x++;
    }
    return in;
}
