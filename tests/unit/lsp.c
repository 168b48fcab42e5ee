/* The language server as an editor sees it: bytes in, messages out. Every session is a file of input, served in this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lsp/lsp.h"
#include "support/bug.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define URI "file:///nowhere/model.gm"

typedef struct {
    FILE *in;
    int id;
} Session;

static void raw(Session *session, const char *bytes, size_t size)
{
    assert_int_equal(fwrite(bytes, 1, size, session->in), size);
}

static void message(Session *session, const char *text)
{
    fprintf(session->in, "Content-Length: %zu\r\n\r\n%s", strlen(text), text);
}

static void message_json(Session *session, json_t *json)
{
    char *dump = json_dumps(json, 0);
    message(session, dump);
    free(dump);
    json_decref(json);
}

static int request(Session *session, const char *method, json_t *params)
{
    message_json(session, json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", ++session->id, "method", method, "params", params));
    return session->id;
}

static void notify(Session *session, const char *method, json_t *params)
{
    message_json(session, json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method, "params", params));
}

static Session begin(const char *encoding)
{
    Session session = {tmpfile(), 0};
    assert_non_null(session.in);
    request(&session, "initialize", json_pack("{s:{s:{s:[s]}}}", "capabilities", "general", "positionEncodings", encoding));
    notify(&session, "initialized", json_object());
    return session;
}

static void open_text(Session *session, const char *uri, const char *text)
{
    notify(session, "textDocument/didOpen",
           json_pack("{s:{s:s, s:s, s:i, s:s}}", "textDocument", "uri", uri, "languageId", "gm", "version", 1, "text", text));
}

static void replace_text(Session *session, const char *uri, int version, const char *text)
{
    notify(session, "textDocument/didChange",
           json_pack("{s:{s:s, s:i}, s:[{s:s}]}", "textDocument", "uri", uri, "version", version, "contentChanges", "text", text));
}

static json_t *position(const char *uri, long long line, long long column)
{
    return json_pack("{s:{s:s}, s:{s:I, s:I}}", "textDocument", "uri", uri, "position", "line", (json_int_t)line, "character", (json_int_t)column);
}

/* Serves the session. Returns all messages; the exit code goes to *code. */
static json_t *end(Session *session, int *code)
{
    request(session, "shutdown", json_null());
    notify(session, "exit", json_null());
    fflush(session->in);
    lseek(fileno(session->in), 0, SEEK_SET);
    FILE *out = tmpfile();
    *code = lsp_serve(fileno(session->in), fileno(out));
    json_t *list = json_array();
    size_t size;
    rewind(out);
    char blank[4];
    while (fscanf(out, "Content-Length: %zu", &size) == 1 && fread(blank, 1, 4, out) == 4) {
        char *body = malloc(size);
        assert_int_equal(fread(body, 1, size, out), size);
        json_t *one = json_loadb(body, size, 0, NULL);
        assert_non_null(one);
        json_array_append_new(list, one);
        free(body);
    }
    assert_int_equal(fgetc(out), EOF);
    fclose(out);
    fclose(session->in);
    return list;
}

/* The answer to a request, borrowed. */
static json_t *answer(json_t *list, int id)
{
    size_t k;
    json_t *one;
    json_array_foreach(list, k, one) if (json_integer_value(json_object_get(one, "id")) == id && !json_object_get(one, "method")) return one;
    fail_msg("request %d has no answer", id);
    return NULL;
}

static json_t *result(json_t *list, int id)
{
    json_t *found = json_object_get(answer(list, id), "result");
    assert_non_null(found);
    return found;
}

static json_int_t error_code(const json_t *reply)
{
    return json_integer_value(json_object_get(json_object_get(reply, "error"), "code"));
}

/* The diagnostics published last for a document. */
static json_t *problems(json_t *list, const char *uri)
{
    json_t *found = NULL, *one;
    size_t k;
    json_array_foreach(list, k, one) {
        json_t *params = json_object_get(one, "params");
        const char *of = json_string_value(json_object_get(params, "uri"));
        if (of && !strcmp(of, uri)) found = json_object_get(params, "diagnostics");
    }
    assert_non_null(found);
    return found;
}

