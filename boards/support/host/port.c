/* The port of this computer. */
#include "lam_port.h"

#include <stdio.h>
#include <stdlib.h>

void lam_port_init(void)
{
}

void lam_port_write(const char *text)
{
    (void)fputs(text, stdout);
    (void)fflush(stdout);
}

void lam_port_exit(int code)
{
    exit(code);
}

uint32_t lam_port_time(void)
{
    return 0;
}
