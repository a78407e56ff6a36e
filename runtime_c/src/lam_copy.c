#include "lam_move.h"

#include <string.h>

void lam_copy(const void *x, void *y, size_t n, uint8_t offset)
{
    if (offset == 0) {
        memmove(y, x, n);
        return;
    }
    const uint8_t *from = x;
    uint8_t *to = y;
    for (size_t i = 0; i < n; i++) {
        to[i] = (uint8_t)(from[i] + offset);
    }
}
