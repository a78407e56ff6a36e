/* Single instructions of the cores with the DSP extension (Cortex-M4, M7, M33 with it), as functions; for the kernels
 * only. Elsewhere each is the same arithmetic in C, so that the host and its sanitizers run the kernels' own code.
 *
 * A lane is 8 or 16 bits of a word; the lowest bits are lane 0. Lanes do not carry into each other.
 */
#ifndef LAM_SIMD_H
#define LAM_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && defined(__ARM_FEATURE_DSP) && !defined(LAM_NO_SIMD)
#define LAM_HAS_DSP 1
#else
#define LAM_HAS_DSP 0
#endif

#if LAM_HAS_DSP
#define LAM_SIMD_3(name, instruction, type)                                                                           \
    static inline type name(type a, type b)                                                                           \
    {                                                                                                                 \
        type d;                                                                                                       \
        __asm__(instruction : "=r"(d) : "r"(a), "r"(b));                                                              \
        return d;                                                                                                     \
    }
#define LAM_SIMD_4(name, instruction)                                                                                 \
    static inline int32_t name(uint32_t a, uint32_t b, int32_t acc)                                                   \
    {                                                                                                                 \
        int32_t d;                                                                                                    \
        __asm__(instruction : "=r"(d) : "r"(a), "r"(b), "r"(acc));                                                    \
        return d;                                                                                                     \
    }
#endif

/* Four bytes at any address: a single load where the core allows it. */
static inline uint32_t lam_load32(const void *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

static inline void lam_store32(void *to, uint32_t word)
{
    memcpy(to, &word, sizeof word);
}

/* Lane 0 of 16 bits, and lane 1, with their signs. */
static inline int32_t lam_low16(uint32_t word)
{
    return (int16_t)(uint16_t)word;
}

static inline int32_t lam_high16(uint32_t word)
{
    return (int32_t)word >> 16;
}

static inline uint32_t lam_pack16(uint32_t low, uint32_t high)
{
    return (low & 0xffffu) | high << 16;
}

/* Lanes of 16 bits: sums + bytes 0 and 2 of x. */
#if LAM_HAS_DSP
LAM_SIMD_3(lam_uxtab16, "uxtab16 %0, %1, %2", uint32_t)
#else
static inline uint32_t lam_uxtab16(uint32_t sums, uint32_t x)
{
    return lam_pack16(sums + (x & 255u), (sums >> 16) + (x >> 16 & 255u));
}
#endif

/* Lanes of 16 bits: sums + bytes 1 and 3 of x. */
#if LAM_HAS_DSP
LAM_SIMD_3(lam_uxtab16_ror8, "uxtab16 %0, %1, %2, ror #8", uint32_t)
#else
static inline uint32_t lam_uxtab16_ror8(uint32_t sums, uint32_t x)
{
    return lam_uxtab16(sums, x >> 8);
}
#endif

/* Lanes of 16 bits: bytes 0 and 2 of x, bytes 1 and 3 of x, without and with sign. */
static inline uint32_t lam_uxtb16(uint32_t x)
{
    return x & 0x00ff00ffu;
}

static inline uint32_t lam_uxtb16_ror8(uint32_t x)
{
#if LAM_HAS_DSP
    uint32_t d;
    __asm__("uxtb16 %0, %1, ror #8" : "=r"(d) : "r"(x));
    return d;
#else
    return x >> 8 & 0x00ff00ffu;
#endif
}

#if LAM_HAS_DSP
static inline uint32_t lam_sxtb16(uint32_t x)
{
    uint32_t d;
    __asm__("sxtb16 %0, %1" : "=r"(d) : "r"(x));
    return d;
}

static inline uint32_t lam_sxtb16_ror8(uint32_t x)
{
    uint32_t d;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(d) : "r"(x));
    return d;
}
#else
static inline uint32_t lam_sxtb16(uint32_t x)
{
    return lam_pack16((uint32_t)(int8_t)(uint8_t)x, (uint32_t)(int8_t)(uint8_t)(x >> 16));
}

