/* Internal faults: the compiler is wrong, not its user. Prints the message and the running pass, exits with code 70. */
#ifndef GM_SUPPORT_BUG_H
#define GM_SUPPORT_BUG_H

#include <setjmp.h>

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2), noreturn))
#endif
void bug(const char *format, ...);

/* Names the running pass for the message of `bug`; NULL: none. The text must stay alive. */
void bug_set_pass(const char *pass);

/* Where this thread's faults go instead of ending the process, for a server that outlives them; NULL: nowhere. What the interrupted work
 * left behind is of no use but to be freed. */
typedef struct {
    jmp_buf back;
    char message[400];
} BugTrap;
void bug_set_trap(BugTrap *trap);

#endif
