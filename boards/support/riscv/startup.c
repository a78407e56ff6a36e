/* From reset to main on every RISC-V of 32 bits, in machine mode. No interrupt is used. */
#include "lam_port.h"

/* Of the linker script. */
extern uint32_t lam_data_start[], lam_data_end[], lam_bss_start[], lam_bss_end[];
extern const uint32_t lam_data_load[];

int main(void);
void lam_reset(void);
void lam_start(void);
void lam_trap(void);

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

/* The first instruction of the image: there is no table of vectors. The assembler's option allows the instructions for
 * control registers, which the name of the core does not promise but every core has. */
__attribute__((naked, used, section(".start"))) void lam_reset(void)
{
    __asm__(".option push\n\t"
            ".option arch, +zicsr\n\t"
            ".option norelax\n\t"
            "la gp, __global_pointer$\n\t"
            "la sp, lam_stack_top\n\t"
            "la t0, lam_trap\n\t"
            "csrw mtvec, t0\n\t"
            ".option pop\n\t"
            "j lam_start");
}

__attribute__((used)) void lam_start(void)
{
    /* Through volatile, so that the compiler does not bring in memcpy and memset for two short loops. */
    volatile uint32_t *to = lam_data_start;
    const uint32_t *from = lam_data_load;
    while (to != lam_data_end) {
        *to++ = *from++;
    }
    for (to = lam_bss_start; to != lam_bss_end; to++) {
        *to = 0;
    }
    lam_port_exit(main());
    for (;;) {
    }
}

/* Any exception. Nothing returns from here, so the stack begins anew: the old one may be what failed. */
__attribute__((naked, used, aligned(4))) void lam_trap(void)
{
    __asm__(".option push\n\t"
            ".option arch, +zicsr\n\t"
            "csrr a0, mepc\n\t"
            ".option pop\n\t"
            "la sp, lam_stack_top\n\t"
            "j lam_port_fault");
}
