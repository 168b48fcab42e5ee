/* Checks one model text in a child process, so that crashes, hangs and internal faults are findings, not the end of the test. */
#ifndef GM_TESTS_RANDOM_CHILD_H
#define GM_TESTS_RANDOM_CHILD_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    CHILD_VERIFIED,    /* compiles, and every form agrees with the reference */
    CHILD_REJECTED,    /* located errors */
    CHILD_UNLOCATED,   /* an error without a place, or none at all */
    CHILD_WRONG,       /* compiled, but a form disagrees */
    CHILD_FAULT,       /* exit code 70 or another strange one */
    CHILD_CRASH,       /* a signal */
    CHILD_HANG
} ChildResult;
const char *child_result_name(ChildResult result);

/* `message` gets the first lines of what the child printed. `verify` 0: only up to the C text, nothing is compiled or run. */
ChildResult child_check(const char *text, const char *target, uint64_t seed, int verify, char *message, size_t size);

#endif