static const char *hover_text(json_t *list, int id)
{
    const char *text = json_string_value(json_object_get(json_object_get(result(list, id), "contents"), "value"));
    return text ? text : "";
}

static bool has(json_t *reply, const char *label)
{
    size_t k;
    json_t *item;
    json_array_foreach(json_object_get(reply, "items"), k, item) if (!strcmp(json_string_value(json_object_get(item, "label")), label)) return true;
    return false;
}

#define assert_has(text, part)                                                  \
    do {                                                                        \
        if (!strstr((text), (part))) fail_msg("\"%s\" lacks \"%s\"", (text), (part)); \
    } while (0)

/* --- tests --------------------------------------------------------------------------------------------------------------- */

static const char *const model = "import \"norms.gm\"\n"
                                 "## Twice.\n"
                                 "block twice(x[N, C], BY = 2) -> [N, C] {\n"
                                 "  param scale[C] ~ ones\n"
                                 "  y[i, c] = BY * x[i, c] * scale[c]\n"
                                 "  return y\n"
                                 "}\n"
                                 "model m(TOKENS = 6, DIM = 2 * TOKENS) {\n"
                                 "  input a[TOKENS, DIM]\n"
                                 "  b = twice(a) @ one\n"
                                 "  repeat l < 3 { b = twice(b, BY = l) @ more[l] }\n"
                                 "  output o = layernorm(b) @ norm\n"
                                 "}\n";

static void test_malformed(void **state)
{
    (void)state;
    int code;
    Session session = begin("utf-16");
    message(&session, "{\"jsonrpc\": \"2.0\", \"id\": 7, ");
    message(&session, "[1, 2]");
    message(&session, "3");
    message(&session, "\"\\ud800\"");
    message(&session, "{\"id\": 70, \"method\": 3}");
    message(&session, "{}");
    raw(&session, "rubbish\r\n\r\nmore of it Content-Length: -4\r\n\r\n", 44);
    raw(&session, "Content-Length: 99999999999999999999\r\n\r\n", 40);
    raw(&session, "Content-Length: 5\r\n\r\n{\"jsonrpc\": \"2.0\", \"id\": 71}", 49); /* too short */
    raw(&session, "\0\0\xff\xfe", 4);
    int unknown = request(&session, "textDocument/unheardOf", json_object());
    notify(&session, "textDocument/unheardOf", json_object());
    notify(&session, "textDocument/didOpen", json_pack("{s:i}", "textDocument", 3));
    notify(&session, "textDocument/didChange", json_pack("[i]", 3));
    notify(&session, "textDocument/didClose", json_object());
    int closed = request(&session, "textDocument/hover", position("file:///not/open.gm", 0, 0));
    int strange = request(&session, "textDocument/hover", json_pack("[s]", "x"));
    json_t *list = end(&session, &code);
    assert_int_equal(code, 0);
    assert_int_equal(error_code(json_array_get(list, 1)), -32700);
    assert_int_equal(error_code(json_array_get(list, 2)), -32600);
    assert_int_equal(error_code(answer(list, unknown)), -32601);
    assert_int_equal(error_code(answer(list, closed)), -32602);
    assert_int_equal(error_code(answer(list, strange)), -32602);
    json_decref(list);
}

/* Without shutdown the end of the input is an error; requests before initialize and after shutdown are refused. */
static void test_life_cycle(void **state)
{
    (void)state;
    int code;
    Session session = {tmpfile(), 0};
    int early = request(&session, "textDocument/hover", position(URI, 0, 0));
    request(&session, "initialize", json_object());
    int down = request(&session, "shutdown", json_null());
    int late = request(&session, "textDocument/hover", position(URI, 0, 0));
    json_t *list = end(&session, &code);
    assert_int_equal(code, 0);
    assert_int_equal(error_code(answer(list, early)), -32002);
    assert_true(json_is_null(result(list, down)));
    assert_int_equal(error_code(answer(list, late)), -32600);
    json_decref(list);
    FILE *nothing = tmpfile(), *out = tmpfile();
    assert_int_equal(lsp_serve(fileno(nothing), fileno(out)), 1);
    fclose(nothing);
    fclose(out);
}

