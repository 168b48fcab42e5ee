/* Text and files. */
#include "support/text.h"

#include "support/bug.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Text text_new(Arena *arena)
{
    return (Text){.arena = arena};
}

void text_add_bytes(Text *text, const void *bytes, size_t count)
{
    if (text->length + count + 1 > text->capacity) {
        size_t capacity = text->capacity ? text->capacity * 2 : 256;
        while (capacity < text->length + count + 1) capacity *= 2;
        char *bigger = arena_alloc(text->arena, capacity);
        if (text->length) memcpy(bigger, text->data, text->length);
        text->data = bigger;
        text->capacity = capacity;
    }
    if (count) memcpy(text->data + text->length, bytes, count);
    text->length += count;
    text->data[text->length] = 0;
}

void text_add(Text *text, const char *more)
{
    text_add_bytes(text, more, strlen(more));
}

void text_printf(Text *text, const char *format, ...)
{
    char small[512];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(small, sizeof small, format, arguments);
    if (length < 0) bug("text_printf: bad format \"%s\"", format);
    if ((size_t)length < sizeof small) {
        text_add_bytes(text, small, (size_t)length);
    } else {
        char *large = arena_alloc(text->arena, (size_t)length + 1);
        vsnprintf(large, (size_t)length + 1, format, again);
        text_add_bytes(text, large, (size_t)length);
    }
    va_end(again);
    va_end(arguments);
}

const char *text_string(const Text *text)
{
    return text->data ? text->data : "";
}

bool text_ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

bool file_read(Arena *arena, const char *path, char **data, size_t *size, const char **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        *error = strerror(errno);
        if (fd >= 0) close(fd);
        return false;
    }
    if (!S_ISREG(status.st_mode)) {
        *error = S_ISDIR(status.st_mode) ? "is a directory" : "is not a regular file";
        close(fd);
        return false;
    }
    size_t wanted = (size_t)status.st_size, got = 0;
    char *bytes = arena_alloc(arena, wanted + 1);
    while (got < wanted) {
        ssize_t n = read(fd, bytes + got, wanted - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            *error = strerror(errno);
            close(fd);
            return false;
        }
        if (n == 0) break;
        got += (size_t)n;
    }
    close(fd);
    *data = bytes;
    *size = got;
    return true;
}

struct FileWriter {
    const char *path;
    char *temporary; /* NULL: writing straight to `path` (standard output or a device) */
    FILE *file;
    int error_number; /* the first failure */
};

FileWriter *file_writer_open(Arena *arena, const char *path, const char **error)
{
    FileWriter *writer = arena_new_object(arena, FileWriter);
    writer->path = path;
    struct stat status;
    bool device = strcmp(path, "-") != 0 && stat(path, &status) == 0 && !S_ISREG(status.st_mode);
    if (strcmp(path, "-") == 0) {
        writer->file = stdout;
        return writer;
    }
    if (device) {
        writer->file = S_ISDIR(status.st_mode) ? (errno = EISDIR, (FILE *)NULL) : fopen(path, "wb");
    } else {
        writer->temporary = arena_printf(arena, "%s.tmp.%ld", path, (long)getpid());
        writer->file = fopen(writer->temporary, "wbx");
    }
    if (!writer->file) {
        *error = strerror(errno);
        return NULL;
    }
    return writer;
}

bool file_writer_add(FileWriter *writer, const void *data, size_t size)
{
    if (!writer->error_number && size && fwrite(data, 1, size, writer->file) != size) writer->error_number = errno ? errno : EIO;
    return !writer->error_number;
}

void file_writer_cancel(FileWriter *writer)
{
    if (writer->file && writer->file != stdout) fclose(writer->file);
    if (writer->temporary) unlink(writer->temporary);
    writer->file = NULL;
}

bool file_writer_close(FileWriter *writer, const char **error)
{
    if (fflush(writer->file) != 0 && !writer->error_number) writer->error_number = errno;
    if (writer->file != stdout && fclose(writer->file) != 0 && !writer->error_number) writer->error_number = errno;
    writer->file = NULL;
    if (!writer->error_number && writer->temporary && rename(writer->temporary, writer->path) != 0) writer->error_number = errno;
    if (!writer->error_number) return true;
    *error = strerror(writer->error_number);
    file_writer_cancel(writer);
    return false;
}

bool file_write(const char *path, const void *data, size_t size, const char **error)
{
    Arena *arena = arena_new();
    FileWriter *writer = file_writer_open(arena, path, error);
    bool done = false;
    if (writer) {
        file_writer_add(writer, data, size);
        done = file_writer_close(writer, error);
    }
    arena_free(arena);
    return done;
}
