/* From reset to main on every Cortex-M. No interrupt is used but that of the system timer, where clock.c is linked. */
#include "lam_port.h"

#include <string.h>

/* Of the linker script. */
extern uint32_t lam_data_start[], lam_data_end[], lam_bss_start[], lam_bss_end[], lam_stack_top[];
extern const uint32_t lam_data_load[];

int main(void);
void Reset_Handler(void);
void HardFault_Handler(void);
void SysTick_Handler(void);

/* A firmware without a port still links: it ends in an endless loop. */
__attribute__((weak)) void lam_port_exit(int code)
{
    (void)code;
    for (;;) {
    }
}

__attribute__((weak)) void lam_port_fault(uint32_t pc)
{
    (void)pc;
    for (;;) {
    }
}

void Reset_Handler(void)
{
#ifdef __ARM_FEATURE_MVE
    /* CPACR: the vector unit sleeps at first, and the loops below may use it. CCR.LOB: counted loops need no jump. */
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    *(volatile uint32_t *)0xE000ED14u |= 1u << 19;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    /* Through volatile, so that the compiler does not bring in memcpy and memset for two short loops. */
    volatile uint32_t *to = lam_data_start;
    const uint32_t *from = lam_data_load;
    while (to != lam_data_end) {
        *to++ = *from++;
    }
    for (to = lam_bss_start; to != lam_bss_end; to++) {
        *to = 0;
    }
#ifdef LAM_TRAP_UNALIGNED
    /* CCR.UNALIGN_TRP: this core allows what a Cortex-M0 does not; fault here as it would there. */
    *(volatile uint32_t *)0xE000ED14u |= 1u << 3;
#endif
    lam_port_exit(main());
    for (;;) {
    }
}

/* The processor has pushed eight words; the seventh is the address of the instruction that failed. */
__attribute__((weak, naked)) void HardFault_Handler(void)
{
    __asm__("mrs r0, msp\n\t"
            "ldr r0, [r0, #24]\n\t"
            "ldr r1, =lam_port_fault\n\t"
            "bx r1");
}

__attribute__((weak)) void SysTick_Handler(void)
{
}

#ifdef __OPTIMIZE_SIZE__
/* What the compiler and the kernels call, where size counts: those of the library are ten times as large. Through
 * volatile, so that the compiler does not make them call themselves. */
void *memcpy(void *to, const void *from, size_t n)
{
    volatile uint8_t *t = to;
    const uint8_t *f = from;
    for (; n > 0; n--) {
        *t++ = *f++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    if ((uintptr_t)to <= (uintptr_t)from) {
        return memcpy(to, from, n);
    }
    while (n-- > 0) {
        ((volatile uint8_t *)to)[n] = ((const uint8_t *)from)[n];
    }
    return to;
}

void *memset(void *to, int value, size_t n)
{
    volatile uint8_t *t = to;
    /* Decoders clear rows of levels: by words, as long as that is easy. */
    if (value == 0 && ((uintptr_t)to & 3u) == 0) {
        volatile uint32_t *words = to;
        for (; n >= 4; n -= 4) {
            *words++ = 0;
        }
        t = (volatile uint8_t *)words;
    }
    for (; n > 0; n--) {
        *t++ = (uint8_t)value;
    }
    return to;
}
#endif

typedef struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} lam_vector_table;

extern const lam_vector_table lam_vectors;
__attribute__((section(".vectors"), used)) const lam_vector_table lam_vectors = {
    lam_stack_top,
    {
        Reset_Handler,
        HardFault_Handler, /* NMI */
        HardFault_Handler,
        HardFault_Handler, /* MemManage, BusFault, UsageFault, SecureFault: not on every core, */
        HardFault_Handler, /* and not enabled, so that they become a HardFault */
        HardFault_Handler,
        HardFault_Handler,
        0,
        0,
        0,
        HardFault_Handler, /* SVCall */
        HardFault_Handler, /* DebugMonitor */
        0,
        HardFault_Handler, /* PendSV */
        SysTick_Handler,
    },
};
