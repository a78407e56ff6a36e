/* The first layers of a network by strips of rows, so that no image between them ever lies in RAM as a whole. */
#ifndef LAM_STRIPS_H
#define LAM_STRIPS_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A window: of each channel of an image the last `window_rows` rows, those that the layers behind it still need. Once in
 * 2^period_bits steps, at time k = step >> period_bits, `rows` more come, the first of them number k * rows - delay of the image, and
 * push as many out at the top. Rows above and below the image hold `fill`; before time 0 all of them do.
 * x: the old window, one plane per channel; rows: the new rows, likewise; step: in two bytes, the lower first.
 * y: the new window; may be x. */
typedef struct {
    uint16_t channels, width, height, window_rows, rows, delay;
    uint8_t period_bits, fill;
} lam_strip_window_desc;
void lam_strip_window(const lam_strip_window_desc *d, const uint8_t *x, const uint8_t *rows, const uint8_t *step, uint8_t *y);

/* Gives row number `row` of an image: the piece of channel c goes to `to` + c * pitch, pitch being in_rows * in_width
 * bytes. Called once for each row, from the first to the last. */
typedef void (*lam_row_source)(void *user, uint32_t row, uint8_t *to);

/* Takes x by strips of `in_rows` rows (of each channel) to a + in_at, writes the number t of the step to a + step_at, two
 * bytes with the lower first, and calls step(a, t). At the last of every 2^out_period_bits steps, at time
 * k = t >> out_period_bits, `out_rows` rows of y stand at a + out_at; the first of them is number k * out_rows - out_delay, and those outside the image
 * are no result. `flip` is added to each byte of x, modulo 256. a: memory of the steps, aligned to 4 bytes. */
typedef struct {
    void (*step)(uint8_t *a, uint32_t t);
    uint32_t in_at, out_at, step_at;
    uint16_t steps;
    uint16_t in_channels, in_height, in_width, in_rows;
    uint16_t out_channels, out_height, out_width, out_rows, out_delay;
    uint8_t out_period_bits, flip;
} lam_strips_desc;
void lam_strips(const lam_strips_desc *d, const uint8_t *x, uint8_t *y, void *a);

/* The same for an image that nobody holds as a whole. */
void lam_strips_by_row(const lam_strips_desc *d, lam_row_source row, void *user, uint8_t *y, void *a);

#ifdef __cplusplus
}
#endif
#endif
