/* Methods, and the loop that serves them. Nothing an editor sends ends it but `exit` and the end of the input.
 * Texts are analysed when the input rests, or before a request that needs it: keystrokes that come faster than that are taken together. */
#include "lsp/lsp.h"
#include "lsp/server.h"

#include <malloc.h>
#include <signal.h>
#include <string.h>

enum { PARSE_ERROR = -32700, INVALID_REQUEST = -32600, METHOD_NOT_FOUND = -32601, INVALID_PARAMS = -32602, NOT_INITIALIZED = -32002 };
enum { NOTICED = 60, LONGEST_WAIT = 300 }; /* milliseconds */

static void send(Server *server, json_t *message)
{
    if (!message || server->silent) json_decref(message);
    else if (!transport_write(&server->transport, message)) server->silent = server->done = true;
}

static void answer(Server *server, json_t *id, json_t *result)
{
    send(server, json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result ? result : json_null()));
}

static void answer_error(Server *server, json_t *id, int code, const char *message)
{
    json_t *error = json_pack("{s:i, s:s}", "code", code, "message", message);
    send(server, json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id ? id : json_null(), "error", error));
}

static void notify(Server *server, const char *method, json_t *params)
{
    send(server, json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method, "params", params));
}

/* --- analyses ------------------------------------------------------------------------------------------------------------ */

