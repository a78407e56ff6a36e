#include "lam_move.h"

#include <string.h>

#if defined(__GNUC__)
#define LAM_AT_WORD(p) __builtin_assume_aligned((p), 4)
#else
#define LAM_AT_WORD(p) (p)
#endif

void lam_copy(const void *x, void *y, size_t n, uint8_t offset)
{
    const uint8_t *from = x;
    uint8_t *to = y;
    if ((((uintptr_t)from | (uintptr_t)to) & 3u) == 0) {
        const uint32_t flipped = 0x01010101u * offset; /* bytes that gain 128 modulo 256 change their highest bit alone */
        for (; n >= 4; n -= 4) {
            uint32_t word;
            memcpy(&word, LAM_AT_WORD(from), sizeof word);
            word ^= flipped;
            memcpy(LAM_AT_WORD(to), &word, sizeof word);
            from += 4;
            to += 4;
        }
    }
    for (; n > 0; n--) {
        *to++ = (uint8_t)(*from++ ^ offset);
    }
}
