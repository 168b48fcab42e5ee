/* What this processor and operating system offer, as text for logs and error messages. C99 and C++11. */
#ifndef GM_CPU_H
#define GM_CPU_H

#include "gm_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the vector features that can be used ("avx2 fma avx512f avx512vl …"; "" where there are none or they aren't known) into `text`, cut off
 * at `bytes` with its ending zero. Returns the length of the whole. */
size_t gm_cpu_features(char *text, size_t bytes);
/* Processors that this process may run on, at least 1. */
int gm_cpu_count(void);

#ifdef __cplusplus
}
#endif
#endif
