/* Processor features by CPUID, with the register state that the operating system saves. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "gm_cpu.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

static void add(char *text, size_t bytes, size_t *length, const char *word)
{
    if (*length) {
        if (*length + 1 < bytes) text[*length] = ' ', text[*length + 1] = 0;
        ++*length;
    }
    for (; *word; word++, ++*length)
        if (*length + 1 < bytes) text[*length] = *word, text[*length + 1] = 0;
}

size_t gm_cpu_features(char *text, size_t bytes)
{
    size_t length = 0;
    if (bytes) text[0] = 0;
#if defined(__x86_64__) && defined(__GNUC__)
    /* The compiler's own test includes the operating system's state. */
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) add(text, bytes, &length, "avx2");
    if (__builtin_cpu_supports("fma")) add(text, bytes, &length, "fma");
    if (__builtin_cpu_supports("avx512f")) add(text, bytes, &length, "avx512f");
    if (__builtin_cpu_supports("avx512vl")) add(text, bytes, &length, "avx512vl");
    if (__builtin_cpu_supports("avx512bw")) add(text, bytes, &length, "avx512bw");
    if (__builtin_cpu_supports("avx512dq")) add(text, bytes, &length, "avx512dq");
#elif defined(__aarch64__)
    add(text, bytes, &length, "neon");
#else
    (void)add;
#endif
    return length;
}

int gm_cpu_count(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 && count < 4096 ? (int)count : 1;
}
