#include "lam_conv2d_sparse_pointwise.h"
#include "lam_conv2d_sparse_pointwise_tile.h"

#define LAM_EVEN_BYTES 0x00ff00ffu

#if defined(__GNUC__)
#define LAM_POINTWISE_APART static __attribute__((noinline))
#else
#define LAM_POINTWISE_APART static
#endif

/* The word that the sums of a channel start from: `offset` for both lanes. The lower one is larger, so that the upper
 * one keeps its fraction (see LAM_POINTWISE_PUT of Armv7-M), or never lends it anything. */
static inline uint32_t lam_pointwise_start(const lam_pointwise_scale *s)
{
    const uint32_t offset = (uint32_t)(int32_t)s->offset;
#if LAM_POINTWISE_LONG_LANES
    return (offset << 16) + offset + s->fraction;
#elif LAM_POINTWISE_CORE == LAM_POINTWISE_ARMV7M
    return lam_pack16(offset, offset); /* lanes that do not carry */
#else
    return (offset << 16) + offset + 0x8000u;
#endif
}

/* The words of arithmetic behind a channel's places. */
static inline uint32_t *lam_pointwise_constants(uint32_t *list, const lam_pointwise_scale *s, uint32_t is_short)
{
    const uint32_t multiplier = s->multiplier, fraction = s->fraction;
    if (is_short) {
        const uint32_t shift = multiplier >> 24;
        *list++ = fraction << (shift - 16u);
        *list++ = multiplier & 0xffffffu;
        *list++ = shift;
        return list;
    }
#if LAM_POINTWISE_LONG_LANES
    *list++ = fraction - (fraction << 16);
#else
    *list++ = (fraction * (multiplier >> 16) + (fraction * (multiplier & 0xffffu) >> 16)) >> 16;
#endif
    *list++ = multiplier;
    return list;
}

/* n pixels' places, to be added to what there is. */
static inline uint32_t *lam_pointwise_places(uint32_t *list, const uint16_t *index, uint32_t n, const uint32_t *pixels,
                                             uint32_t tile_shift)
{
    const uint16_t *const end = index + n;
#if LAM_POINTWISE_CORE != LAM_POINTWISE_C
    while (index != end) {
        const uint32_t left = (uint32_t)(end - index), some = left < LAM_POINTWISE_STEPS ? left : LAM_POINTWISE_STEPS;
        *list++ = lam_pointwise_code_of_core.steps_end - some * lam_pointwise_code_of_core.step_bytes;
        for (const uint16_t *const stop = index + some; index != stop;) {
            *list++ = lam_pointwise_place(pixels, (uint32_t)*index++ << tile_shift);
        }
    }
#else
    while (index != end) {
        *list++ = lam_pointwise_place(pixels, (uint32_t)*index++ << tile_shift);
    }
    *list++ = LAM_POINTWISE_STOP;
#endif
    return list;
}

/* The list of n output channels. */
static void lam_pointwise_list(const lam_conv2d_sparse_pointwise_desc *d, lam_stream *stream,
                               const lam_pointwise_scale *scale, uint32_t n, uint32_t *pixels, uint32_t *list)
{
    uint16_t *const index = (uint16_t *)(void *)pixels; /* no tile is there yet */
    const uint32_t tile_shift = d->tile_pixels == 16u ? 3u : 4u;
    for (const lam_pointwise_scale *end = scale + n; scale != end; scale++) {
        uint32_t plus, minus;
        d->positions(stream, d->in_c, index, d->in_c, &plus, &minus);
        const uint16_t *subtracted = index + (d->in_c - minus);
#if LAM_POINTWISE_CORE != LAM_POINTWISE_C
        if (minus > 0) {
            *list++ = lam_pointwise_code_of_core.first;
            *list++ = lam_pointwise_place(pixels, (uint32_t)*subtracted << tile_shift);
            list = lam_pointwise_places(list, subtracted + 1, minus - 1u, pixels, tile_shift);
            *list++ = lam_pointwise_code_of_core.negate;
        } else {
            *list++ = lam_pointwise_code_of_core.start;
        }
        *list++ = lam_pointwise_start(scale);
        list = lam_pointwise_places(list, index, plus, pixels, tile_shift);
        *list++ = lam_pointwise_code_of_core.put;
#else
        list = lam_pointwise_places(list, subtracted, minus, pixels, tile_shift);
        *list++ = lam_pointwise_start(scale);
        list = lam_pointwise_places(list, index, plus, pixels, tile_shift);
#endif
        list = lam_pointwise_constants(list, scale, d->is_short);
    }
#if LAM_POINTWISE_CORE != LAM_POINTWISE_C
    *list = lam_pointwise_code_of_core.last;
#else
    *list = LAM_POINTWISE_LAST;
#endif
}

