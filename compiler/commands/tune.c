/* gmlpc tune: tiles of a model's contractions measured on this machine; what is faster beyond noise goes into a schedule file. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/peak.h"
#include "commands/report.h"
#include "commands/tuning.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    ModelOptions model;
    const char *output;
    double budget;
} TuneOptions;

static const char *output_path(Arena *arena, const TuneOptions *o, const char *model)
{
    size_t length = strlen(model);
    if (o->output) return o->output;
    if (length > 3 && strcmp(model + length - 3, ".gm") == 0) length -= 3;
    return arena_printf(arena, "%.*s.schedule", (int)length, model);
}

static void print_shape(const TunedShape *s, double all)
{
    const Contender *own = &s->contenders[0], *best = &s->contenders[s->best];
    printf("%s (%.0f %% of the multiply-adds): ", s->tile->shape, 100 * s->macs / all);
    if (s->count <= 2) printf("%dx%d is the only tile\n", own->height, own->width);
    else if (!s->best) printf("%dx%d, %.3g ms, stays: none of %d others is faster beyond noise (%.1f %%)\n", own->height, own->width, own->ms, s->count - 2, 100 * s->noise);
    else printf("%dx%d in %d groups, %.3g ms, instead of %dx%d in %d, %.3g ms: %.1f %% faster\n", best->height, best->width, best->groups, best->ms, own->height, own->width, own->groups, own->ms, 100 * (1 - best->ratio));
    fflush(stdout);
}

/* The heaviest shapes first, each with its share of what is left, until the time is over. Returns how many were measured; -1 after an error. */
static int measure_all(Tuning *t, double budget, Diagnostics *diags)
{
    const double least = 0.5;
    double end = now_ns() + budget * 1e9, all = 0, left = 0;
    for (int i = 0; i < t->shapes.count; i++) all += t->shapes.data[i].macs;
    left = all;
    for (int i = 0; i < t->shapes.count; i++) {
        TunedShape *s = &t->shapes.data[i];
        double remaining = 1e-9 * (end - now_ns()), share = left > 0 ? remaining * s->macs / left : 0;
        if (remaining < least) return i;
        if (!tuning_measure(t, s, share < least ? least : share, diags)) return -1;
        print_shape(s, all);
        left -= s->macs;
    }
    return t->shapes.count;
}

/* Choices for other targets that the file has already stay. */
static void write_file(const Tuning *t, const char *path, int measured, Diagnostics *diags)
{
    Arena *arena = t->arena;
    const Target *target = t->pipeline.targets.forms[0];
    Text text = text_new(arena);
    int kept = 0;
    text_printf(&text, "gmlpc schedule 1\n# tiles for %s, measured by gmlpc tune --backend %s; the others are as the cost model has them\n", t->pipeline.module->name,
                t->backend == BACKEND_LLVM ? "llvm" : "c");
    for (int i = 0; i < measured; i++) {
        const TunedShape *s = &t->shapes.data[i];
        const Contender *best = &s->contenders[s->best];
        if (!s->best) continue;
        TileChoice choice = {.target = target->name, .shape = s->tile->shape, .height = best->height, .width = best->width, .groups = best->groups};
        tiles_print_choice(&choice, &text);
        text_printf(&text, "  # %.1f %% faster than %dx%d groups=%d\n", 100 * (1 - best->ratio), s->contenders[0].height, s->contenders[0].width, s->contenders[0].groups);
        kept++;
    }
    char *old;
    size_t size;
    const char *error;
    Tiles *before = file_read(arena, path, &old, &size, &error) ? tiles_parse(arena, source_new(arena, path, old, size, false), diags) : NULL;
    for (int i = 0; before && i < before->list.count; i++) {
        if (strcmp(before->list.data[i].target, target->name) == 0) continue;
        tiles_print_choice(&before->list.data[i], &text);
        text_add(&text, "\n");
    }
    if (diags->error_count) return;
    if (!file_write(path, text_string(&text), text.length, &error)) {
        diag_error(diags, GM171, (Place){0}, "%s: %s", path, error);
        return;
    }
    printf("%d of %d shapes measured, %d changed: %s\n", measured, t->shapes.count, kept, path);
}

int command_tune(int argc, char **argv)
{
    Arena *arena = arena_new();
    TuneOptions o = {.model = {.batch = 1, .backend = "c"}, .budget = 30};
    Words files = {0};
    const Option rows[] = {
        MODEL_OPTIONS(o.model),
        BATCH_OPTION(o.model),
        {"target", 't', OPTION_TEXT, &o.model.target, "T", "scalar, avx2, avx512 or neon (default: the best that this machine runs)"},
        {"backend", 0, OPTION_TEXT, &o.model.backend, "B", "who compiles: c (default, as for the file that compile writes) or llvm (as run does)"},
        {"budget", 0, OPTION_REAL, &o.budget, "S", "seconds to measure for (default 30)"},
        {"output", 'o', OPTION_TEXT, &o.output, "FILE", "the schedule file (default MODEL.schedule)"},
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm [OPTION…]", "Measures tiles for a model's contractions on this machine and writes those that beat the cost model's for --schedule.", rows,
                             sizeof rows / sizeof rows[0], &files);
    if (code < 0 && files.count != 1) code = wrong_call("tune", files.count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if (code < 0 && !(o.budget > 0 && o.budget <= 86400)) code = wrong_call("tune", "--budget is above 0");
    if (code < 0 && o.model.target && strcmp(o.model.target, "all") == 0) code = wrong_call("tune", "one form at a time: --target avx512, say");
    if (code < 0) code = check_batch("tune", &o.model);
    if (code < 0) {
        Diagnostics *diags = diagnostics_new(arena);
        Tuning tuning = {0};
        Backend backend;
        PipelineRequest request = {.model = model_request(arena, &o.model, files.data[0]), .target = o.model.target ? o.model.target : target_native()};
        int measured = -1;
        if (backend_find(o.model.backend, &backend, diags) && tuning_open(arena, &request, backend, &tuning, diags)) measured = measure_all(&tuning, o.budget, diags);
        if (measured >= 0) write_file(&tuning, output_path(arena, &o, files.data[0]), measured, diags);
        tuning_close(&tuning);
        code = report(diags);
    }
    arena_free(arena);
    return code;
}
