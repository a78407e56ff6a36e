/* lam_port_time: instructions executed so far. They are what is wanted here; a board that wants time reads mcycle, or
 * the timer of its chip. */
#include "lam_port.h"

uint32_t lam_port_time(void)
{
    uint32_t instructions;
    __asm__ volatile(".option push\n\t"
                     ".option arch, +zicsr\n\t"
                     "csrr %0, minstret\n\t"
                     ".option pop"
                     : "=r"(instructions));
    return instructions;
}
