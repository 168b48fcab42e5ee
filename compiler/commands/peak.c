/* Multiply-add peak: independent accumulators in registers, nothing loaded or stored inside the loop. */
#include "commands/peak.h"

#include <math.h>
#include <sys/resource.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#endif

double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

enum { STEPS = 20000, CHAINS = 12 };

/* The accumulators must not be merged or dropped: each goes through an empty asm once a run. */
#define KEEP(v) __asm__ volatile("" : "+x"(v))

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static double flops_avx2(void)
{
    __m256 a[CHAINS], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
    for (int i = 0; i < CHAINS; i++) {
        a[i] = _mm256_set1_ps((float)i);
        KEEP(a[i]);
    }
    KEEP(x);
    KEEP(y);
    for (int s = 0; s < STEPS; s++) {
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) a[i] = _mm256_fmadd_ps(a[i], x, y);
    }
    for (int i = 0; i < CHAINS; i++) KEEP(a[i]);
    return 2.0 * 8 * CHAINS * STEPS;
}

__attribute__((target("avx512f"))) static double flops_avx512(void)
{
    __m512 a[CHAINS], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
    for (int i = 0; i < CHAINS; i++) {
        a[i] = _mm512_set1_ps((float)i);
        __asm__ volatile("" : "+v"(a[i]));
    }
    __asm__ volatile("" : "+v"(x), "+v"(y));
    for (int s = 0; s < STEPS; s++) {
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) a[i] = _mm512_fmadd_ps(a[i], x, y);
    }
    for (int i = 0; i < CHAINS; i++) __asm__ volatile("" : "+v"(a[i]));
    return 2.0 * 16 * CHAINS * STEPS;
}
#elif defined(__aarch64__) && defined(__ARM_NEON)
static double flops_neon(void)
{
    float32x4_t a[2 * CHAINS], x = vdupq_n_f32(0.999f), y = vdupq_n_f32(0.001f);
    for (int i = 0; i < 2 * CHAINS; i++) {
        a[i] = vdupq_n_f32((float)i);
        __asm__ volatile("" : "+w"(a[i]));
    }
    __asm__ volatile("" : "+w"(x), "+w"(y));
    for (int s = 0; s < STEPS; s++) {
        _Pragma("GCC unroll 24") for (int i = 0; i < 2 * CHAINS; i++) a[i] = vfmaq_f32(y, a[i], x);
    }
    for (int i = 0; i < 2 * CHAINS; i++) __asm__ volatile("" : "+w"(a[i]));
    return 2.0 * 4 * 2 * CHAINS * STEPS;
}
#endif

static double flops_scalar(void)
{
    float a[CHAINS];
    volatile float x0 = 0.999f, y0 = 0.001f;
    float x = x0, y = y0;
    for (int i = 0; i < CHAINS; i++) a[i] = (float)i;
    for (int s = 0; s < STEPS; s++)
        for (int i = 0; i < CHAINS; i++) a[i] = a[i] * x + y;
    volatile float sink = 0;
    for (int i = 0; i < CHAINS; i++) sink = sink + a[i];
    return 2.0 * CHAINS * STEPS;
}

static double once(const Target *target)
{
#if defined(__x86_64__)
    if (target->lanes == 16) return flops_avx512();
    if (target->lanes == 8) return flops_avx2();
#elif defined(__aarch64__) && defined(__ARM_NEON)
    if (target->lanes == 4) return flops_neon();
#endif
    (void)target;
    return flops_scalar();
}

double peak_gflops(const Target *target, int repeats)
{
    double best = 0;
    for (int i = 0; i < repeats; i++) {
        double begin = now_ns(), flops = 0;
        do flops += once(target);
        while (now_ns() - begin < 2e6);
        best = fmax(best, flops / (now_ns() - begin));
    }
    return best;
}

double nop_rate(void)
{
    enum { TURNS = 4000 };
    double begin = now_ns();
    for (int i = 0; i < TURNS; i++) __asm__ volatile(".rept 256\n\tnop\n\t.endr");
    return 256.0 * TURNS / (now_ns() - begin);
}

long switches(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_nivcsw : 0;
}
