/* gmlpc explore MODEL.gm --vary NAME=VALUES…: which variants are sound, what they cost, how long they take. */
#include "commands/commands.h"
#include "commands/options.h"
#include "commands/report.h"
#include "explore/explore.h"
#include "explore/ranks.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    ModelOptions model;
    Words varies;
    const char *sweep_file;
    long seed;
    bool screen_only;
} ExploreOptions;

static const char *default_folder(Arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    return arena_printf(arena, "%.*s.explore", dot ? (int)(dot - base) : (int)strlen(base), base);
}

static bool make_folder(const char *path, Diagnostics *diags)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return true;
    diag_error(diags, GM182, (Place){0}, "the folder %s can't be made: %s", path, strerror(errno));
    return false;
}

static bool complete_sweep(Arena *arena, Sweep *sweep, const ExploreOptions *o, Diagnostics *diags)
{
    if (o->sweep_file && !sweep_read_file(arena, sweep, o->sweep_file, diags)) return false;
    for (int i = 0; i < o->varies.count; i++)
        if (!sweep_add_vary(arena, sweep, o->varies.data[i], diags)) return false;
    for (int i = 0; i < o->model.sets.count; i++) list_push(arena, &sweep->sets, o->model.sets.data[i]);
    if (o->model.model) sweep->model = o->model.model;
    if (o->model.target) sweep->target = o->model.target;
    sweep->schedule = o->model.schedule;
    if (sweep->schedule && !tiles_read(arena, sweep->schedule, diags)) return false; /* variants would only say that they can't be compiled */
    if (o->seed >= 0) sweep->seed = (uint64_t)o->seed;
    if (!sweep->folder) sweep->folder = default_folder(arena, sweep->path);
    return backend_find(o->model.backend, &sweep->backend, diags) && make_folder(sweep->folder, diags);
}

static bool explore(Exploration *e, const Sweep *sweep, bool screen_only)
{
    char *text = NULL;
    size_t size = 0;
    const char *error = NULL;
    if (!file_read(e->arena, sweep->path, &text, &size, &error)) {
        diag_error(e->diags, GM100, (Place){0}, "%s: %s", sweep->path, error);
        return false;
    }
    const char *name = sweep->ranks > 1 ? arena_printf(e->arena, "journal.%d.jsonl", sweep->rank) : "journal.jsonl";
    e->journal = journal_open(e->arena, sweep->folder, name, sweep_identity(e->arena, sweep, text), e->diags);
    if (!e->journal || !roofline_get(e->arena, sweep->target, &e->roofline, e->diags) || !sweep_variants(e)) return false;
    if (!screen(e) || !ranks_exchange(e) || !choose_measured(e) || !join_quality(e)) return false;
    if (!screen_only && !measure(e)) return false;
    if (!ranks_exchange(e)) return false;
    if (sweep->rank != 0) return true;
    return judge(e) && report_write(e);
}

static int check_call(const ExploreOptions *o, const Sweep *sweep, const Words *files)
{
    if (files->count != 1) return wrong_call("explore", files->count ? "one model at a time" : "which model? (MODEL.gm is missing)");
    if (sweep->sample < 0 || sweep->measured < 0) return wrong_call("explore", "--sample and --measure are at least 1");
    if (sweep->jobs < 1 || sweep->jobs > 64) return wrong_call("explore", "--jobs is 1 to 64, not %ld", sweep->jobs);
    if (sweep->threads < 1 || sweep->threads > 256) return wrong_call("explore", "--threads is 1 to 256, not %ld", sweep->threads);
    if (!(sweep->seconds > 0) || sweep->seconds > 86400) return wrong_call("explore", "--seconds is above 0");
    if (sweep->on && !sweep->join && !o->sweep_file) return wrong_call("explore", "--on belongs to --join");
    return -1;
}

int command_explore(int argc, char **argv)
{
    Arena *arena = arena_new();
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    ExploreOptions o = {.seed = -1};
    Sweep sweep = {.jobs = processors < 1 ? 1 : processors > 64 ? 64 : processors, .seconds = 1, .threads = 1, .seed = 1, .ranks = 1};
    Words files = {0};
    const Option rows[] = {
        MODEL_OPTIONS(o.model),
        TARGET_OPTION(o.model),
        BACKEND_OPTION(o.model),
        SCHEDULE_OPTION(o.model),
        {"vary", 'v', OPTION_LIST, &o.varies, "NAME=VALUES", "values of a parameter: A,B,C or FROM..TO:STEP (again for more; all combinations)"},
        {"sweep", 0, OPTION_TEXT, &o.sweep_file, "FILE", "the same lines from a file: vary, set, where, sample …"},
        {"where", 'w', OPTION_TEXT, &sweep.where, "CONDITION", "measure only what fulfils it: params, macs, flops, bytes, arena, weights, bound_ms and the varied names"},
        {"sample", 0, OPTION_INT, &sweep.sample, "N", "draw N of the combinations"},
        {"seed", 0, OPTION_INT, &o.seed, "S", "of the drawing and of the order of measuring (default 1)"},
        {"measure", 0, OPTION_INT, &sweep.measured, "N", "measure N of the sound variants, spread evenly over their lower-bound times (default all)"},
        {"seconds", 0, OPTION_REAL, &sweep.seconds, "S", "of measuring each (default 1)"},
        {"threads", 0, OPTION_INT, &sweep.threads, "N", "threads to run on (default 1)"},
        {"screen-only", 0, OPTION_FLAG, &o.screen_only, NULL, "static costs alone, nothing is run"},
        {"join", 0, OPTION_TEXT, &sweep.join, "FILE.csv", "accuracies of yours, joined by the variants' names or hashes"},
        {"on", 0, OPTION_TEXT, &sweep.on, "COLUMN", "the column of names (default name)"},
        {"front", 0, OPTION_TEXT, &sweep.quality, "COLUMN", "what stands against milliseconds: a column of the joined file (default accuracy), parameters (default without one), macs, flops"},
        {"jobs", 'j', OPTION_INT, &sweep.jobs, "N", "processes that screen and compile (default: one a processor); measuring is always alone"},
        {"output", 'o', OPTION_TEXT, &sweep.folder, "FOLDER", "report.html, results.csv, results.json, journal.jsonl (default MODEL.explore); an unfinished sweep there goes on"},
    };
    int code = options_parse(arena, argc, argv, "MODEL.gm --vary NAME=VALUES… [OPTION…]", "Screens and measures variants of a model and reports the front of quality against time.", rows,
                             sizeof rows / sizeof rows[0], &files);
    if (code < 0) code = check_call(&o, &sweep, &files);
    if (code < 0) {
        Diagnostics *diags = diagnostics_new(arena);
        Exploration exploration = {.arena = arena, .sweep = &sweep, .diags = diags};
        sweep.path = files.data[0];
        bool good = ranks_start(&sweep, diags) && complete_sweep(arena, &sweep, &o, diags) && explore(&exploration, &sweep, o.screen_only);
        measure_end(&exploration);
        for (int i = 0; i < exploration.variants.count; i++) json_decref(exploration.variants.data[i].blocks);
        journal_close(exploration.journal);
        code = report(diags);
        ranks_end(good);
    }
    arena_free(arena);
    return code;
}
