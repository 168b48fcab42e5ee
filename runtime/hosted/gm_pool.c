/* The thread pool.
 *
 * A call splits [0, count) into one contiguous range a thread. Each thread works through its own range and then through what is left of the
 * others'. What is left of a range stands in one 64-bit word, (generation << 32 | remaining): a thread claims a task by lowering it, which fails
 * when the call it saw has ended, so that a thread that slept through a call can do no harm and nobody waits for it. The job's fields count
 * after a claim alone: until the claimed task is reported, the call can't end and they can't change.
 *
 * A line of memory that one thread writes and another reads takes a few hundred nanoseconds to get there, as long as a small task. So a thread
 * reports its tasks once a call, what a call is about lies in one line that workers only read, and what they need next is asked for early.
 *
 * Who waits looks again and again for SPIN_NANOSECONDS before it blocks: waking a thread up can cost more than a kernel takes, and threads
 * that seldom sleep stay on processors of their own. In between it gives way to whoever else wants the processor, the awaited thread perhaps.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "gm_pool.h"

#include "gm_cpu.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

enum { SPIN_NANOSECONDS = 5000000, LOOKS_A_TURN = 64, MOST_THREADS = 1024 };

typedef struct {
    _Alignas(64) _Atomic uint64_t left; /* generation << 32 | tasks that nobody has claimed */
    int end;                            /* task after the range's last */
} Range;

typedef struct {
    gm_pool *pool;
    int number;
    pthread_t thread;
} Worker;

struct gm_pool {
    gm_executor executor;
    int threads;
    Range *ranges;       /* one a thread */
    Worker *workers;     /* threads - 1 */
    _Alignas(64) atomic_flag busy;            /* a call is running */
    _Alignas(64) _Atomic uint32_t generation; /* of the latest call */
    void (*body)(void *argument, int index);
    _Atomic(void *) argument;
    _Alignas(64) _Atomic int pending;         /* its tasks that are not reported */
    _Alignas(64) _Atomic int sleepers;        /* workers that block, or are about to */
    _Atomic int caller_sleeps;
    _Atomic bool stop;
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Runs every task that is left in one range of the call `generation`; returns how many. */
static int work_through(gm_pool *pool, Range *range, uint32_t generation)
{
    int done = 0;
    uint64_t left = atomic_load(&range->left);
    for (;;) {
        if ((uint32_t)(left >> 32) != generation || (uint32_t)left == 0) return done;
        if (!atomic_compare_exchange_weak(&range->left, &left, left - 1)) continue;
        pool->body(atomic_load_explicit(&pool->argument, memory_order_relaxed), range->end - (int)(uint32_t)left);
        done++;
        left = atomic_load(&range->left);
    }
}

static void take_part(gm_pool *pool, int number, uint32_t generation)
{
    __builtin_prefetch(&pool->ranges[number], 1);
    __builtin_prefetch(atomic_load_explicit(&pool->argument, memory_order_relaxed));
    int done = 0;
    for (int i = 0; i < pool->threads; i++) done += work_through(pool, &pool->ranges[(number + i) % pool->threads], generation);
    if (done && atomic_fetch_sub(&pool->pending, done) == done && atomic_load(&pool->caller_sleeps)) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_signal(&pool->done);
        pthread_mutex_unlock(&pool->mutex);
    }
}

/* Waits for a call after `seen`; spins first, then blocks. */
static uint32_t next_call(gm_pool *pool, uint32_t seen)
{
    int64_t start = now();
    do {
        for (int i = 0; i < LOOKS_A_TURN; i++) {
            uint32_t generation = atomic_load(&pool->generation);
            if (generation != seen || atomic_load(&pool->stop)) return generation;
            relax();
        }
        sched_yield();
    } while (now() - start < SPIN_NANOSECONDS);
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->generation) == seen && !atomic_load(&pool->stop)) pthread_cond_wait(&pool->work, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
    return atomic_load(&pool->generation);
}

static void *worker_main(void *argument)
{
    Worker *worker = argument;
    gm_pool *pool = worker->pool;
    uint32_t seen = 0;
    for (;;) {
        seen = next_call(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        take_part(pool, worker->number, seen);
    }
}

static void wait_for_the_rest(gm_pool *pool)
{
    int64_t start = now();
    do {
        for (int i = 0; i < LOOKS_A_TURN; i++) {
            if (atomic_load(&pool->pending) == 0) return;
            relax();
        }
        sched_yield();
    } while (now() - start < SPIN_NANOSECONDS);
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, 1);
    while (atomic_load(&pool->pending) != 0) pthread_cond_wait(&pool->done, &pool->mutex);
    atomic_store(&pool->caller_sleeps, 0);
    pthread_mutex_unlock(&pool->mutex);
}

static void parallel_for(void *context, int count, void (*body)(void *argument, int index), void *argument)
{
    gm_pool *pool = context;
    if (count <= 1 || pool->threads == 1 || atomic_flag_test_and_set(&pool->busy)) {
        for (int i = 0; i < count; i++) body(argument, i);
        return;
    }
    uint32_t generation = atomic_load(&pool->generation) + 1;
    pool->body = body;
    atomic_store_explicit(&pool->argument, argument, memory_order_relaxed);
    atomic_store_explicit(&pool->pending, count, memory_order_relaxed);
    for (int i = 0; i < pool->threads; i++) {
        int start = (int)((int64_t)count * i / pool->threads), end = (int)((int64_t)count * (i + 1) / pool->threads);
        pool->ranges[i].end = end;
        atomic_store_explicit(&pool->ranges[i].left, (uint64_t)generation << 32 | (uint32_t)(end - start), memory_order_release);
    }
    atomic_store(&pool->generation, generation);
    if (atomic_load(&pool->sleepers)) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->mutex);
    }
    take_part(pool, 0, generation);
    wait_for_the_rest(pool);
    atomic_flag_clear(&pool->busy);
}

/* Signals are the program's own business: its threads get them, workers don't. */
static int start_worker(Worker *worker)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

gm_pool *gm_pool_new(int threads)
{
    if (threads < 0) return NULL;
    if (threads == 0) threads = gm_cpu_count();
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    gm_pool *pool = aligned_alloc(64, (sizeof *pool + 63) / 64 * 64);
    Range *ranges = aligned_alloc(64, sizeof *ranges * (size_t)threads);
    Worker *workers = calloc((size_t)threads, sizeof *workers);
    if (!pool || !ranges || !workers) {
        free(pool);
        free(ranges);
        free(workers);
        return NULL;
    }
    *pool = (gm_pool){.executor = {pool, parallel_for, threads}, .threads = threads, .ranges = ranges, .workers = workers, .busy = ATOMIC_FLAG_INIT};
    for (int i = 0; i < threads; i++) {
        atomic_init(&ranges[i].left, 0);
        ranges[i].end = 0;
    }
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    int started = 0;
    for (; started < threads - 1; started++) {
        workers[started].pool = pool;
        workers[started].number = started + 1;
        if (start_worker(&workers[started]) != 0) break;
    }
    pool->threads = pool->executor.threads = started + 1; /* safe: before the first call no worker reads it */
    return pool;
}

void gm_pool_free(gm_pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->threads - 1; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->ranges);
    free(pool->workers);
    free(pool);
}

const gm_executor *gm_pool_executor(const gm_pool *pool)
{
    return &pool->executor;
}

int gm_pool_threads(const gm_pool *pool)
{
    return pool->threads;
}