static inline uint32_t lam_sxtb16_ror8(uint32_t x)
{
    return lam_sxtb16(x >> 8);
}
#endif

/* Lanes of 16 bits: a + b and a - b, modulo 2^16. */
#if LAM_HAS_DSP
LAM_SIMD_3(lam_sadd16, "sadd16 %0, %1, %2", uint32_t)
LAM_SIMD_3(lam_ssub16, "ssub16 %0, %1, %2", uint32_t)
#else
static inline uint32_t lam_sadd16(uint32_t a, uint32_t b)
{
    return lam_pack16(a + b, (a >> 16) + (b >> 16));
}

static inline uint32_t lam_ssub16(uint32_t a, uint32_t b)
{
    return lam_pack16(a - b, (a >> 16) - (b >> 16));
}
#endif

/* Lanes of 8 bits: the larger of a and b, without sign. */
static inline uint32_t lam_umax8(uint32_t a, uint32_t b)
{
#if LAM_HAS_DSP
    uint32_t d;
    __asm__("usub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(d) : "r"(a), "r"(b) : "cc");
    return d;
#else
    uint32_t largest = 0;
    for (uint32_t i = 0; i < 32u; i += 8u) {
        uint32_t p = a >> i & 255u, q = b >> i & 255u;
        largest |= (p > q ? p : q) << i;
    }
    return largest;
#endif
}

/* Lanes of 16 bits: the larger of a and b, with sign. */
static inline uint32_t lam_smax16(uint32_t a, uint32_t b)
{
#if LAM_HAS_DSP
    uint32_t d;
    __asm__("ssub16 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(d) : "r"(a), "r"(b) : "cc");
    return d;
#else
    const uint32_t low = lam_low16(a) > lam_low16(b) ? a : b, high = lam_high16(a) > lam_high16(b) ? a : b;
    return lam_pack16(low, high >> 16);
#endif
}

/* acc + the products of lanes 0 and of lanes 1, 16 bits with sign; and with the lanes of b exchanged. */
#if LAM_HAS_DSP
LAM_SIMD_4(lam_smlad, "smlad %0, %1, %2, %3")
LAM_SIMD_4(lam_smladx, "smladx %0, %1, %2, %3")
#else
static inline int32_t lam_smlad(uint32_t a, uint32_t b, int32_t acc)
{
    const uint32_t low = (uint32_t)(lam_low16(a) * lam_low16(b)), high = (uint32_t)(lam_high16(a) * lam_high16(b));
    return (int32_t)((uint32_t)acc + low + high);
}

static inline int32_t lam_smladx(uint32_t a, uint32_t b, int32_t acc)
{
    return lam_smlad(a, b << 16 | b >> 16, acc);
}
#endif

/* acc + lane 0 of a times lane 1 of b; and lane 1 of a times lane 0 of b. */
#if LAM_HAS_DSP
LAM_SIMD_4(lam_smlabt, "smlabt %0, %1, %2, %3")
LAM_SIMD_4(lam_smlatb, "smlatb %0, %1, %2, %3")
#else
static inline int32_t lam_smlabt(uint32_t a, uint32_t b, int32_t acc)
{
    return (int32_t)((uint32_t)acc + (uint32_t)(lam_low16(a) * lam_high16(b)));
}

static inline int32_t lam_smlatb(uint32_t a, uint32_t b, int32_t acc)
{
    return lam_smlabt(b, a, acc);
}
#endif

/* acc + lane 0 (lane 1) of 16 bits, with its sign. */
#if LAM_HAS_DSP
LAM_SIMD_3(lam_sxtah, "sxtah %0, %1, %2", int32_t)
LAM_SIMD_3(lam_sxtah_ror16, "sxtah %0, %1, %2, ror #16", int32_t)
#else
static inline int32_t lam_sxtah(int32_t acc, int32_t word)
{
    return (int32_t)((uint32_t)acc + (uint32_t)lam_low16((uint32_t)word));
}

static inline int32_t lam_sxtah_ror16(int32_t acc, int32_t word)
{
    return (int32_t)((uint32_t)acc + (uint32_t)lam_high16((uint32_t)word));
}
#endif

/* acc + floor((a * b + 2^31) / 2^32), modulo 2^32. */
#if LAM_HAS_DSP
static inline int32_t lam_smmlar(int32_t a, int32_t b, int32_t acc)
{
    int32_t d;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(d) : "r"(a), "r"(b), "r"(acc));
    return d;
}
#else
static inline int32_t lam_smmlar(int32_t a, int32_t b, int32_t acc)
{
    const int64_t product = (int64_t)a * b;
    return (int32_t)((uint32_t)acc + (uint32_t)(product >> 32) + ((uint32_t)product >> 31));
}
#endif

/* acc + floor(a * lane / 2^16), lane 0 (lane 1) of 16 bits with sign; the sum must stay within int32_t. */
#if LAM_HAS_DSP
static inline int32_t lam_smlawb(int32_t a, uint32_t b, int32_t acc)
{
    int32_t d;
    __asm__("smlawb %0, %1, %2, %3" : "=r"(d) : "r"(a), "r"(b), "r"(acc));
    return d;
}

static inline int32_t lam_smlawt(int32_t a, uint32_t b, int32_t acc)
{
    int32_t d;
    __asm__("smlawt %0, %1, %2, %3" : "=r"(d) : "r"(a), "r"(b), "r"(acc));
    return d;
}
#else
static inline int32_t lam_smlawb(int32_t a, uint32_t b, int32_t acc)
{
    return acc + (int32_t)((int64_t)a * lam_low16(b) >> 16);
}

static inline int32_t lam_smlawt(int32_t a, uint32_t b, int32_t acc)
{
    return acc + (int32_t)((int64_t)a * lam_high16(b) >> 16);
}
#endif

/* Lanes of 16 bits: the lower halves of low and of high. */
static inline uint32_t lam_low_halves(uint32_t low, uint32_t high)
{
#if LAM_HAS_DSP
    uint32_t d;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(d) : "r"(low), "r"(high));
    return d;
#else
    return lam_pack16(low, high);
#endif
}