static void test_hover(void **state)
{
    (void)state;
    int code;
    Session session = begin("utf-16");
    open_text(&session, URI, model);
    int tensor = request(&session, "textDocument/hover", position(URI, 9, 2));
    int block = request(&session, "textDocument/hover", position(URI, 10, 24));
    int inside = request(&session, "textDocument/hover", position(URI, 4, 2));
    int size = request(&session, "textDocument/hover", position(URI, 2, 14));
    int weight = request(&session, "textDocument/hover", position(URI, 3, 9));
    int index = request(&session, "textDocument/hover", position(URI, 4, 4));
    int whole = request(&session, "textDocument/hover", position(URI, 7, 6));
    int drawn = request(&session, "textDocument/hover", position(URI, 3, 20));
    int keyword = request(&session, "textDocument/hover", position(URI, 10, 3));
    int far = request(&session, "textDocument/hover", position(URI, 4000000000LL, 9000000000LL));
    int wide = request(&session, "textDocument/hover", position(URI, 9, 1LL << 60));
    int negative = request(&session, "textDocument/hover", position(URI, -1, -1));
    json_t *list = end(&session, &code);
    assert_int_equal(json_array_size(problems(list, URI)), 0);
    assert_has(hover_text(list, tensor), "b: f32[6, 12]");
    assert_has(hover_text(list, block), "block twice(x[N, C], BY = 2) -> [N, C]");
    assert_has(hover_text(list, block), "Twice.");
    assert_has(hover_text(list, block), "12 parameters");
    assert_has(hover_text(list, block), "more.2");
    assert_has(hover_text(list, inside), "f32[6, 12]");
    assert_has(hover_text(list, inside), "4 calls");
    assert_has(hover_text(list, size), "N = 6");
    assert_has(hover_text(list, size), "TOKENS = 6 given at 8:9");
    assert_has(hover_text(list, weight), "one.scale");
    assert_has(hover_text(list, weight), "drawn `~ ones`");
    assert_has(hover_text(list, weight), "48 numbers");
    assert_has(hover_text(list, index), "i < 6");
    assert_has(hover_text(list, whole), "TOKENS = 6, DIM = 12");
    assert_has(hover_text(list, whole), "72 parameters");
    assert_has(hover_text(list, drawn), "all 1");
    assert_has(hover_text(list, keyword), "unrolled");
    (void)far, (void)wide, (void)negative;
    json_decref(list);
}

/* Characters outside the basic plane are two units of UTF-16 and four of UTF-8; edits come in both. */
static void test_positions(void **state)
{
    (void)state;
    for (int utf8 = 0; utf8 < 2; utf8++) {
        int code;
        Session session = begin(utf8 ? "utf-8" : "utf-16");
        open_text(&session, URI, "model m(N = 2) {\n  input x[N] # é𝄞 here\n  output y = nope(x)\n}\n");
        json_t *first = json_pack("{s:{s:{s:i, s:i}, s:{s:i, s:i}}, s:s}", "range", "start", "line", 1, "character", utf8 ? 21 : 18, "end", "line", 1,
                                  "character", utf8 ? 25 : 22, "text", "\n  z = zilch(x) #");
        json_t *second = json_pack("{s:{s:{s:i, s:i}, s:{s:i, s:i}}, s:s}", "range", "start", "line", 0, "character", 0, "end", "line", 0, "character", 0,
                                   "text", "# 𝄞\n");
        notify(&session, "textDocument/didChange",
               json_pack("{s:{s:s, s:i}, s:[o, o]}", "textDocument", "uri", URI, "version", 2, "contentChanges", first, second));
        int definition = request(&session, "textDocument/definition", position(URI, 3, 12));
        json_t *list = end(&session, &code);
        assert_int_equal(code, 0);
        json_t *range = json_object_get(json_array_get(problems(list, URI), 0), "range"), *start = json_object_get(range, "start");
        assert_int_equal(json_integer_value(json_object_get(start, "line")), 3);
        assert_int_equal(json_integer_value(json_object_get(start, "character")), 6);
        start = json_object_get(json_object_get(result(list, definition), "range"), "start");
        assert_int_equal(json_integer_value(json_object_get(start, "line")), 2);
        json_decref(list);
    }
}

