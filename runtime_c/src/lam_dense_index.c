#include "lam_dense_blocks.h"

/* Columns that a byte tells apart: lists start anew with each 256 of them. */
#define LAM_INDEX_COLS 256u

/* The state of a group of rows. */
typedef struct {
    const uint8_t *list; /* what has not been read */
    const int32_t *from; /* sums so far, */
    int32_t *to, *end;   /* and where those with the next columns go */
} lam_dense_index_group;

/* Members stand in the code below by their offsets. */
typedef char lam_dense_index_offsets[sizeof(void *) != 4 || offsetof(lam_dense_index_group, end) == 12 ? 1 : -1];

/* Subtracts and adds the inputs listed for a group's rows from and to their sums; x: the first of up to 256 columns. */

#if defined(__GNUC__) && defined(__thumb2__) && !defined(LAM_NO_SIMD)

/* One level: 8 bytes of code, of which the entry into the sixteen of them is computed. */
#define LAM_INDEX_ONE(add) "ldrb.w r2, [r0], #1\n ldrb.n r2, [r1, r2]\n " add ".n r5, r5, r2\n"
#define LAM_INDEX_FOUR(add) LAM_INDEX_ONE(add) LAM_INDEX_ONE(add) LAM_INDEX_ONE(add) LAM_INDEX_ONE(add)

/* A list: the number of its levels modulo 16 first, by a jump to behind the others, then sixteen at a time.
 * entry: address of the second level's code. */
#define LAM_INDEX_LIST(top, entry, add)                                                                               \
    "ldrb r4, [r0], #1\n"                                                                                             \
    "bic lr, r6, r4\n" /* 15 - n % 16 */                                                                              \
    "add lr, " entry ", lr, lsl #3\n"                                                                                 \
    "bx lr\n"                                                                                                         \
    ".balign 4\n"                                                                                                     \
    top ":\n" LAM_INDEX_FOUR(add) LAM_INDEX_FOUR(add) LAM_INDEX_FOUR(add) LAM_INDEX_FOUR(add)                         \
    "subs r4, #16\n"                                                                                                  \
    "bcs " top "b\n"

__attribute__((naked, noinline)) static void lam_dense_index_rows(__attribute__((unused)) lam_dense_index_group *group,
                                                                  __attribute__((unused)) const uint8_t *x)
{
    __asm__(".syntax unified\n"
            "push {r0, r4, r5, r6, r7, r8, r9, lr}\n"
            "ldm r0, {r0, r3, r9, r12}\n"
            "mov r6, #15\n"
            "adr.w r7, 1f + 9\n" /* bit 0: Thumb */
            "adr.w r8, 2f + 9\n"
            "0:\n"
            "ldr r5, [r3], #4\n"
            LAM_INDEX_LIST("1", "r7", "subs")
            LAM_INDEX_LIST("2", "r8", "adds")
            "str r5, [r9], #4\n"
            "cmp r9, r12\n"
            "bne 0b\n"
            "pop {r1}\n"
            "str r0, [r1]\n"
            "pop {r4, r5, r6, r7, r8, r9, pc}\n");
}

#elif defined(__GNUC__) && defined(__ARM_ARCH_6M__) && !defined(LAM_NO_SIMD)

/* One level: 6 bytes of code, of which the entry into the sixteen of them is computed. */
#define LAM_INDEX_ONE(at, add) "ldrb r2, [r0, #" at "]\n ldrb r2, [r1, r2]\n " add " r5, r5, r2\n"
#define LAM_INDEX_FOUR(a, b, c, d, add)                                                                               \
    LAM_INDEX_ONE(a, add) LAM_INDEX_ONE(b, add) LAM_INDEX_ONE(c, add) LAM_INDEX_ONE(d, add)

/* A list: the number of its levels modulo 16 first, by a jump to before the last of them, then sixteen at a time. */
#define LAM_INDEX_LIST(top, end, add)                                                                                 \
    "ldrb r4, [r0]\n"                                                                                                \
    "adds r0, #1\n"                                                                                                  \
    "movs r7, #15\n"                                                                                                 \
    "ands r7, r4\n"                                                                                                  \
    "lsls r2, r7, #1\n"                                                                                              \
    "adds r2, r2, r7\n"                                                                                              \
    "lsls r2, r2, #1\n"                                                                                              \
    "adr r3, " end "f\n"                                                                                             \
    "subs r3, r3, r2\n"                                                                                              \
    "mov pc, r3\n"                                                                                                   \
    ".balign 4\n"                                                                                                    \
    top ":\n"                                                                                                        \
    LAM_INDEX_FOUR("15", "14", "13", "12", add) LAM_INDEX_FOUR("11", "10", "9", "8", add)                             \
    LAM_INDEX_FOUR("7", "6", "5", "4", add) LAM_INDEX_FOUR("3", "2", "1", "0", add)                                   \
    end ":\n"                                                                                                        \
    "adds r0, r0, r7\n"                                                                                              \
    "movs r7, #16\n"                                                                                                 \
    "subs r4, #16\n"                                                                                                 \
    "bcs " top "b\n"

