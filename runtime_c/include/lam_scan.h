/* A loop over sequences, for recurrent layers. */
#ifndef LAM_SCAN_H
#define LAM_SCAN_H

#include "lam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One sequence: the `bytes` bytes of a step are copied to `at`; backwards = 1: those of the last step first. */
typedef struct {
    uint32_t at, bytes;
    uint8_t backwards;
} lam_scan_input;

/* One state: `bytes` at `at`. Before the first step it is the next of the inputs behind the sequences (given = 1), or `first`,
 * or, where that is NULL, `fill` in every byte. A step leaves the next one at `next`. */
typedef struct {
    uint32_t at, next, bytes;
    uint8_t given, fill;
    const void *first;
} lam_scan_state;

/* One result: the `bytes` bytes at `at`, after every step (sequence = 1; backwards = 1: the last step's lie first) or after
 * the last one. */
typedef struct {
    uint32_t at, bytes;
    uint8_t sequence, backwards;
} lam_scan_result;

/* For each of the `steps` steps: copies the sequences' pieces, calls step(a), takes the results, and copies the states from
 * `next` to `at`. x: the sequences, then the given states. y: the results, one behind the other.
 * a: memory of the step, aligned to 4 bytes. The places of states and sequences overlap no state's `next`. */
typedef struct {
    void (*step)(uint8_t *a);
    uint32_t steps; /* 1 or more */
    uint16_t n_inputs, n_states, n_results;
    const lam_scan_input *inputs;
    const lam_scan_state *states;
    const lam_scan_result *results;
} lam_scan_desc;
void lam_scan(const lam_scan_desc *d, const uint8_t *const *x, uint8_t *y, void *a);

#ifdef __cplusplus
}
#endif
#endif
