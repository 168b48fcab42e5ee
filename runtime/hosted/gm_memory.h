/* Memory for weights and arenas. A model reads all of its weights for every input; behind pages of 4 KB the processor looks up tens of
 * thousands of addresses for that, behind huge ones a few. C99 and C++11, POSIX. */
#ifndef GM_MEMORY_H
#define GM_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `bytes` of zeros at a multiple of 2 MB, in huge pages where the system gives them (Linux, transparent_hugepage "madvise" or "always");
 * rounding up takes at most 1 MB. NULL: there is no more memory, or bytes is 0. */
void *gm_memory_new(size_t bytes);
/* Gives back what gm_memory_new(bytes) returned; NULL is left alone. */
void gm_memory_delete(void *memory, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
