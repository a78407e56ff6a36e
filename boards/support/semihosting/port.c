/* The port of emulated boards: all goes through semihosting. */
#include "lam_port.h"
#include "lam_semihosting.h"

#define ADP_STOPPED_APPLICATION_EXIT 0x20026u

#define EXIT_CODE_FAULT 99

void lam_port_init(void)
{
}

void lam_port_write(const char *text)
{
    (void)lam_semihosting(LAM_SYS_WRITE0, text);
}

void lam_port_exit(int code)
{
    const uint32_t arguments[2] = {ADP_STOPPED_APPLICATION_EXIT, (uint32_t)code};
    for (;;) {
        (void)lam_semihosting(LAM_SYS_EXIT_EXTENDED, arguments);
    }
}

void lam_port_fault(uint32_t pc)
{
    char text[] = "hard fault at 0x00000000\n";
    for (uint32_t i = 0; i < 8u; i++) {
        text[16u + i] = "0123456789abcdef"[(pc >> (28u - 4u * i)) & 15u];
    }
    lam_port_write(text);
    lam_port_exit(EXIT_CODE_FAULT);
}