static void publish(Server *server, Document *document)
{
    json_t *problems = problems_json(server, document);
    notify(server, "textDocument/publishDiagnostics",
           json_pack("{s:s, s:I, s:o}", "uri", document->uri, "version", document->version, "diagnostics", problems));
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* By the names of files alone: once too often does no harm. */
static bool imports_changed(const Server *server, const Document *document)
{
    const Model *model = document->now && document->now->runs.count ? document->now->runs.data[0].model : NULL;
    for (int k = 1; model && k < model->files.count; k++)
        for (int i = 0; i < server->documents.count; i++) {
            const char *path = server->documents.data[i]->shown, *import = model->files.data[k]->source->name;
            if (server->documents.data[i]->changed && !strcmp(base_name(path), base_name(import))) return true;
        }
    return false;
}

static void analyse(Server *server, Document *document)
{
    Analysis *before = document->now;
    document->now = analysis_new(server, document);
    document->changed = false;
    if (document->now->right) {
        analysis_free(document->good);
        document->good = NULL;
    }
    if (before && before->right && !document->now->right) document->good = before;
    else analysis_free(before);
    publish(server, document);
}

void server_analyse(Server *server)
{
    bool any = false;
    for (int k = 0; k < server->documents.count; k++) any = any || server->documents.data[k]->changed;
    if (!any) return;
    for (int k = 0; k < server->documents.count; k++)
        if (!server->documents.data[k]->changed && imports_changed(server, server->documents.data[k])) server->documents.data[k]->changed = true;
    for (int k = 0; k < server->documents.count; k++)
        if (server->documents.data[k]->changed) analyse(server, server->documents.data[k]);
}

/* How long to wait for more input before the changes are analysed: as long as that took last time, where it took long. */
static int patience(const Server *server)
{
    int longest = -1;
    for (int k = 0; k < server->documents.count; k++) {
        const Document *document = server->documents.data[k];
        if (!document->changed) continue;
        int last = document->now ? document->now->milliseconds : 0;
        if (last < NOTICED) last = 0;
        if (last > LONGEST_WAIT) last = LONGEST_WAIT;
        if (last > longest) longest = last;
    }
    return longest;
}

/* --- life cycle ---------------------------------------------------------------------------------------------------------- */

static bool lists(const json_t *array, const char *word)
{
    size_t k;
    json_t *one;
    json_array_foreach(array, k, one) if (json_is_string(one) && !strcmp(json_string_value(one), word)) return true;
    return false;
}

static const json_t *member(const json_t *object, const char *a, const char *b, const char *c)
{
    return json_object_get(json_object_get(json_object_get(object, a), b), c);
}

static json_t *request_initialize(Server *server, Document *document, json_t *params)
{
    (void)document;
    const json_t *capabilities = json_object_get(params, "capabilities");
    server->utf8 = lists(json_object_get(json_object_get(capabilities, "general"), "positionEncodings"), "utf-8");
    server->markdown = lists(member(capabilities, "textDocument", "hover", "contentFormat"), "markdown");
    server->initialized = true;
    enum { INCREMENTAL = 2 };
    json_t *provided = json_pack(
        "{s:s, s:{s:b, s:i, s:b}, s:b, s:b, s:b, s:b, s:b, s:b, s:{s:b}, s:{s:[s,s,s,s,s,s]}, s:{s:[s,s]}}", "positionEncoding", server->utf8 ? "utf-8" : "utf-16",
        "textDocumentSync", "openClose", 1, "change", INCREMENTAL, "save", 1, "hoverProvider", 1, "definitionProvider", 1, "referencesProvider", 1,
        "documentHighlightProvider", 1, "documentSymbolProvider", 1, "documentFormattingProvider", 1, "renameProvider", "prepareProvider", 1,
        "completionProvider", "triggerCharacters", "\"", "~", "@", ":", ">", "[", "signatureHelpProvider", "triggerCharacters", "(", ",");
    return json_pack("{s:o, s:{s:s, s:s}}", "capabilities", provided, "serverInfo", "name", "gmlpc", "version", GMLPC_VERSION);
}

static json_t *request_shutdown(Server *server, Document *document, json_t *params)
{
    (void)document, (void)params;
    server->shut_down = true;
    return NULL;
}

static void notified_exit(Server *server, json_t *params)
{
    (void)params;
    server->done = true;
}

/* --- documents ----------------------------------------------------------------------------------------------------------- */

static const char *uri_of(const json_t *params)
{
    return json_string_value(json_object_get(json_object_get(params, "textDocument"), "uri"));
}

static json_int_t version_of(const json_t *params)
{
    return json_integer_value(json_object_get(json_object_get(params, "textDocument"), "version"));
}

static void notified_open(Server *server, json_t *params)
{
    const json_t *text = json_object_get(json_object_get(params, "textDocument"), "text");
    const char *uri = uri_of(params);
    if (uri && json_is_string(text)) document_open(server, uri, json_string_value(text), json_string_length(text), version_of(params));
}

static void notified_change(Server *server, json_t *params)
{
    Document *document = document_find(server, uri_of(params));
    if (document) document_change(server, document, json_object_get(params, "contentChanges"), version_of(params));
}

static void notified_close(Server *server, json_t *params)
{
    Document *document = document_find(server, uri_of(params));
    if (!document) return;
    notify(server, "textDocument/publishDiagnostics", json_pack("{s:s, s:[]}", "uri", document->uri, "diagnostics"));
    document_close(server, document);
}

/* A file was written: whatever imports it may be right now. */
static void notified_files(Server *server, json_t *params)
{
    (void)params;
    for (int k = 0; k < server->documents.count; k++) server->documents.data[k]->changed = true;
}

/* --- methods ------------------------------------------------------------------------------------------------------------- */

typedef json_t *Request(Server *server, Document *document, json_t *params);
typedef void Notified(Server *server, json_t *params);
static const struct {
    const char *method;
    Request *request;  /* or NULL: */
    Notified *notified;
    bool document;     /* the request is about an open one, analysed before */
} methods[] = {
    {"initialize", request_initialize, NULL, false},
    {"shutdown", request_shutdown, NULL, false},
    {"exit", NULL, notified_exit, false},
    {"initialized", NULL, NULL, false},
    {"$/cancelRequest", NULL, NULL, false},
    {"textDocument/didOpen", NULL, notified_open, false},
    {"textDocument/didChange", NULL, notified_change, false},
    {"textDocument/didSave", NULL, notified_files, false},
    {"workspace/didChangeWatchedFiles", NULL, notified_files, false},
    {"textDocument/didClose", NULL, notified_close, false},
    {"textDocument/hover", request_hover, NULL, true},
    {"textDocument/definition", request_definition, NULL, true},
    {"textDocument/references", request_references, NULL, true},
    {"textDocument/documentHighlight", request_highlight, NULL, true},
    {"textDocument/prepareRename", request_prepare_rename, NULL, true},
    {"textDocument/rename", request_rename, NULL, true},
    {"textDocument/completion", request_completion, NULL, true},
    {"textDocument/signatureHelp", request_signature, NULL, true},
    {"textDocument/documentSymbol", request_symbols, NULL, true},
    {"textDocument/formatting", request_formatting, NULL, true},
};
enum { METHODS = sizeof methods / sizeof *methods };

static void serve_request(Server *server, int k, json_t *id, json_t *params)
{
    Document *document = NULL;
    if (methods[k].document) {
        document = document_find(server, uri_of(params));
        if (!document) {
            answer_error(server, id, INVALID_PARAMS, "this document is not open");
            return;
        }
        server_analyse(server);
    }
    answer(server, id, methods[k].request(server, document, params));
}

static void serve(Server *server, json_t *message)
{
    json_t *id = json_object_get(message, "id"), *params = json_object_get(message, "params");
    const char *method = json_string_value(json_object_get(message, "method"));
    if (!method) {
        bool response = json_object_get(message, "result") || json_object_get(message, "error");
        if (!response) answer_error(server, id, INVALID_REQUEST, "a message without a method");
        return;
    }
    int k = 0;
    while (k < METHODS && strcmp(methods[k].method, method) != 0) k++;
    if (id && server->shut_down) answer_error(server, id, INVALID_REQUEST, "the server is shutting down");
    else if (id && !server->initialized && strcmp(method, "initialize") != 0) answer_error(server, id, NOT_INITIALIZED, "initialize comes first");
    else if (id && (k == METHODS || !methods[k].request)) answer_error(server, id, METHOD_NOT_FOUND, arena_printf(server->scratch, "there is no request %s", method));
    else if (id) serve_request(server, k, id, params);
    else if (k < METHODS && methods[k].notified && (server->initialized || !strcmp(method, "exit"))) methods[k].notified(server, params);
}

static void serve_body(Server *server, const char *body, size_t size)
{
    json_error_t error;
    json_t *message = json_loadb(body, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (!message) answer_error(server, NULL, PARSE_ERROR, error.text);
    else if (json_is_object(message)) serve(server, message);
    else answer_error(server, NULL, INVALID_REQUEST, "a message is an object");
    json_decref(message);
}

int lsp_serve(int in, int out)
{
    signal(SIGPIPE, SIG_IGN);
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 1 << 20); /* what an analysis took goes back when it is freed, not into holes */
#endif
    Arena *arena = arena_new();
    Server *server = arena_new_object(arena, Server);
    server->arena = arena;
    server->scratch = arena_new();
    server->transport.in = in;
    server->transport.out = out;
    while (!server->done) {
        int wait = patience(server);
        if (wait >= 0 && !transport_waiting(&server->transport, wait)) server_analyse(server);
        char *body;
        const char *problem;
        size_t size;
        MessageStatus status = server->done ? MESSAGE_END : transport_read(&server->transport, server->scratch, &body, &size, &problem);
        if (status == MESSAGE_END) break;
        if (status == MESSAGE_MALFORMED) answer_error(server, NULL, PARSE_ERROR, problem);
        else serve_body(server, body, size);
        arena_reset(server->scratch);
    }
    int code = server->shut_down ? 0 : 1;
    while (server->documents.count) document_close(server, server->documents.data[0]);
    arena_free(server->scratch);
    arena_free(arena);
    return code;
}
