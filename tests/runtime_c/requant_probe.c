/* Makes the inline requantisation of the runtime callable from a test. */
#include "lam_requant.h"

uint8_t lam_probe_requant(int32_t acc, const lam_requant *q);

uint8_t lam_probe_requant(int32_t acc, const lam_requant *q)
{
    return lam_requant_apply(lam_requant_at(q, 0), acc);
}
