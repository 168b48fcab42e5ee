/* gmlpc graph MODEL.gm: a picture of the model, by Graphviz; or its text for Graphviz, which needs no other program. */
#include "commands/commands.h"
#include "commands/graph_dot.h"
#include "commands/options.h"
#include "commands/report.h"
#include "pipeline.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { DEFAULT_DEPTH = 2, MOST_LEAVES = 100 };

typedef struct {
    ModelOptions model;
    const char *output, *level, *direction;
    long depth;
} GraphOptions;

/* --- Graphviz ------------------------------------------------------------------------------------------------------ */
static bool fail(Diagnostics *diags, const char *what, const char *said)
{
    Diagnostic *diag = diag_error(diags, GM190, (Place){0}, "%s", what);
    if (*said) diag_note(diag, (Place){0}, "it says:\n%s", said);
    diag_help(diag, "pictures are drawn by the program dot of Graphviz (Debian: graphviz); -o NAME.dot writes its input without it");
    return false;
}

static const char *whole_stream(Arena *arena, FILE *file, size_t *size)
{
    Text text = text_new(arena);
    char piece[4096];
    rewind(file);
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;) text_add_bytes(&text, piece, n);
    *size = text.length;
    return text_string(&text);
}

/* Runs `dot -Tkind` from `in` to `out`, its words to `words`. Returns its exit code, or -1 with *error. */
static int run_dot(Arena *arena, const char *kind, FILE *in, FILE *out, FILE *words, int *error)
{
    char *arguments[] = {(char *)"dot", arena_printf(arena, "-T%s", kind), NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fileno(in), 0);
    posix_spawn_file_actions_adddup2(&actions, fileno(out), 1);
    posix_spawn_file_actions_adddup2(&actions, fileno(words), 2);
    *error = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (*error) return -1;
    while (waitpid(child, &status, 0) < 0) {
        if (errno == EINTR) continue;
        *error = errno;
        return -1;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) *error = ENOENT; /* how some systems report a missing program */
    return WIFEXITED(status) && !*error ? WEXITSTATUS(status) : -1;
}

static bool render(const char *kind, Text *text, Diagnostics *diags)
{
    Arena *arena = text->arena;
    FILE *in = tmpfile(), *out = tmpfile(), *words = tmpfile();
    bool good = in && out && words && fwrite(text->data, 1, text->length, in) == text->length && fflush(in) == 0;
    if (!good) fail(diags, "no temporary file can be written", "");
    if (good) {
        int error = 0, code;
        rewind(in);
        code = run_dot(arena, kind, in, out, words, &error);
        size_t size = 0, said = 0;
        const char *picture = whole_stream(arena, out, &size), *message = whole_stream(arena, words, &said);
        if (error) good = fail(diags, arena_printf(arena, "the program dot can't be started: %s", strerror(error)), "");
        else if (code != 0 || !size) good = fail(diags, "the program dot fails on the model's graph", message);
        text->data = (char *)picture;
        text->length = size;
    }
    if (in) fclose(in);
    if (out) fclose(out);
    if (words) fclose(words);
    return good;
}

/* --- the command --------------------------------------------------------------------------------------------------- */
/* "svg" for model.svg; NULL: no kind that is known. */
static const char *picture_kind(const char *path)
{
    static const char *const kinds[] = {"dot", "svg", "png", "pdf"};
    const char *dot = path ? strrchr(path, '.') : NULL;
    if (!path || strcmp(path, "-") == 0) return "dot";
    for (size_t i = 0; dot && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(dot + 1, kinds[i]) == 0) return kinds[i];
    return NULL;
}

static void show(Arena *arena, const GraphOptions *o, const char *path, Diagnostics *diags)
{
    Pipeline pipeline;
    PipelineRequest request = {.target = o->model.target, .stop = STAGE_EQUATIONS};
    request.model = model_request(arena, &o->model, path);
    if (!pipeline_run(arena, &request, &pipeline, diags)) return;
    GraphStyle style = {.equations = strcmp(o->level, "equation") == 0, .sideways = strcmp(o->direction, "right") == 0};
    long depth = style.equations ? 0 : o->depth ? o->depth : DEFAULT_DEPTH;
    BlockTree tree = block_tree(arena, pipeline.module, depth);
    for (; !style.equations && !o->depth && depth > 1 && tree.leaf_count > MOST_LEAVES; depth--) tree = block_tree(arena, pipeline.module, depth - 1);
    block_tree_join(arena, &tree);
    Text text = text_new(arena);
    graph_dot(pipeline.module, &tree, &style, &text);
    const char *kind = picture_kind(o->output), *error = NULL, *output = o->output ? o->output : "-";
    if (strcmp(kind, "dot") != 0 && !render(kind, &text, diags)) return;
    if (!file_write(output, text.data, text.length, &error)) diag_error(diags, GM171, (Place){0}, "%s can't be written: %s", output, error);
}

static int check_options(const GraphOptions *o, const Words *files)
{
    if (files->count != 1) return wrong_call("graph", files->count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if (!picture_kind(o->output)) return wrong_call("graph", "-o names a .svg, .png, .pdf or .dot file, not %s", o->output);
    if (strcmp(o->level, "block") != 0 && strcmp(o->level, "equation") != 0) return wrong_call("graph", "--level is block or equation, not \"%s\"", o->level);
    if (strcmp(o->direction, "down") != 0 && strcmp(o->direction, "right") != 0)
        return wrong_call("graph", "--direction is down or right, not \"%s\"", o->direction);
    if (o->depth < 0 || o->depth > 100) return wrong_call("graph", "--depth is 1 to 100 (0: as fits), not %ld", o->depth);
    return check_batch("graph", &o->model);
}

int command_graph(int argc, char **argv)
{
    Arena *arena = arena_new();
    GraphOptions o = {.model = {.batch = 1}, .level = "block", .direction = "down", .depth = 0};
    Words files = {0};
    const Option rows[] = {
        {"output", 'o', OPTION_TEXT, &o.output, "FILE", "model.svg, .png or .pdf (drawn by Graphviz), or .dot; without it: dot on standard output"},
        {"level", 'l', OPTION_TEXT, &o.level, "LEVEL", "block (default), or equation: every equation written out"},
        {"depth", 'd', OPTION_INT, &o.depth, "N", "block level: draw blocks N calls deep as a whole (default 2, or 1 where that are too many)"},
        {"direction", 0, OPTION_TEXT, &o.direction, "D", "down (default) or right"},
        MODEL_OPTIONS(o.model),
        BATCH_OPTION(o.model),
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm -o MODEL.svg [OPTION…]", "A picture of the model: blocks with their costs, tensors with their shapes, equal turns folded.",
                             rows, sizeof rows / sizeof rows[0], &files);
    if (code < 0) code = check_options(&o, &files);
    if (code < 0) {
        Diagnostics *diags = diagnostics_new(arena);
        show(arena, &o, files.data[0], diags);
        code = report(diags);
    }
    arena_free(arena);
    return code;
}