__attribute__((naked, noinline)) static void lam_dense_index_rows(__attribute__((unused)) lam_dense_index_group *group,
                                                                  __attribute__((unused)) const uint8_t *x)
{
    __asm__(".syntax unified\n"
            "push {r0, r4, r5, r6, r7, lr}\n"
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n"
            "push {r4, r5, r6}\n"
            "ldr r4, [r0, #4]\n mov r8, r4\n"
            "ldr r4, [r0, #8]\n mov r9, r4\n"
            "ldr r4, [r0, #12]\n mov r10, r4\n"
            "ldr r0, [r0]\n"
            "0:\n"
            "mov r3, r8\n ldm r3!, {r5}\n mov r8, r3\n"
            LAM_INDEX_LIST("1", "2", "subs")
            LAM_INDEX_LIST("3", "4", "adds")
            "mov r3, r9\n stm r3!, {r5}\n mov r9, r3\n"
            "cmp r3, r10\n"
            "beq 5f\n"
            "b 0b\n" /* further than a condition reaches */
            "5:\n"
            "pop {r4, r5, r6}\n"
            "mov r8, r4\n mov r9, r5\n mov r10, r6\n"
            "pop {r1}\n"
            "str r0, [r1]\n"
            "pop {r4, r5, r6, r7, pc}\n");
}

#elif defined(__GNUC__) && defined(__riscv) && __riscv_xlen == 32 && !defined(LAM_NO_SIMD)

/* One level: 16 bytes of code, of which the entry into the sixteen of them is computed. */
#define LAM_INDEX_ONE(at, add)                                                                                        \
    "lbu t2, " at "+1(a0)\n add t2, t2, a1\n lbu t2, 0(t2)\n " add " a5, a5, t2\n"
#define LAM_INDEX_FOUR(a, b, c, d, add)                                                                               \
    LAM_INDEX_ONE(a, add) LAM_INDEX_ONE(b, add) LAM_INDEX_ONE(c, add) LAM_INDEX_ONE(d, add)

/* A list: the number of its levels modulo 16 first, by a jump to before the last of them, then sixteen at a time.
 * address: of its end. */
#define LAM_INDEX_LIST(top, end, address, add)                                                                        \
    "lbu t0, 0(a0)\n"                                                                                                \
    "andi t1, t0, 15\n"                                                                                              \
    "slli t2, t1, 4\n"                                                                                               \
    "sub t2, " address ", t2\n"                                                                                      \
    "jr t2\n"                                                                                                        \
    top ":\n"                                                                                                        \
    LAM_INDEX_FOUR("15", "14", "13", "12", add) LAM_INDEX_FOUR("11", "10", "9", "8", add)                             \
    LAM_INDEX_FOUR("7", "6", "5", "4", add) LAM_INDEX_FOUR("3", "2", "1", "0", add)                                   \
    end ":\n"                                                                                                        \
    "add a0, a0, t1\n"                                                                                               \
    "li t1, 16\n"                                                                                                    \
    "addi t0, t0, -16\n"                                                                                             \
    "bgez t0, " top "b\n"                                                                                            \
    "addi a0, a0, 1\n"

__attribute__((naked, noinline)) static void lam_dense_index_rows(__attribute__((unused)) lam_dense_index_group *group,
                                                                  __attribute__((unused)) const uint8_t *x)
{
    __asm__(".option push\n"
            ".option norvc\n" /* each instruction 4 bytes */
            "addi sp, sp, -16\n"
            "sw s0, 0(sp)\n sw s1, 4(sp)\n sw a0, 8(sp)\n"
            "lw a2, 4(a0)\n lw a3, 8(a0)\n lw a4, 12(a0)\n lw a0, 0(a0)\n"
            "lla s0, 2f\n lla s1, 4f\n"
            "0:\n"
            "lw a5, 0(a2)\n"
            "addi a2, a2, 4\n"
            LAM_INDEX_LIST("1", "2", "s0", "sub")
            LAM_INDEX_LIST("3", "4", "s1", "add")
            "sw a5, 0(a3)\n"
            "addi a3, a3, 4\n"
            "bne a3, a4, 0b\n"
            "lw t2, 8(sp)\n"
            "sw a0, 0(t2)\n"
            "lw s0, 0(sp)\n lw s1, 4(sp)\n"
            "addi sp, sp, 16\n"
            "ret\n"
            ".option pop\n");
}

#else

static void lam_dense_index_rows(lam_dense_index_group *group, const uint8_t *x)
{
    const uint8_t *list = group->list;
    const int32_t *from = group->from;
    for (int32_t *to = group->to; to != group->end; to++) {
        int32_t sum = *from++;
        for (uint32_t n = *list++; n > 0; n--) {
            sum -= x[*list++];
        }
        for (uint32_t n = *list++; n > 0; n--) {
            sum += x[*list++];
        }
        *to = sum;
    }
    group->list = list;
}

#endif

void lam_dense_index(const lam_dense_index_desc *d, const uint8_t *x, uint8_t *y)
{
    const uint32_t rows = d->shape.rows, cols = d->shape.cols;
    int32_t sums[LAM_DENSE_GROUP];
    for (uint32_t vector = 0; vector < d->shape.batch; vector++) {
        lam_dense_index_group group = {d->weights, NULL, sums, NULL};
        for (uint32_t r = 0; r < rows; r += LAM_DENSE_GROUP) {
            const uint32_t n = rows - r < LAM_DENSE_GROUP ? rows - r : LAM_DENSE_GROUP;
            group.from = (const int32_t *)d->shape.bias + r;
            group.end = sums + n;
            for (uint32_t c = 0; c < cols; c += LAM_INDEX_COLS) {
                lam_dense_index_rows(&group, x + c);
                group.from = sums;
            }
            lam_dense_store(&d->shape, r, n, sums, y + r);
        }
        x += cols;
        y += rows;
    }
}
