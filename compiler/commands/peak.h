/* What this machine's multiply-add units can do, measured now: for percent of peak. */
#ifndef GM_COMMANDS_PEAK_H
#define GM_COMMANDS_PEAK_H

#include "target/target.h"

/* fp32 multiply-add peak of one core in GFLOP/s with a target's vectors (scalar: plain C), the fastest of `repeats` runs of about 2 ms. */
double peak_gflops(const Target *target, int repeats);
/* Nanoseconds of a monotonic clock. */
double now_ns(void);

#endif
