/* Static screening: every variant expanded, counted and scheduled, in several processes; nothing is run and no weights are needed.
 * In: the variants.  Out: their costs, or their first error. What the journal knows is not computed again. */
#include "emit_c/blob.h"
#include "commands/survey.h"
#include "explore/explore.h"
#include "model/model.h"
#include "passes/passes.h"
#include "support/bug.h"

#include <errno.h>
#include <poll.h>
#include <inttypes.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_JOBS = 64 };

/* --- one variant -------------------------------------------------------------------------------------------------- */

static json_t *block_rows(Arena *arena, const Module *module)
{
    Rows rows = survey_module(arena, 1, module);
    json_t *list = json_array();
    for (int i = 0; i < rows.count; i++) {
        const Row *row = &rows.data[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I}", "path", row_path(arena, row), "block",
                                              row->frame && row->frame->block ? row->frame->block : "", "shape", row->shape, "times", row->times, "parameters",
                                              (json_int_t)row->cost.parameters, "macs", (json_int_t)row->cost.macs, "flops", (json_int_t)row->cost.flops, "bytes",
                                              (json_int_t)row->cost.bytes));
    }
    return list;
}

/* The first error as one line: "9:36: index j has two sizes [GM040]". */
static const char *first_error(Arena *arena, const Diagnostics *diags)
{
    Text text = text_new(arena);
    diagnostics_json(diags, &text);
    json_t *all = json_loads(text_string(&text), 0, NULL), *entry;
    const char *result = "it can't be compiled";
    size_t i;
    json_array_foreach(json_object_get(all, "diagnostics"), i, entry) {
        const char *severity = json_string_value(json_object_get(entry, "severity"));
        if (!severity || strcmp(severity, "error") != 0) continue;
        const char *message = json_string_value(json_object_get(entry, "message")), *code = json_string_value(json_object_get(entry, "code"));
        const char *file = json_string_value(json_object_get(entry, "file"));
        int line = (int)json_integer_value(json_object_get(entry, "line"));
        const char *place = file && line ? arena_printf(arena, "%s:%d:%d: ", file, line, (int)json_integer_value(json_object_get(entry, "column"))) : "";
        result = arena_printf(arena, "%s%s [%s]", place, message ? message : "", code ? code : "");
        break;
    }
    json_decref(all);
    return result;
}

static json_t *screen_one(Exploration *e, const Variant *variant)
{
    Arena *arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    Variant found = {.name = variant->name, .state = VARIANT_WRONG};
    Pipeline pipeline = {0};
    PipelineRequest request = {.model = variant_request(arena, e, variant), .target = e->sweep->target ? e->sweep->target : target_native(), .stop = STAGE_EQUATIONS};
    bool good = pipeline_run(arena, &request, &pipeline, diags);
    if (good) {
        Cost cost = module_cost(pipeline.module);
        found.blocks = block_rows(arena, pipeline.module);
        found.parameters = cost.parameters;
        found.macs = cost.macs;
        found.flops = cost.flops;
        TargetSet targets = pipeline.targets;
        good = run_passes(pipeline.module, NULL, VERIFY_LAST_PASS, diags);
        Plan *plan = good ? schedule(pipeline.module, targets.family, &request.plan, diags) : NULL;
        good = plan != NULL;
        if (good) {
            found.state = VARIANT_SCREENED;
            found.hash = arena_printf(arena, "%016" PRIx64, plan_model_hash(plan));
            found.arena_bytes = plan->arena_bytes;
            found.weight_bytes = plan->blob_bytes;
            found.bytes = plan->blob_bytes;
            for (int i = 0; i < pipeline.module->inputs.count; i++) found.bytes += port_bytes(pipeline.module->inputs.data[i].tensor);
            for (int i = 0; i < pipeline.module->outputs.count; i++) found.bytes += port_bytes(pipeline.module->outputs.data[i].tensor);
        }
    }
    if (!good) found.error = first_error(arena, diags);
    json_t *entry = variant_to_json(&found);
    json_decref(found.blocks);
    arena_free(arena);
    return entry;
}

/* --- jobs --------------------------------------------------------------------------------------------------------- */

typedef struct {
    pid_t child;
    int pipe;
    Text text;  /* what has come of the current line */
} Job;

