/* Images of another size. */
#ifndef LAM_RESIZE_H
#define LAM_RESIZE_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Between four pixels: with i = rows[r], u = row_weights[r], j = cols[c], v = col_weights[c] (weights 0 .. 1024)
 *   y[r][c] = requant(sum of (x - in_zero) * weight): x[i][j] with (1024 - u) * (1024 - v), x[i + 1][j + 1] with u * v, ...
 * A second row or column beyond the image has weight 0 and is not read. */
typedef struct {
    uint16_t channels, in_h, in_w, out_h, out_w;
    const uint16_t *rows, *row_weights; /* out_h */
    const uint16_t *cols, *col_weights; /* out_w */
    uint8_t in_zero;
    lam_requant q; /* never per channel */
} lam_resize_desc;
void lam_resize(const lam_resize_desc *d, const uint8_t *x, uint8_t *y);

#ifdef __cplusplus
}
#endif
#endif