#if LAM_POINTWISE_CORE == LAM_POINTWISE_ARMV6M || LAM_POINTWISE_CORE == LAM_POINTWISE_ARMV7M

/* A tile of 16 pixels of each of n > 0 channels, all at words' own addresses. */
__attribute__((naked)) LAM_POINTWISE_APART void lam_pointwise_widen(__attribute__((unused)) uint32_t *to,
                                                                    __attribute__((unused)) const uint8_t *x,
                                                                    __attribute__((unused)) uint32_t n,
                                                                    __attribute__((unused)) uint32_t pitch)
{
#if defined(__thumb2__)
#define LAM_POINTWISE_SPLIT(word, next)                                                                               \
    "and " #next ", r12, " #word ", lsr #8\n and " #word ", " #word ", r12\n"
    __asm__(".syntax unified\n"
            "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
            "mov r12, #0x00ff00ff\n"
            "1: ldm r1, {r4, r6, r8, r10}\n"
            LAM_POINTWISE_SPLIT(r4, r5) LAM_POINTWISE_SPLIT(r6, r7)
            LAM_POINTWISE_SPLIT(r8, r9) LAM_POINTWISE_SPLIT(r10, r11)
            "stm r0!, {r4, r5, r6, r7, r8, r9, r10, r11}\n"
            "add r1, r3\n"
            "subs r2, #1\n"
            "bne 1b\n"
            "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n");
#else
#define LAM_POINTWISE_SPLIT                                                                                           \
    "ldm r1!, {r4, r6}\n"                                                                                             \
    "lsrs r5, r4, #8\n ands r4, r3\n ands r5, r3\n lsrs r7, r6, #8\n ands r6, r3\n ands r7, r3\n"                     \
    "stm r0!, {r4, r5, r6, r7}\n"
    __asm__(".syntax unified\n"
            "push {r4, r5, r6, r7, lr}\n"
            "subs r3, #16\n mov r12, r3\n"
            "movs r3, #255\n lsls r4, r3, #16\n orrs r3, r4\n"
            "1:\n"
            LAM_POINTWISE_SPLIT LAM_POINTWISE_SPLIT
            "add r1, r12\n"
            "subs r2, #1\n"
            "bne 1b\n"
            "pop {r4, r5, r6, r7, pc}\n");
#endif
}

#elif LAM_POINTWISE_CORE == LAM_POINTWISE_RISCV

/* A tile of 32 pixels of each of n > 0 channels, all at words' own addresses. */
#define LAM_POINTWISE_SPLIT(at)                                                                                       \
    "lw a4, " #at "(a1)\n lw a6, 4+" #at "(a1)\n srli a5, a4, 8\n srli a7, a6, 8\n"                                  \
    "and a4, a4, t0\n and a5, a5, t0\n and a6, a6, t0\n and a7, a7, t0\n"                                            \
    "sw a4, 2*" #at "(a0)\n sw a5, 4+2*" #at "(a0)\n sw a6, 8+2*" #at "(a0)\n sw a7, 12+2*" #at "(a0)\n"
__attribute__((naked)) LAM_POINTWISE_APART void lam_pointwise_widen(__attribute__((unused)) uint32_t *to,
                                                                    __attribute__((unused)) const uint8_t *x,
                                                                    __attribute__((unused)) uint32_t n,
                                                                    __attribute__((unused)) uint32_t pitch)
{
    __asm__("li t0, 0x00ff00ff\n"
            "1:\n"
            LAM_POINTWISE_SPLIT(0) LAM_POINTWISE_SPLIT(8) LAM_POINTWISE_SPLIT(16) LAM_POINTWISE_SPLIT(24)
            "addi a0, a0, 64\n add a1, a1, a3\n addi a2, a2, -1\n"
            "bnez a2, 1b\n"
            "ret\n");
}

#endif

#if LAM_POINTWISE_ANY_ADDRESS

/* A tile of every input channel, from any address. */
LAM_POINTWISE_APART void lam_pointwise_widen_anywhere(uint32_t *to, const uint8_t *x, uint32_t channels,
                                                      uint32_t pitch, uint32_t tile)
{
    for (; channels > 0; channels--, x += pitch) {
        for (const uint8_t *from = x, *end = x + tile; from != end; from += 8, to += 4) {
            const uint32_t a = lam_load32(from), b = lam_load32(from + 4);
            to[0] = a & LAM_EVEN_BYTES;
            to[1] = a >> 8 & LAM_EVEN_BYTES;
            to[2] = b & LAM_EVEN_BYTES;
            to[3] = b >> 8 & LAM_EVEN_BYTES;
        }
    }
}

#endif