/* A text that cannot be read still has its names and what is known of them. */
static void test_broken(void **state)
{
    (void)state;
    int code;
    Session session = begin("utf-16");
    open_text(&session, URI, model);
    request(&session, "textDocument/documentSymbol", json_pack("{s:{s:s}}", "textDocument", "uri", URI));
    char *broken = strdup(model);
    memcpy(strstr(broken, "layernorm(b)"), "lay [ = + ((", 12);
    replace_text(&session, URI, 2, broken);
    int hover = request(&session, "textDocument/hover", position(URI, 9, 2));
    int names = request(&session, "textDocument/completion", position(URI, 9, 6));
    int format = request(&session, "textDocument/formatting", json_pack("{s:{s:s}}", "textDocument", "uri", URI));
    replace_text(&session, URI, 3, "model m( {{{ \"");
    int worse = request(&session, "textDocument/completion", position(URI, 0, 12));
    replace_text(&session, URI, 4, "");
    request(&session, "textDocument/completion", position(URI, 0, 0));
    json_t *list = end(&session, &code);
    assert_int_equal(code, 0);
    assert_has(hover_text(list, hover), "b: f32[6, 12]");
    assert_true(has(result(list, names), "twice"));
    assert_true(has(result(list, names), "TOKENS"));
    assert_true(json_is_null(result(list, format)));
    result(list, worse);
    json_decref(list);
    free(broken);
}

static void test_completion(void **state)
{
    (void)state;
    int code;
    const char *text = "import \"\n"
                       "model m(N = 2) {\n"
                       "  input x[N, N] ~ image(c)\n"
                       "  param w[N] ~ t\n"
                       "  y[i, k] = sum[j](x[i, j] * x[j, ])\n"
                       "  output z = soft\n"
                       "  # so\n"
                       "}\n";
    Session session = begin("utf-16");
    open_text(&session, URI, text);
    int import = request(&session, "textDocument/completion", position(URI, 0, 8));
    int hint = request(&session, "textDocument/completion", position(URI, 2, 25));
    int initialiser = request(&session, "textDocument/completion", position(URI, 3, 16));
    int index = request(&session, "textDocument/completion", position(URI, 4, 34));
    int library = request(&session, "textDocument/completion", position(URI, 5, 17));
    int comment = request(&session, "textDocument/completion", position(URI, 6, 6));
    int statement = request(&session, "textDocument/completion", position(URI, 7, 0));
    int top = request(&session, "textDocument/completion", position(URI, 8, 0));
    json_t *list = end(&session, &code);
    assert_true(has(result(list, import), "norms.gm"));
    assert_true(has(result(list, hint), "crop_pct = "));
    assert_true(has(result(list, initialiser), "trunc_normal"));
    assert_true(has(result(list, index), "k") && has(result(list, index), "j") && has(result(list, index), "N"));
    assert_true(has(result(list, library), "softmax") && has(result(list, library), "exp") && has(result(list, library), "w"));
    assert_int_equal(json_array_size(json_object_get(result(list, comment), "items")), 0);
    assert_true(has(result(list, statement), "param") && has(result(list, statement), "input"));
    assert_true(has(result(list, top), "model") && !has(result(list, top), "param"));
    json_decref(list);
}

