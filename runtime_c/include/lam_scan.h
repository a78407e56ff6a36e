/* A loop over a sequence, for recurrent layers. */
#ifndef LAM_SCAN_H
#define LAM_SCAN_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One state: `bytes` at `at`, all `first` before the first step. A step leaves the next one at `next`. */
typedef struct {
    uint32_t at, next, bytes;
    uint8_t first;
} lam_scan_state;

/* For each of the `steps` pieces of x, `in_bytes` bytes each: copies it to a + in_at, calls step(a), and copies the states
 * from `next` to `at`. y: the `out_bytes` bytes at a + out_at, after every step (sequence = 1) or after the last one.
 * a: memory of the step, aligned to 4 bytes. The places of a state and of the input overlap no other state's `next`. */
typedef struct {
    void (*step)(uint8_t *a);
    uint32_t steps; /* 1 or more */
    uint32_t in_bytes, in_at, out_bytes, out_at;
    uint8_t sequence;
    uint16_t n_states;
    const lam_scan_state *states;
} lam_scan_desc;
void lam_scan(const lam_scan_desc *d, const uint8_t *x, uint8_t *y, void *a);

#ifdef __cplusplus
}
#endif
#endif
