/* A pool of threads that implements gm_executor, for MODEL_run_on. C99 and C++11, POSIX threads.
 *
 *     gm_pool *pool = gm_pool_new(0);
 *     small_run_on(&weights, arena, gm_pool_executor(pool), pixels, logits);
 *     gm_pool_free(pool);
 *
 * Tasks write disjoint memory, so results are bit for bit those of one thread. A thread that waits looks for work for 5 milliseconds, giving
 * way to others that want its processor, and then blocks. A call from inside a task, or from a second thread while the pool is busy, runs its
 * tasks on the calling thread. */
#ifndef GM_POOL_H
#define GM_POOL_H

#include "gm_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_pool gm_pool;

/* `threads` counts the calling thread; 0: as many as processors. Fewer where the system gives no more. NULL: no memory, or threads < 0. */
gm_pool *gm_pool_new(int threads);
/* Ends the threads; no call may be running. NULL does nothing. */
void gm_pool_free(gm_pool *pool);
/* Valid until gm_pool_free. */
const gm_executor *gm_pool_executor(const gm_pool *pool);
/* Threads in all, the caller included. */
int gm_pool_threads(const gm_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
