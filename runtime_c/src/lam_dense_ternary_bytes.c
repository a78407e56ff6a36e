#include "lam_dense_blocks.h"

/* A byte is five columns of a row as a number in base 3. A table makes fields of two bits of it, (level + 1) of each
 * column; beside those of another row they become factors for one 32-bit product as in int2_quads. The sums have 16
 * bits each. For cores without a long multiplication; on others ternary_quads needs less. */
static const uint16_t lam_dense_ternary_fields[243] = {
    0x000, 0x100, 0x200, 0x040, 0x140, 0x240, 0x080, 0x180, 0x280, 0x010, 0x110, 0x210, 0x050, 0x150, 0x250, 0x090,
    0x190, 0x290, 0x020, 0x120, 0x220, 0x060, 0x160, 0x260, 0x0a0, 0x1a0, 0x2a0, 0x004, 0x104, 0x204, 0x044, 0x144,
    0x244, 0x084, 0x184, 0x284, 0x014, 0x114, 0x214, 0x054, 0x154, 0x254, 0x094, 0x194, 0x294, 0x024, 0x124, 0x224,
    0x064, 0x164, 0x264, 0x0a4, 0x1a4, 0x2a4, 0x008, 0x108, 0x208, 0x048, 0x148, 0x248, 0x088, 0x188, 0x288, 0x018,
    0x118, 0x218, 0x058, 0x158, 0x258, 0x098, 0x198, 0x298, 0x028, 0x128, 0x228, 0x068, 0x168, 0x268, 0x0a8, 0x1a8,
    0x2a8, 0x001, 0x101, 0x201, 0x041, 0x141, 0x241, 0x081, 0x181, 0x281, 0x011, 0x111, 0x211, 0x051, 0x151, 0x251,
    0x091, 0x191, 0x291, 0x021, 0x121, 0x221, 0x061, 0x161, 0x261, 0x0a1, 0x1a1, 0x2a1, 0x005, 0x105, 0x205, 0x045,
    0x145, 0x245, 0x085, 0x185, 0x285, 0x015, 0x115, 0x215, 0x055, 0x155, 0x255, 0x095, 0x195, 0x295, 0x025, 0x125,
    0x225, 0x065, 0x165, 0x265, 0x0a5, 0x1a5, 0x2a5, 0x009, 0x109, 0x209, 0x049, 0x149, 0x249, 0x089, 0x189, 0x289,
    0x019, 0x119, 0x219, 0x059, 0x159, 0x259, 0x099, 0x199, 0x299, 0x029, 0x129, 0x229, 0x069, 0x169, 0x269, 0x0a9,
    0x1a9, 0x2a9, 0x002, 0x102, 0x202, 0x042, 0x142, 0x242, 0x082, 0x182, 0x282, 0x012, 0x112, 0x212, 0x052, 0x152,
    0x252, 0x092, 0x192, 0x292, 0x022, 0x122, 0x222, 0x062, 0x162, 0x262, 0x0a2, 0x1a2, 0x2a2, 0x006, 0x106, 0x206,
    0x046, 0x146, 0x246, 0x086, 0x186, 0x286, 0x016, 0x116, 0x216, 0x056, 0x156, 0x256, 0x096, 0x196, 0x296, 0x026,
    0x126, 0x226, 0x066, 0x166, 0x266, 0x0a6, 0x1a6, 0x2a6, 0x00a, 0x10a, 0x20a, 0x04a, 0x14a, 0x24a, 0x08a, 0x18a,
    0x28a, 0x01a, 0x11a, 0x21a, 0x05a, 0x15a, 0x25a, 0x09a, 0x19a, 0x29a, 0x02a, 0x12a, 0x22a, 0x06a, 0x16a, 0x26a,
    0x0aa, 0x1aa, 0x2aa,
};

#if defined(__GNUC__) && defined(__ARM_ARCH_6M__) && !defined(LAM_NO_SIMD)

/* Fields of the rows in bytes `low` and `high`, the upper ones in the upper half. */
#define LAM_TERNARY_ROWS(fields, low, high)                                                                           \
    "ldrb r6, [r0, #" low "]\n lsls r6, r6, #1\n ldrh " fields ", [r7, r6]\n"                                      \
    "ldrb r6, [r0, #" high "]\n lsls r6, r6, #1\n ldrh r6, [r7, r6]\n lsls r6, r6, #16\n orrs " fields ", r6\n"
#define LAM_TERNARY_TWO(acc) "ands r6, r5\n muls r6, r4\n add " acc ", r6\n"
#define LAM_TERNARY_COLUMN(column, shift)                                                                             \
    "ldrb r4, [r1, #" column "]\n"                                                                                   \
    "lsrs r6, r2, #" shift "\n" LAM_TERNARY_TWO("r8") "lsrs r6, r3, #" shift "\n" LAM_TERNARY_TWO("r9")