/* Lanes of 16 bits: the upper halves of low and of high. */
static inline uint32_t lam_high_halves(int32_t low, int32_t high)
{
#if LAM_HAS_DSP
    uint32_t d;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(d) : "r"(high), "r"(low));
    return d;
#else
    return ((uint32_t)high & 0xffff0000u) | (uint32_t)low >> 16;
#endif
}

/* a brought into 0 .. 255. An instruction of every Armv7-M and Armv8-M mainline core. */
static inline uint32_t lam_usat8(int32_t a)
{
#if defined(__GNUC__) && defined(__ARM_FEATURE_SAT) && !defined(LAM_NO_SIMD)
    uint32_t d;
    __asm__("usat %0, #8, %1" : "=r"(d) : "r"(a) : "cc");
    return d;
#else
    return ((uint32_t)a <= 255u ? (uint32_t)a : ~(uint32_t)(a >> 31)) & 255u; /* one comparison where it fits */
#endif
}

/* The upper half of a, as a signed number, brought into 0 .. 255. */
static inline uint32_t lam_usat8_high16(int32_t a)
{
#if defined(__GNUC__) && defined(__ARM_FEATURE_SAT) && !defined(LAM_NO_SIMD)
    uint32_t d;
    __asm__("usat %0, #8, %1, asr #16" : "=r"(d) : "r"(a) : "cc");
    return d;
#else
    return lam_usat8(a >> 16);
#endif
}

/* Lanes of 16 bits, with sign, brought into 0 .. 255. */
static inline uint32_t lam_usat8_16(uint32_t a)
{
#if LAM_HAS_DSP
    uint32_t d;
    __asm__("usat16 %0, #8, %1" : "=r"(d) : "r"(a) : "cc");
    return d;
#else
    return lam_usat8(lam_low16(a)) | lam_usat8(lam_high16(a)) << 16;
#endif
}

#endif
