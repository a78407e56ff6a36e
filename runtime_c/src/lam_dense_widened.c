#include "lam_dense_blocks.h"
#include "lam_simd.h"

lam_dense_input lam_dense_widened(const uint8_t *x, uint32_t cols, uint32_t padded, void *scratch)
{
    lam_dense_input in = {scratch, 0};
    uint32_t *word = scratch;
    uint32_t c = 0, pairs = 0; /* two sums of 16 bits: of no more than 2 * 128 inputs at a time */
    for (; c + 4 <= cols; c += 4, word += 2) {
        const uint32_t four = lam_load32(x + c);
        const uint32_t even = lam_uxtb16(four), odd = lam_uxtb16_ror8(four);
        word[0] = (even & 0xffffu) | odd << 16;
        word[1] = even >> 16 | (odd & 0xffff0000u);
        pairs += even + odd;
        if ((c & 508u) == 508u) {
            in.sum += (pairs & 0xffffu) + (pairs >> 16);
            pairs = 0;
        }
    }
    in.sum += (pairs & 0xffffu) + (pairs >> 16);
    uint16_t *one = (uint16_t *)word;
    for (; c < padded; c++) {
        const uint8_t value = c < cols ? x[c] : 0;
        *one++ = value;
        in.sum += value;
    }
    return in;
}
