/* How deep a call goes into the stack: the free stack is filled with a pattern, and afterwards searched for its rest. */
#include "lam_stack.h"

#define PATTERN 0x4c616d65u

#ifdef __riscv
#define READ_SP "mv %0, sp"
#else
#define READ_SP "mov %0, sp"
#endif

/* Of the linker script: the end of the variables, and so the last word a stack may use. */
extern uint32_t lam_stack_limit[];

int lam_stack_measure(int (*function)(void), uint32_t *bytes)
{
    /* Read after this function has pushed all it pushes: the frame of the callee begins right here. */
    uint32_t *top;
    __asm__ volatile(READ_SP : "=r"(top));
    uint32_t *bottom = lam_stack_limit;
    *bytes = 0;
    if (top <= bottom) {
        return LAM_STACK_OVERFLOW;
    }
    if ((uint32_t)(top - bottom) > LAM_STACK_PAINTED / sizeof *top) {
        bottom = top - LAM_STACK_PAINTED / sizeof *top;
    }
    for (uint32_t *p = bottom; p < top; p++) {
        *(volatile uint32_t *)p = PATTERN;
    }
    int status = function();
    const uint32_t *p = bottom;
    while (p < top && *p == PATTERN) {
        p++;
    }
    *bytes = (uint32_t)(top - p) * (uint32_t)sizeof *top;
    return *bottom == PATTERN ? status : LAM_STACK_OVERFLOW;
}

int lam_stack_guarded(int (*function)(void))
{
    *(volatile uint32_t *)lam_stack_limit = PATTERN;
    int status = function();
    return *lam_stack_limit == PATTERN ? status : LAM_STACK_OVERFLOW;
}
