/* What this machine's multiply-add units can do, measured now: for percent of peak. */
#ifndef GM_COMMANDS_PEAK_H
#define GM_COMMANDS_PEAK_H

#include "target/target.h"

/* fp32 multiply-add peak of one core in GFLOP/s with a target's vectors (scalar: plain C), the fastest of `repeats` runs of about 2 ms. */
double peak_gflops(const Target *target, int repeats);
/* No-operations a nanosecond on this core, over about 0.1 ms. It falls, where the peak may not, when a neighbour on the same core takes
 * slots of the front end. */
double nop_rate(void);
/* Times this process lost a core to others so far. */
long switches(void);
/* Nanoseconds of a monotonic clock. */
double now_ns(void);

#endif
