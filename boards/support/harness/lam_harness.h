/* Runs a model over many samples in one program.
 *
 * In the folder in which the emulator runs:
 *   lam_input.bin   samples one after the other, each = all inputs of the model one after the other
 *   lam_clock       if it exists, lam_harness_invoke is timed and the stack is not measured
 *   lam_output.bin  written: for each sample all outputs one after the other
 *   lam_status.txt  written at the end: three lines "samples N", "stack BYTES", "ticks N", numbers hexadecimal
 *   lam_trace.bin   written by programs compiled with LAM_TRACE_FILE: records of uint32_t layer, uint32_t bytes, and the
 *                   bytes; a record of layer LAM_TRACE_SAMPLE without bytes begins a sample
 * The exit code is 0, or 1 after a line that says what failed. */
#ifndef LAM_HARNESS_H
#define LAM_HARNESS_H

#include <stdint.h>

/* --- what the model's side defines --- */

/* One input or output in the arena. */
typedef struct {
    uint32_t offset, bytes;
} lam_harness_io;

extern const lam_harness_io lam_harness_inputs[], lam_harness_outputs[];
extern const uint32_t lam_harness_n_inputs, lam_harness_n_outputs;
extern uint8_t lam_harness_arena[];

/* Runs the model once over the arena; 0, or what went wrong. The inputs may be overwritten. */
int lam_harness_invoke(void);

/* Begins a stream, for models that carry states from call to call: called once, before the first. 0, or what went wrong. The
 * harness has one that does nothing. */
int lam_harness_begin(void);

/* --- what the harness defines --- */

#define LAM_TRACE_SAMPLE 0xffffffffu

/* Records what a layer has computed. Defined with LAM_TRACE_FILE only. */
void lam_trace(uint32_t layer, const void *data, uint32_t bytes);

#endif
