/* The stack of this computer is not measured. */
#include "lam_stack.h"

int lam_stack_measure(int (*function)(void), uint32_t *bytes)
{
    *bytes = 0;
    return function();
}

int lam_stack_guarded(int (*function)(void))
{
    return function();
}
