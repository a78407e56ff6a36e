/* What a board offers to a program. A new board writes these few functions, in its own port.c or as another board does.
 * main calls lam_port_init first. Where main returns, its value goes to lam_port_exit. */
#ifndef LAM_PORT_H
#define LAM_PORT_H

#include <stdint.h>

/* Makes lam_port_write work. */
void lam_port_init(void);

/* Shows a text, to its terminating zero. */
void lam_port_write(const char *text);

/* Ends the program and does not return; 0 is success. */
void lam_port_exit(int code);

/* After a fault (Cortex-M) or an exception (RISC-V) of the instruction at pc: says so, ends the program and does not
 * return. */
void lam_port_fault(uint32_t pc);

/* Ticks of a clock that runs on, modulo 2^32; 0 where there is none. The first call starts it and may take an interrupt. */
uint32_t lam_port_time(void);

#endif
