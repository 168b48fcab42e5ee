/* Internal faults: the compiler is wrong, not its user. Prints the message and the running pass, exits with code 70. */
#ifndef GM_SUPPORT_BUG_H
#define GM_SUPPORT_BUG_H

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2), noreturn))
#endif
void bug(const char *format, ...);

/* Names the running pass for the message of `bug`; NULL: none. The text must stay alive. */
void bug_set_pass(const char *pass);

#endif
