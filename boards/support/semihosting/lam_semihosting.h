/* Semihosting, as Arm defines it and RISC-V took it over: a request to the emulator or the debugger. It works with QEMU and with a debug probe that has
 * semihosting switched on; without either, the program stops at the first request. */
#ifndef LAM_SEMIHOSTING_H
#define LAM_SEMIHOSTING_H

#include <stdint.h>

enum lam_semihosting_request {
    LAM_SYS_OPEN = 0x01,
    LAM_SYS_CLOSE = 0x02,
    LAM_SYS_WRITE0 = 0x04,
    LAM_SYS_WRITE = 0x05,
    LAM_SYS_READ = 0x06,
    LAM_SYS_EXIT_EXTENDED = 0x20
};

static inline int32_t lam_semihosting(enum lam_semihosting_request request, const void *arguments)
{
#ifdef __riscv
    /* The two shifts of nothing around the ebreak are the mark of a request; they must not be compressed, nor lie on
     * two pages. */
    register int32_t a0 __asm__("a0") = (int32_t)request;
    register const void *a1 __asm__("a1") = arguments;
    __asm__ volatile(".option push\n\t"
                     ".balign 16\n\t"
                     ".option norvc\n\t"
                     "slli x0, x0, 0x1f\n\t"
                     "ebreak\n\t"
                     "srai x0, x0, 7\n\t"
                     ".option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
#else
    register int32_t r0 __asm__("r0") = (int32_t)request;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
#endif
}

#endif
