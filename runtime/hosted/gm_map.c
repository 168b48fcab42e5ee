/* Mapping and reading a weight file. */
#if !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include "gm_map.h"

#include "gm_memory.h"

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

/* A regular file of at least one byte, open for reading: its descriptor and size, or -1 and the mapping's error. */
static int open_file(gm_mapping *mapping, const char *path, size_t *bytes)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not hang */
    struct stat about;
    if (descriptor < 0) (void)fail(mapping, -1, "can't open", errno);
    else if (fstat(descriptor, &about) != 0) (void)fail(mapping, descriptor, "can't be examined", errno);
    else if (!S_ISREG(about.st_mode)) (void)fail(mapping, descriptor, "is no regular file", 0);
    else if (about.st_size == 0) (void)fail(mapping, descriptor, "is empty", 0);
    else if ((uint64_t)about.st_size > SIZE_MAX) (void)fail(mapping, descriptor, "is larger than this machine's memory", 0);
    else {
        *bytes = (size_t)about.st_size;
        return descriptor;
    }
    return -1;
}

int gm_map(gm_mapping *mapping, const char *path)
{
    if (!mapping) return GM_ERROR_NULL;
    memset(mapping, 0, sizeof *mapping);
    if (!path) return GM_ERROR_NULL;
    size_t bytes = 0;
    int descriptor = open_file(mapping, path, &bytes);
    if (descriptor < 0) return GM_ERROR_FILE;
    void *data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) return fail(mapping, descriptor, "can't be mapped", errno);
    close(descriptor);
    (void)posix_madvise(data, bytes, POSIX_MADV_WILLNEED); /* bind reads it all */
    mapping->data = data;
    mapping->bytes = bytes;
    return GM_OK;
}

int gm_load(gm_mapping *mapping, const char *path)
{
    if (!mapping) return GM_ERROR_NULL;
    memset(mapping, 0, sizeof *mapping);
    if (!path) return GM_ERROR_NULL;
    size_t bytes = 0, done = 0;
    int descriptor = open_file(mapping, path, &bytes);
    if (descriptor < 0) return GM_ERROR_FILE;
    char *data = gm_memory_new(bytes);
    if (!data) return fail(mapping, descriptor, "is larger than the memory that is left", 0);
    while (done < bytes) {
        ssize_t more = read(descriptor, data + done, bytes - done);
        if (more < 0 && errno == EINTR) continue;
        if (more <= 0) {
            int error = more < 0 ? errno : 0;
            gm_memory_delete(data, bytes);
            return fail(mapping, descriptor, error ? "can't be read" : "became shorter while it was read", error);
        }
        done += (size_t)more;
    }
    close(descriptor);
    mapping->data = data;
    mapping->bytes = bytes;
    mapping->loaded = 1;
    return GM_OK;
}

void gm_unmap(gm_mapping *mapping)
{
    if (!mapping || !mapping->data) return;
    void *data = (void *)(uintptr_t)mapping->data;
    if (mapping->loaded) gm_memory_delete(data, mapping->bytes);
    else munmap(data, mapping->bytes);
    mapping->data = NULL;
    mapping->bytes = 0;
}