/* What one variant gives back serves the next, instead of going to the system and coming again page by page. */
static void keep_memory(void)
{
#if defined(__GLIBC__)
    (void)mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 512 * 1024 * 1024);
#endif
}

/* A child: its share of the variants, a line each. */
static void work(Exploration *e, const int *todo, int count, int job, int jobs, int out)
{
    keep_memory();
    FILE *file = fdopen(out, "w");
    for (int i = job; file && i < count; i += jobs) {
        json_t *entry = screen_one(e, &e->variants.data[todo[i]]);
        json_object_set_new(entry, "index", json_integer(todo[i]));
        json_dumpf(entry, file, JSON_COMPACT);
        fputc('\n', file);
        fflush(file);
        json_decref(entry);
    }
    _exit(file && fclose(file) == 0 ? 0 : 70);
}

static bool start_job(Exploration *e, const int *todo, int count, int number, int jobs, Job *job)
{
    int ends[2];
    if (pipe(ends) != 0) return false;
    fflush(NULL);
    job->child = fork();
    if (job->child == 0) {
        close(ends[0]);
        work(e, todo, count, number, jobs, ends[1]);
    }
    close(ends[1]);
    job->pipe = ends[0];
    job->text = text_new(e->arena);
    if (job->child > 0) return true;
    close(ends[0]);
    return false;
}

static bool take_line(Exploration *e, const char *line)
{
    json_t *entry = json_loads(line, 0, NULL);
    json_t *index = json_object_get(entry, "index");
    if (!entry || !json_is_integer(index)) bug("a screening process sends \"%.60s\"", line);
    variant_from_json(e->arena, &e->variants.data[json_integer_value(index)], entry);
    json_object_del(entry, "index");
    return journal_add(e->journal, entry, e->diags);
}

/* Reads what a job has; false at its end. */
static bool read_job(Exploration *e, Job *job, bool *good)
{
    char bytes[65536];
    ssize_t count = read(job->pipe, bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) return true;
    if (count <= 0) return false;
    text_add_bytes(&job->text, bytes, (size_t)count);
    const char *all = text_string(&job->text), *start = all;
    for (const char *end; (end = strchr(start, '\n')); start = end + 1) *good = take_line(e, arena_strndup(e->arena, start, (size_t)(end - start))) && *good;
    Text rest = text_new(e->arena);
    text_add(&rest, start);
    job->text = rest;
    return true;
}

