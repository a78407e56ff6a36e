/* Maximum and average pooling, planar. Global pooling is a kernel as large as the image. */
#ifndef LAM_POOL_H
#define LAM_POOL_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint16_t channels, in_h, in_w, out_h, out_w;
    uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    uint16_t pad_top, pad_left;
} lam_window;

/* y = the largest x of the window, pixels outside the image left out. Every window touches the image. */
typedef struct {
    lam_window window;
} lam_maxpool2d_desc;
void lam_maxpool2d(const lam_maxpool2d_desc *d, const uint8_t *x, uint8_t *y);

/* acc = sum over the pixels inside the image of (x - in_zero), then one requantisation.
 * by_count: q.multiplier and q.shift are indexed by the number of pixels inside the image, less one
 * (the mean leaves padding out); otherwise q.multiplier[0] serves all. */
typedef struct {
    lam_window window;
    uint8_t in_zero;
    uint8_t by_count;
    lam_requant q;
} lam_avgpool2d_desc;
void lam_avgpool2d(const lam_avgpool2d_desc *d, const uint8_t *x, uint8_t *y);

#ifdef __cplusplus
}
#endif
#endif
