#include "lam_strips.h"

#include <string.h>

/* An image that lies in RAM as a whole. */
typedef struct {
    const lam_strips_desc *d;
    const uint8_t *x;
} image;

static void row_of_image(void *user, uint32_t row, uint8_t *to)
{
    const image *const from = user;
    const lam_strips_desc *const d = from->d;
    const uint8_t *x = from->x + row * d->in_width;

    for (uint32_t c = 0; c < d->in_channels; c++) {
        memcpy(to, x, d->in_width);
        x += (uint32_t)d->in_height * d->in_width;
        to += (uint32_t)d->in_rows * d->in_width;
    }
}

/* Adds d->flip to a row as a row source left it. */
static void flip_row(const lam_strips_desc *d, uint8_t *at)
{
    for (uint32_t c = 0; c < d->in_channels; c++) {
        for (uint32_t k = 0; k < d->in_width; k++) {
            at[k] = (uint8_t)(at[k] + d->flip);
        }
        at += (uint32_t)d->in_rows * d->in_width;
    }
}

/* The rows made for that time which belong to the result. */
static void store(const lam_strips_desc *d, uint32_t time, const uint8_t *from, uint8_t *y)
{
    const uint32_t width = d->out_width;

    for (uint32_t r = 0; r < d->out_rows; r++) {
        const uint32_t row = time * d->out_rows + r - d->out_delay; /* above the image: beyond 2^31 */

        if (row >= d->out_height) {
            continue;
        }
        for (uint32_t c = 0; c < d->out_channels; c++) {
            memcpy(y + (c * d->out_height + row) * width, from + (c * d->out_rows + r) * width, width);
        }
    }
}

void lam_strips_by_row(const lam_strips_desc *d, lam_row_source row, void *user, uint8_t *y, void *a)
{
    uint8_t *const memory = a;
    uint32_t next = 0;

    for (uint32_t t = 0; t < d->steps; t++) {
        for (uint32_t r = 0; r < d->in_rows && next < d->in_height; r++, next++) {
            uint8_t *const to = memory + d->in_at + r * d->in_width;

            row(user, next, to);
            if (d->flip != 0) {
                flip_row(d, to);
            }
        }
        memory[d->step_at] = (uint8_t)t;
        memory[d->step_at + 1u] = (uint8_t)(t >> 8);
        d->step(memory, t);
        if (((t + 1u) & ((1u << d->out_period_bits) - 1u)) == 0) {
            store(d, t >> d->out_period_bits, memory + d->out_at, y);
        }
    }
}

void lam_strips(const lam_strips_desc *d, const uint8_t *x, uint8_t *y, void *a)
{
    image whole;

    whole.d = d;
    whole.x = x;
    lam_strips_by_row(d, row_of_image, &whole, y, a);
}
