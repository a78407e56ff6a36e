/* Spoken digits from sound: 20 ms of samples in, the scores of the last 0.8 s out. README.md says how to build it. */
#include "listen.h"

#include <string.h>

#include "fsdd_features.h"
#include "gru_fsdd.h"

#define STEPS (GRU_FSDD_INPUT_BYTES / FSDD_FEATURES_COEFFICIENTS)

/* One memory for both: the front end's scratch is free while the network runs, and the other way round. */
#define SCRATCH_BYTES (FSDD_FEATURES_SCRATCH * sizeof(int32_t))
#define SHARED_BYTES (GRU_FSDD_ARENA_BYTES > SCRATCH_BYTES ? GRU_FSDD_ARENA_BYTES : SCRATCH_BYTES)

static int32_t shared[(SHARED_BYTES + 3u) / 4u];
static int16_t state[FSDD_FEATURES_STATE];
static uint8_t steps[STEPS][FSDD_FEATURES_COEFFICIENTS];
static uint32_t heard;

int listen(const int16_t *samples, uint8_t *scores)
{
    memmove(steps[0], steps[1], sizeof steps - sizeof steps[0]);
    lam_mfcc_push(&fsdd_features, state, samples, shared, steps[STEPS - 1u]);
    heard += heard < STEPS;
    if (heard < STEPS) {
        memset(scores, 0, GRU_FSDD_OUTPUT_BYTES);
        return LISTEN_NOT_YET;
    }
    return gru_fsdd_run(shared, steps[0], scores);
}
