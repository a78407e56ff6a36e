/* Arm semihosting: a request to the emulator or the debugger. It works with QEMU and with a debug probe that has
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
    register int32_t r0 __asm__("r0") = (int32_t)request;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

#endif