static bool run_jobs(Exploration *e, const int *todo, int count, int jobs)
{
    Job list[MOST_JOBS];
    struct pollfd polls[MOST_JOBS];
    bool good = true;
    int running = 0;
    for (int i = 0; i < jobs; i++) {
        if (!start_job(e, todo, count, i, jobs, &list[i])) {
            diag_error(e->diags, GM183, (Place){0}, "a screening process can't be started: %s", strerror(errno));
            good = false;
            jobs = i;
            break;
        }
        polls[i] = (struct pollfd){.fd = list[i].pipe, .events = POLLIN};
        running++;
    }
    while (running > 0) {
        if (poll(polls, (nfds_t)jobs, -1) < 0 && errno != EINTR) break;
        for (int i = 0; i < jobs; i++) {
            if (polls[i].fd < 0 || !polls[i].revents || read_job(e, &list[i], &good)) continue;
            close(list[i].pipe);
            polls[i].fd = -1;
            running--;
        }
    }
    for (int i = 0; i < jobs; i++) {
        int status = 0;
        while (waitpid(list[i].child, &status, 0) < 0 && errno == EINTR) continue;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        diag_error(e->diags, GM183, (Place){0}, "a screening process ended early (%s %d)", WIFSIGNALED(status) ? "signal" : "exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        good = false;
    }
    return good;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static void take_journal(Exploration *e)
{
    Map by_name = {0};
    for (int i = 0; i < e->variants.count; i++) map_put(e->arena, &by_name, e->variants.data[i].name, &e->variants.data[i]);
    size_t i;
    json_t *entry;
    json_array_foreach(journal_entries(e->journal), i, entry) {
        const char *what = json_string_value(json_object_get(entry, "what")), *name = json_string_value(json_object_get(entry, "name"));
        Variant *variant = name ? map_get(&by_name, name) : NULL;
        if (variant && what && strcmp(what, "screened") == 0) variant_from_json(e->arena, variant, entry);
    }
}

bool screen(Exploration *e)
{
    take_journal(e);
    int *todo = arena_new_array(e->arena, int, e->variants.count + 1), count = 0;
    for (int i = 0; i < e->variants.count; i++)
        if (e->variants.data[i].state == VARIANT_NEW && i % e->sweep->ranks == e->sweep->rank) todo[count++] = i;
    int jobs = e->sweep->jobs < count ? (int)e->sweep->jobs : count;
    if (jobs > MOST_JOBS) jobs = MOST_JOBS;
    if (count && !run_jobs(e, todo, count, jobs)) return false;
    for (int i = 0; i < e->variants.count; i++) {
        Variant *v = &e->variants.data[i];
        v->bound_ms = roofline_bound_ms(&e->roofline, v->flops, v->bytes);
    }
    return true;
}

/* --- the condition ------------------------------------------------------------------------------------------------ */

typedef struct {
    const Exploration *e;
    const Variant *variant;
} Names;

static bool look_up(void *context, const char *name, ConstantValue *value)
{
    const Names *names = context;
    const Variant *v = names->variant;
    const struct {
        const char *name;
        double number;
    } known[] = {{"params", (double)v->parameters}, {"parameters", (double)v->parameters}, {"macs", (double)v->macs}, {"flops", (double)v->flops}, {"bytes", (double)v->bytes},
                 {"arena", (double)v->arena_bytes}, {"weights", (double)v->weight_bytes}, {"bound_ms", v->bound_ms}};
    *value = (ConstantValue){.kind = CONSTANT_NUMBER};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) != 0) continue;
        value->number = known[i].number;
        value->integer = strcmp(name, "bound_ms") != 0;
        return true;
    }
    for (int i = 0; i < names->e->sweep->varies.count; i++) {
        if (strcmp(names->e->sweep->varies.data[i].name, name) != 0) continue;
        char *end;
        value->number = strtod(v->values[i], &end);
        value->integer = !strpbrk(v->values[i], ".eE");
        if (!*end) return true;
        *value = (ConstantValue){.kind = CONSTANT_STRING, .text = v->values[i]};
        return true;
    }
    return false;
}

/* Which sound variants are to be measured: those that `where` lets through, spread evenly over their lower-bound times. */
static bool apply_where(Exploration *e)
{
    if (!e->sweep->where) return true;
    Source *source = source_new(e->arena, "--where", e->sweep->where, strlen(e->sweep->where), false);
    const AstExpr *expr = ast_parse_expression(e->arena, source, e->diags);
    if (!expr) return false;
    for (int i = 0; i < e->variants.count; i++) {
        Variant *v = &e->variants.data[i];
        if (v->state != VARIANT_SCREENED) continue;
        ConstantValue value;
        Names names = {e, v};
        if (!constant_evaluate(e->arena, expr, look_up, &names, &value, e->diags)) return false;
        if (value.kind != CONSTANT_FLAG) {
            diag_help(diag_error(e->diags, GM180, (Place){0}, "--where '%s' is no condition", e->sweep->where), "compare: --where 'params < 20e6 && DEPTH > 6'");
            return false;
        }
        v->excluded = !value.flag;
    }
    return true;
}

static const Variant *sort_base;
static int by_bound(const void *a, const void *b)
{
    const Variant *x = &sort_base[*(const int *)a], *y = &sort_base[*(const int *)b];
    if (x->bound_ms != y->bound_ms) return x->bound_ms < y->bound_ms ? -1 : 1;
    return x->index - y->index;
}

bool choose_measured(Exploration *e)
{
    if (!apply_where(e)) return false;
    int *sound = arena_new_array(e->arena, int, e->variants.count + 1), count = 0;
    for (int i = 0; i < e->variants.count; i++)
        if (e->variants.data[i].state == VARIANT_SCREENED && !e->variants.data[i].excluded) sound[count++] = i;
    sort_base = e->variants.data;
    qsort(sound, (size_t)count, sizeof *sound, by_bound);
    int wanted = e->sweep->measured > 0 && e->sweep->measured < count ? (int)e->sweep->measured : count;
    for (int i = 0; i < wanted; i++) {
        int at = wanted > 1 ? (int)((int64_t)i * (count - 1) / (wanted - 1)) : count / 2;
        e->variants.data[sound[at]].chosen = true;
    }
    return true;
}