/* Unsaved texts stand for files, for imports too; what is wrong in them shows where they are imported. */
static void test_unsaved_imports(void **state)
{
    (void)state;
    int code;
    const char *other = "file:///nowhere/other%20one.gm";
    Session session = begin("utf-16");
    open_text(&session, other, "block f(x[N]) -> [N] {\n  return 2 * x\n}\n");
    open_text(&session, URI, "import \"./../nowhere/other one.gm\"\nmodel m(N = 2) {\n  input x[N]\n  output y = f(x)\n}\n");
    int inside = request(&session, "textDocument/hover", position(other, 0, 10));
    int definition = request(&session, "textDocument/definition", position(URI, 3, 13));
    int rename = request(&session, "textDocument/rename",
                         json_pack("{s:{s:s}, s:{s:i, s:i}, s:s}", "textDocument", "uri", URI, "position", "line", 3, "character", 13, "newName", "g"));
    replace_text(&session, other, 2, "block f(x[N]) -> [N] {\n  return 2 * x + w\n}\n");
    json_t *list = end(&session, &code);
    assert_has(hover_text(list, inside), "N = 2");
    assert_string_equal(json_string_value(json_object_get(result(list, definition), "uri")), other);
    assert_int_equal(json_object_size(json_object_get(result(list, rename), "changes")), 2);
    json_decref(list);
    session = begin("utf-16");
    open_text(&session, other, "block f(x[N]) -> [N] {\n  return 2 * x + w\n}\n");
    open_text(&session, URI, "import \"other one.gm\"\nmodel m(N = 2) {\n  input x[N]\n  output y = f(x)\n}\n");
    request(&session, "textDocument/hover", position(URI, 0, 0));
    list = end(&session, &code);
    json_t *problem = json_array_get(problems(list, URI), 0);
    assert_string_equal(json_string_value(json_object_get(problem, "code")), "GM020");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(problem, "range"), "start"), "line")), 3);
    const json_t *related = json_array_get(json_object_get(problem, "relatedInformation"), 0);
    assert_string_equal(json_string_value(json_object_get(json_object_get(related, "location"), "uri")), other);
    json_decref(list);
}

/* Every prefix of a text, typed key by key, with requests everywhere. */
static void test_typing(void **state)
{
    (void)state;
    int code;
    Session session = begin("utf-16");
    open_text(&session, URI, "");
    for (size_t length = 0; length <= strlen(model); length += 3) {
        char *prefix = strndup(model, length);
        int line = 0, column = 0;
        for (size_t k = 0; k < length; k++) line += prefix[k] == '\n', column = prefix[k] == '\n' ? 0 : column + 1;
        replace_text(&session, URI, (int)length + 2, prefix);
        request(&session, "textDocument/completion", position(URI, line, column));
        request(&session, "textDocument/signatureHelp", position(URI, line, column));
        request(&session, "textDocument/hover", position(URI, line, column ? column - 1 : 0));
        request(&session, "textDocument/documentSymbol", json_pack("{s:{s:s}}", "textDocument", "uri", URI));
        request(&session, "textDocument/references", position(URI, line, column));
        request(&session, "textDocument/documentHighlight", position(URI, line / 2, column));
        free(prefix);
    }
    json_t *list = end(&session, &code);
    assert_int_equal(code, 0);
    assert_true(json_is_null(result(list, session.id)));
    json_decref(list);
}

static void test_formatting(void **state)
{
    (void)state;
    int code;
    Session session = begin("utf-16");
    open_text(&session, URI, "model m(N=2) {\n  input x[N]\n  output y=x   *2\n}\n");
    int format = request(&session, "textDocument/formatting", json_pack("{s:{s:s}}", "textDocument", "uri", URI));
    json_t *list = end(&session, &code);
    json_t *edit = json_array_get(result(list, format), 0);
    assert_string_equal(json_string_value(json_object_get(edit, "newText")), "model m(N = 2) {\n  input x[N]\n  output y = x * 2\n");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(edit, "range"), "end"), "line")), 3);
    json_decref(list);
}

/* An internal fault is told to the one who asked, who goes on. */
static void test_trap(void **state)
{
    (void)state;
    BugTrap trap;
    volatile int faults = 0;
    bug_set_trap(&trap);
    if (setjmp(trap.back) == 0) bug("%d lines", 3);
    else faults++;
    bug_set_trap(NULL);
    assert_int_equal(faults, 1);
    assert_string_equal(trap.message, "3 lines");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed),   cmocka_unit_test(test_life_cycle), cmocka_unit_test(test_hover),
        cmocka_unit_test(test_positions),   cmocka_unit_test(test_broken),     cmocka_unit_test(test_completion),
        cmocka_unit_test(test_unsaved_imports), cmocka_unit_test(test_typing), cmocka_unit_test(test_formatting),
        cmocka_unit_test(test_trap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