#define LAM_TERNARY_UNIT(b0, b1, b2, b3, c0, c1, c2, c3, c4)                                                          \
    LAM_TERNARY_ROWS("r2", b0, b1) LAM_TERNARY_ROWS("r3", b2, b3)                                                     \
    "ldrb r4, [r1, #" c0 "]\n"                                                                                       \
    "mov r6, r2\n" LAM_TERNARY_TWO("r8") "mov r6, r3\n" LAM_TERNARY_TWO("r9")                                       \
    LAM_TERNARY_COLUMN(c1, "2") LAM_TERNARY_COLUMN(c2, "4") LAM_TERNARY_COLUMN(c3, "6") LAM_TERNARY_COLUMN(c4, "8")
/* Adds two rows' sums to those at r3. */
#define LAM_TERNARY_OUT(acc)                                                                                          \
    "mov r4, " acc "\n ldr r5, [r3]\n ldr r6, [r3, #4]\n uxth r7, r4\n lsrs r4, r4, #16\n"                       \
    "adds r5, r5, r7\n adds r6, r6, r4\n stm r3!, {r5, r6}\n"

__attribute__((naked, noinline)) static void lam_dense_ternary_units(
    __attribute__((unused)) const uint32_t *w, __attribute__((unused)) const void *x,
    __attribute__((unused)) uint32_t units, __attribute__((unused)) int32_t *sums,
    __attribute__((unused)) const uint16_t *fields)
{
    __asm__(".syntax unified\n"
            "push {r3, r4, r5, r6, r7, lr}\n"
            "mov r4, r8\n mov r5, r9\n"
            "push {r4, r5}\n"
            "ldr r7, [sp, #32]\n"
            "movs r5, #3\n lsls r6, r5, #16\n adds r5, r5, r6\n"
            "movs r6, #0\n mov r8, r6\n mov r9, r6\n"
            "lsls r4, r2, #2\n"
            "adds r4, r0, r4\n"
            "mov r12, r4\n"
            "lsrs r2, r2, #1\n" /* an odd unit first */
            "bcc 1f\n"
            LAM_TERNARY_UNIT("0", "1", "2", "3", "0", "1", "2", "3", "4")
            "adds r0, #4\n"
            "adds r1, #5\n"
            "1:\n"
            "cmp r0, r12\n"
            "bne 2f\n"
            "b 3f\n" /* further than a condition reaches, as is the loop */
            "2:\n"
            LAM_TERNARY_UNIT("0", "1", "2", "3", "0", "1", "2", "3", "4")
            LAM_TERNARY_UNIT("4", "5", "6", "7", "5", "6", "7", "8", "9")
            "adds r0, #8\n"
            "adds r1, #10\n"
            "cmp r0, r12\n"
            "beq 3f\n"
            "b 2b\n"
            "3:\n"
            "ldr r3, [sp, #8]\n"
            LAM_TERNARY_OUT("r8") LAM_TERNARY_OUT("r9")
            "pop {r4, r5}\n"
            "mov r8, r4\n mov r9, r5\n"
            "pop {r3, r4, r5, r6, r7, pc}\n");
}

#else

static void lam_dense_ternary_units(const uint32_t *w, const void *x, uint32_t units, int32_t *sums,
                                    const uint16_t *fields)
{
    const uint8_t *v = x;
    uint32_t a = 0, b = 0; /* rows 0 and 1, rows 2 and 3 */
    for (const uint32_t *end = w + units; w != end; w++, v += 5) {
        uint32_t first = fields[*w & 255u] | (uint32_t)fields[*w >> 8 & 255u] << 16;
        uint32_t second = fields[*w >> 16 & 255u] | (uint32_t)fields[*w >> 24] << 16;
        for (uint32_t c = 0; c < 5; c++) {
            a += (first & 0x00030003u) * v[c];
            b += (second & 0x00030003u) * v[c];
            first >>= 2;
            second >>= 2;
        }
    }
    lam_dense_add(&sums[0], a & 0xffffu);
    lam_dense_add(&sums[1], a >> 16);
    lam_dense_add(&sums[2], b & 0xffffu);
    lam_dense_add(&sums[3], b >> 16);
}

#endif

static void lam_dense_ternary_bytes_dot(const uint32_t *w, const void *x, uint32_t units, int32_t *sums, uint32_t next)
{
    (void)next;
    lam_dense_ternary_units(w, x, units, sums, lam_dense_ternary_fields);
}

void lam_dense_ternary_bytes(const lam_dense_blocks_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    static const lam_dense_layout layout = {
        .dot = lam_dense_ternary_bytes_dot,
        .prepare = lam_dense_padded,
        .rows = 4,
        .blocks = 1,
        .cols = 5,
        .words = 1,
        .x_bytes = 1,
        .period = 4,
        .offset = 1,
        .last = 1,
    };
    lam_dense_blocks(d, &layout, x, y, scratch);
}
