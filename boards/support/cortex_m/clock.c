/* lam_port_time from the system timer of the core: 24 bits that count down, widened by an interrupt. */
#include "lam_port.h"

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define SYST_PERIOD 0x1000000u
#define SYST_CSR_RUN 7u /* enabled, with interrupt, at the clock of the processor */

static volatile uint32_t lam_clock_periods;

void SysTick_Handler(void);
void SysTick_Handler(void)
{
    lam_clock_periods++;
}

uint32_t lam_port_time(void)
{
    if ((SYST_CSR & SYST_CSR_RUN) != SYST_CSR_RUN) {
        SYST_RVR = SYST_PERIOD - 1u;
        SYST_CVR = 0; /* any value clears it */
        SYST_CSR = SYST_CSR_RUN;
        while (SYST_CVR == 0) { /* it reloads at the next tick: until then 0 would read as a full period */
        }
    }
    uint32_t periods, passed;
    do {
        periods = lam_clock_periods;
        passed = SYST_PERIOD - 1u - SYST_CVR;
    } while (periods != lam_clock_periods);
    return periods * SYST_PERIOD + passed;
}
