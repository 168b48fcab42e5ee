/* Memory in huge pages. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* MAP_ANONYMOUS, madvise */
#endif
#include "gm_memory.h"

#include <stdint.h>
#include <sys/mman.h>

enum { PAGE = 64 << 10, HUGE_PAGE = 2 << 20 }; /* a multiple of every system's pages */

/* Whole huge pages, the last where at least half of it is used. */
static size_t reserved(size_t bytes)
{
    size_t rest = bytes % HUGE_PAGE;
    if (rest >= HUGE_PAGE / 2) return bytes - rest + HUGE_PAGE;
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

void *gm_memory_new(size_t bytes)
{
    if (bytes == 0 || bytes > SIZE_MAX - 2 * (size_t)HUGE_PAGE) return NULL;
    size_t size = reserved(bytes);
    /* From a multiple of a huge page on: what lies before and behind goes back. */
    char *all = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)all % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0) munmap(all, before);
    munmap(all + before + size, HUGE_PAGE - before);
#ifdef MADV_HUGEPAGE
    (void)madvise(all + before, size, MADV_HUGEPAGE);
#endif
    return all + before;
}

void gm_memory_delete(void *memory, size_t bytes)
{
    if (memory) munmap(memory, reserved(bytes));
}
