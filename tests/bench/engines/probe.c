/* What the machine can do at this moment: multiply-adds a second of one core, and nops a nanosecond. The first is the yardstick; the second falls when
 * a neighbour on the host takes slots of the front end, which the first does not show. Built as a shared object, called between measured runs. */
#include <stdint.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

#if defined __aarch64__
#define NEXT_TURN "subs %0, %0, #1\n\tb.ne 1b\n\t"
#else
#define NEXT_TURN "dec %0\n\tjnz 1b\n\t"
#endif
static void nops(long count)
{
    __asm__ volatile(".p2align 6\n1:\n\t.rept 128\n\tnop\n\t.endr\n\t" NEXT_TURN : "+r"(count) : : "cc");
}

#if defined __x86_64__
#define R14(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)
#define ZERO512(i) "vpxord %%zmm" #i ",%%zmm" #i ",%%zmm" #i "\n\t"
#define FMA512(i) "vfmadd231ps %%zmm14,%%zmm15,%%zmm" #i "\n\t"
#define ZERO256(i) "vpxor %%ymm" #i ",%%ymm" #i ",%%ymm" #i "\n\t"
#define FMA256(i) "vfmadd231ps %%ymm14,%%ymm15,%%ymm" #i "\n\t"
#define CLOBBERED "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc"

/* 28 independent chains of multiply-adds a turn. */
static void fma512(long count)
{
    __asm__ volatile(R14(ZERO512) ZERO512(14) ZERO512(15) "1:\n\t" R14(FMA512) R14(FMA512) NEXT_TURN "vzeroupper\n\t" : "+r"(count) : : CLOBBERED);
}
static void fma256(long count)
{
    __asm__ volatile(R14(ZERO256) ZERO256(14) ZERO256(15) "1:\n\t" R14(FMA256) R14(FMA256) NEXT_TURN "vzeroupper\n\t" : "+r"(count) : : CLOBBERED);
}
int probe_lanes(void)
{
    return __builtin_cpu_supports("avx512f") ? 16 : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 8 : 0;
}
static void multiply_add(int lanes, long count)
{
    if (lanes == 16) fma512(count);
    else fma256(count);
}
#elif defined __aarch64__
#define R28(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27)
#define FMA128(i) "fmla v" #i ".4s, v30.4s, v31.4s\n\t"
#define NAME(i) "v" #i,
int probe_lanes(void) { return 4; }
static void multiply_add(int lanes, long count)
{
    (void)lanes;
    __asm__ volatile("movi v30.4s, #0\n\tmovi v31.4s, #0\n1:\n\t" R28(FMA128) NEXT_TURN : "+r"(count) : : R28(NAME) "v30", "v31", "cc");
}
#else
int probe_lanes(void) { return 0; }
static void multiply_add(int lanes, long count) { (void)lanes, (void)count; }
#endif

/* GFLOP/s of one core for vectors of so many lanes (0: the widest), over about `microseconds`. 0 where the machine has none. */
double probe_fma(int lanes, double microseconds)
{
    if (!lanes) lanes = probe_lanes();
    if (!lanes || lanes > probe_lanes()) return 0;
    long done = 0;
    double begin = now(), passed;
    do {
        multiply_add(lanes, 2000);
        done += 2000;
        passed = now() - begin;
    } while (passed < microseconds * 1e3);
    return (double)done * 28 * 2 * lanes / passed;
}

/* Nops a nanosecond. */
double probe_nop(double microseconds)
{
    long done = 0;
    double begin = now(), passed;
    do {
        nops(200);
        done += 200;
        passed = now() - begin;
    } while (passed < microseconds * 1e3);
    return (double)done * 128 / passed;
}
