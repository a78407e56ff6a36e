/* Calls a function and watches the stack. */
#ifndef LAM_STACK_H
#define LAM_STACK_H

#include <stdint.h>

/* Bytes that are watched; a deeper call counts as overflow. */
#define LAM_STACK_PAINTED 0x40000u

/* The status of a call that ran into the variables. */
#define LAM_STACK_OVERFLOW (-1000)

/* Calls the function, returns what it returns, and says how many bytes of stack it and its callees used. */
int lam_stack_measure(int (*function)(void), uint32_t *bytes);

/* Calls the function and returns what it returns. */
int lam_stack_guarded(int (*function)(void));

#endif
