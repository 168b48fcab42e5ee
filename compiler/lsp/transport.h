/* Messages of JSON-RPC: a header with their length, then as many bytes. */
#ifndef GM_LSP_TRANSPORT_H
#define GM_LSP_TRANSPORT_H

#include "support/arena.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { LARGEST_MESSAGE = 64 << 20, BUFFER_SIZE = 1 << 16 };

typedef struct {
    int in, out;
    size_t begin, end; /* of what is read and not yet taken, in buffer */
    char buffer[BUFFER_SIZE];
} Transport;

typedef enum { MESSAGE_READ, MESSAGE_MALFORMED, MESSAGE_END } MessageStatus;
/* The next message's bytes, on `arena`. Malformed: *problem says why; what is no header is skipped, so that reading can go on. */
MessageStatus transport_read(Transport *transport, Arena *arena, char **body, size_t *size, const char **problem);
/* Whether input comes within so many milliseconds. */
bool transport_waiting(Transport *transport, int milliseconds);
/* Writes a message and releases it. False: nobody reads any more. */
bool transport_write(Transport *transport, json_t *message);

#endif
