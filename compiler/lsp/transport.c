/* Messages in and out. In: bytes of a pipe, maybe damaged. Out: bodies of messages; what they mean is left to the server. */
#include "lsp/transport.h"

#include "support/text.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* At least one byte in the buffer; false at the end of the input. */
static bool fill(Transport *transport)
{
    if (transport->begin < transport->end) return true;
    ssize_t got;
    do got = read(transport->in, transport->buffer, sizeof transport->buffer);
    while (got < 0 && errno == EINTR);
    transport->begin = 0;
    transport->end = got > 0 ? (size_t)got : 0;
    return got > 0;
}

/* A line without its end; of a longer one only the last bytes, which is where a header stands behind rubbish. */
static bool read_line(Transport *transport, char *line, size_t size)
{
    size_t length = 0;
    for (;;) {
        if (!fill(transport)) return false;
        char c = transport->buffer[transport->begin++];
        if (c == '\n') break;
        if (length == size - 1) {
            memmove(line, line + size / 2, length - size / 2);
            length -= size / 2;
        }
        line[length++] = c ? c : ' ';
    }
    if (length && line[length - 1] == '\r') length--;
    line[length] = 0;
    return true;
}

/* The number after "Content-Length:" anywhere in the line; -1: there is none, -2: it is no length. */
static long long content_length(const char *line)
{
    const char *key = "content-length:";
    size_t length = strlen(key);
    for (; *line; line++) {
        if (strncasecmp(line, key, length) != 0) continue;
        char *end;
        line += length;
        while (*line == ' ') line++;
        long long value = isdigit((unsigned char)*line) ? strtoll(line, &end, 10) : -2;
        return value > LARGEST_MESSAGE ? -2 : value;
    }
    return -1;
}

MessageStatus transport_read(Transport *transport, Arena *arena, char **body, size_t *size, const char **problem)
{
    char line[512];
    long long length = -1;
    for (;;) {
        if (!read_line(transport, line, sizeof line)) return MESSAGE_END;
        if (!*line && length >= 0) break;
        long long found = content_length(line);
        if (found >= 0) length = found;
        if (found != -2) continue; /* other headers, and rubbish up to the next one */
        *problem = "a header without a usable Content-Length";
        return MESSAGE_MALFORMED;
    }
    *size = (size_t)length;
    *body = arena_alloc(arena, *size + 1);
    for (size_t got = 0; got < *size;) {
        if (!fill(transport)) return MESSAGE_END;
        size_t piece = transport->end - transport->begin;
        if (piece > *size - got) piece = *size - got;
        memcpy(*body + got, transport->buffer + transport->begin, piece);
        transport->begin += piece;
        got += piece;
    }
    return MESSAGE_READ;
}

bool transport_waiting(Transport *transport, int milliseconds)
{
    if (transport->begin < transport->end) return true;
    struct pollfd pipe = {.fd = transport->in, .events = POLLIN};
    return poll(&pipe, 1, milliseconds) > 0;
}

static bool write_all(int file, const char *data, size_t size)
{
    while (size) {
        ssize_t written = write(file, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        data += written;
        size -= (size_t)written;
    }
    return true;
}

bool transport_write(Transport *transport, json_t *message)
{
    char *dump = json_dumps(message, JSON_COMPACT), header[64];
    json_decref(message);
    if (!dump) return true; /* text that is no UTF-8: nothing was promised */
    size_t size = strlen(dump);
    int length = snprintf(header, sizeof header, "Content-Length: %zu\r\n\r\n", size);
    bool right = write_all(transport->out, header, (size_t)length) && write_all(transport->out, dump, size);
    free(dump);
    return right;
}
