/* Start-up, comparison and exit of the programs that test_emulated.py makes: Cortex-M, output by exit code alone. */
#include <stddef.h>
#include <stdint.h>

extern const uint8_t test_expected[];
extern const size_t test_size;
const uint8_t *test_run(void);

static uint32_t stack[1024];

/* Semihosting SYS_EXIT_EXTENDED with reason ADP_Stopped_ApplicationExit. */
static void leave(uint32_t code)
{
    uint32_t block[2] = {0x20026u, code};
    register uint32_t operation __asm__("r0") = 0x20u;
    register uint32_t *argument __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(argument) : "memory");
    for (;;) {
    }
}

static void fault(void)
{
    leave(3);
}

static void reset(void)
{
    *(volatile uint32_t *)0xE000ED14u |= 8u; /* CCR.UNALIGN_TRP: fault as a Cortex-M0 does */
    const uint8_t *y = test_run();
    for (size_t i = 0; i < test_size; i++) {
        if (y[i] != test_expected[i]) {
            leave(1);
        }
    }
    leave(0);
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack + 1024, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault,
};