/* n pixels of every input channel, from any address; the other lanes of the tile do not matter. */
LAM_POINTWISE_APART void lam_pointwise_widen_bytes(uint32_t *to, const uint8_t *x, uint32_t channels, uint32_t pitch,
                                                   uint32_t tile, uint32_t n)
{
    for (; channels > 0; channels--, x += pitch, to += tile / 2u) {
        uint32_t *word = to;
        const uint8_t *from = x;
        for (const uint8_t *end = x + (n & ~3u); from != end; from += 4, word += 2) {
            const uint32_t a = from[0], b = from[1], c = from[2], e = from[3];
            word[0] = a | c << 16;
            word[1] = b | e << 16;
        }
        if (n & 3u) {
            const uint32_t a = from[0], b = (n & 3u) > 1u ? from[1] : 0u, c = (n & 3u) > 2u ? from[2] : 0u;
            word[0] = a | c << 16;
            word[1] = b;
        }
    }
}

/* A whole tile of every input channel, the best way. */
static inline void lam_pointwise_widen_tile(uint32_t *to, const uint8_t *x, uint32_t channels, uint32_t pitch,
                                            uint32_t tile)
{
    (void)tile;
#if LAM_POINTWISE_CORE != LAM_POINTWISE_C
#if LAM_POINTWISE_ANY_ADDRESS
    if ((((uintptr_t)x | pitch) & 3u) != 0) {
        lam_pointwise_widen_anywhere(to, x, channels, pitch, tile);
        return;
    }
#endif
    lam_pointwise_widen(to, x, channels, pitch);
#elif LAM_POINTWISE_ANY_ADDRESS
    lam_pointwise_widen_anywhere(to, x, channels, pitch, tile);
#else
    lam_pointwise_widen_bytes(to, x, channels, pitch, tile, tile);
#endif
}

/* n bytes of every channel. */
LAM_POINTWISE_APART void lam_pointwise_bring(uint8_t *y, const uint8_t *from, uint32_t channels, uint32_t pitch,
                                             uint32_t tile, uint32_t n)
{
    for (; channels > 0; channels--, y += pitch, from += tile) {
        const uint8_t *next = from;
        uint8_t *to = y;
        for (const uint8_t *end = from + (n & ~3u); next != end; next += 4, to += 4) {
            const uint8_t a = next[0], b = next[1], c = next[2], e = next[3];
            to[0] = a;
            to[1] = b;
            to[2] = c;
            to[3] = e;
        }
        for (const uint8_t *end = from + n; next != end;) {
            *to++ = *next++;
        }
    }
}

/* Whether tiles of y are computed elsewhere and copied. */
static inline int lam_pointwise_copies(const lam_conv2d_sparse_pointwise_desc *d)
{
    return d->pixels < d->tile_pixels || (!LAM_POINTWISE_ANY_ADDRESS && (d->pixels & 3u) != 0);
}

size_t lam_conv2d_sparse_pointwise_scratch(const lam_conv2d_sparse_pointwise_desc *d)
{
    const size_t copied = lam_pointwise_copies(d) ? (size_t)d->tile_pixels * d->together : 0;
    return (size_t)2u * d->tile_pixels * d->in_c + 4u * (size_t)d->list_words + copied;
}

void lam_conv2d_sparse_pointwise(const lam_conv2d_sparse_pointwise_desc *d, const uint8_t *x, uint8_t *y, void *scratch)
{
    const uint32_t tile = d->tile_pixels, n = d->pixels, in_c = d->in_c;
    const int copies = lam_pointwise_copies(d);
    uint32_t *const pixels = scratch, *const list = pixels + tile / 2u * in_c;
    uint8_t *const results = (uint8_t *)(list + d->list_words);
    lam_stream stream = lam_stream_of(d->weights);
    uint32_t together;
    for (uint32_t first = 0; first < d->out_c; first += together, y += (size_t)together * n) {
        const uint32_t left = d->out_c - first;
        together = left < d->together ? left : d->together;
        lam_pointwise_list(d, &stream, d->scale + first, together, pixels, list);
        for (uint32_t done = 0; done < n; done += tile) {
            /* At the end a few pixels twice: cheaper than to bring over what is left. */
            const uint32_t at = done + tile <= n || n < tile ? done : n - tile;
            if (!copies) {
                lam_pointwise_widen_tile(pixels, x + at, in_c, n, tile);
                d->tile(list, pixels, y + at, n);
            } else {
                const uint32_t some = n < tile ? n : tile;
                lam_pointwise_widen_bytes(pixels, x + at, in_c, n, tile, some);
                d->tile(list, pixels, results, tile);
                lam_pointwise_bring(y + at, results, together, n, tile, some);
            }
        }
    }
}
