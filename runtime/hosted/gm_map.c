/* Mapping a weight file. */
#if !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include "gm_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(gm_mapping *mapping, int descriptor, const char *what, int error)
{
    if (error) snprintf(mapping->error, sizeof mapping->error, "%s: %s", what, strerror(error));
    else snprintf(mapping->error, sizeof mapping->error, "%s", what);
    if (descriptor >= 0) close(descriptor);
    return GM_ERROR_FILE;
}

int gm_map(gm_mapping *mapping, const char *path)
{
    if (!mapping) return GM_ERROR_NULL;
    memset(mapping, 0, sizeof *mapping);
    if (!path) return GM_ERROR_NULL;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not hang */
    if (descriptor < 0) return fail(mapping, -1, "can't open", errno);
    struct stat about;
    if (fstat(descriptor, &about) != 0) return fail(mapping, descriptor, "can't be examined", errno);
    if (!S_ISREG(about.st_mode)) return fail(mapping, descriptor, "is no regular file", 0);
    if (about.st_size == 0) return fail(mapping, descriptor, "is empty", 0);
    if ((uint64_t)about.st_size > SIZE_MAX) return fail(mapping, descriptor, "is larger than this machine's memory", 0);
    void *data = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) return fail(mapping, descriptor, "can't be mapped", errno);
    close(descriptor);
    (void)posix_madvise(data, (size_t)about.st_size, POSIX_MADV_WILLNEED); /* bind reads it all */
    mapping->data = data;
    mapping->bytes = (size_t)about.st_size;
    return GM_OK;
}

void gm_unmap(gm_mapping *mapping)
{
    if (!mapping || !mapping->data) return;
    munmap((void *)(uintptr_t)mapping->data, mapping->bytes);
    mapping->data = NULL;
    mapping->bytes = 0;
}
