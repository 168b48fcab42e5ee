/* Timing variants side by side: rounds, in each a slot a variant in random order, so that what disturbs the machine disturbs all alike.
 * In: the chosen variants.  Out: the median of every slot; one variant takes part twice, which gives the noise floor; neighbours on the front
 * are measured again in pairs. Every slot is in the journal when the next begins. */
#include "commands/inputs.h"
#include "commands/peak.h"
#include "emit_c/blob.h"
#include "explore/explore.h"
#include "gm_pool.h"
#include "weights/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 9, MOST_RUNS = 4000 };

/* A variant ready to run. */
typedef struct {
    Variant *variant;
    bool again;             /* the second entry of the variant that is measured twice */
    Arena *arena;
    Pipeline pipeline;
    CompiledModel compiled;
    unsigned char *image, *memory;
    void *weights;
    void **inputs, **outputs;
    int done;               /* slots, of this run and earlier ones */
} Entrant;

/* --- preparing ---------------------------------------------------------------------------------------------------- */

static bool prepare(Exploration *e, Entrant *entrant)
{
    const Sweep *sweep = e->sweep;
    Arena *arena = entrant->arena = arena_new();
    Diagnostics *diags = diagnostics_new(arena);
    PipelineRequest request = {.model = variant_request(arena, e, entrant->variant), .target = sweep->target ? sweep->target : target_native(),
                               .stop = backend_stage(sweep->backend)};
    if (!pipeline_run(arena, &request, &entrant->pipeline, diags)) return false;
    WeightValues *values = weights_random(arena, entrant->pipeline.module, 1);
    unsigned char *payload = weights_pack(entrant->pipeline.plan, values, diags);
    size_t size = 0;
    entrant->image = payload ? blob_build(entrant->pipeline.plan, payload, NULL, 0, &size) : NULL;
    free(payload);
    if (!entrant->image || !compiled_load(arena, &entrant->pipeline, sweep->backend, &entrant->compiled, diags)) return false;
    const gm_model *model = entrant->compiled.model;
    entrant->weights = arena_alloc(arena, model->weights_bytes + 1);
    entrant->memory = aligned_alloc(64, (model->arena_bytes + 127) / 64 * 64);
    if (!entrant->memory || model->bind(entrant->weights, entrant->image, size) != GM_OK) return false;
    memset(entrant->memory, 0, model->arena_bytes);
    entrant->inputs = random_inputs(arena, entrant->pipeline.module, 1);
    entrant->outputs = output_arrays(arena, entrant->pipeline.module);
    return true;
}

static void release(Entrant *entrant)
{
    compiled_unload(&entrant->compiled);
    free(entrant->image);
    free(entrant->memory);
    if (entrant->arena) arena_free(entrant->arena);
    entrant->image = entrant->memory = NULL;
    entrant->arena = NULL;
}

/* With the C back end: objects are compiled into the cache by several processes first. */
static void fill_cache(Exploration *e, Entrant *list, int count)
{
    if (e->sweep->backend != BACKEND_C || e->sweep->jobs < 2) return;
    fflush(NULL);
    int running = 0;
    for (int i = 0; i < count || running > 0;) {
        if (i < count && running < e->sweep->jobs) {
            pid_t child = fork();
            if (child == 0) {
                (void)prepare(e, &list[i]);
                _exit(0);
            }
            if (child < 0) return;
            running++;
            i++;
            continue;
        }
        if (wait(NULL) < 0 && errno != EINTR) return;
        running--;
    }
}

/* --- a slot ------------------------------------------------------------------------------------------------------- */

typedef struct {
    gm_pool *pool;
    const Target *target;
    double slot_ns;
} Bench;

static double run_once(const Bench *bench, const Entrant *x)
{
    double start = now_ns();
    const void *const *inputs = (const void *const *)x->inputs;
    if (bench->pool) x->compiled.model->run_on(x->weights, x->memory, gm_pool_executor(bench->pool), inputs, x->outputs);
    else x->compiled.model->run(x->weights, x->memory, inputs, x->outputs);
    return now_ns() - start;
}

/* The median of the runs of one slot in milliseconds, after one that warms. */
static double run_slot(const Bench *bench, const Entrant *x)
{
    static const int fewest = 3;
    double *times = malloc(MOST_RUNS * sizeof *times), begin = now_ns();
    int count = 0;
    (void)run_once(bench, x);
    while (times && count < MOST_RUNS && (count < fewest || now_ns() - begin < bench->slot_ns)) times[count++] = 1e-6 * run_once(bench, x);
    double median = times ? median_of(times, count) : 0;
    free(times);
    return median;
}

static bool add_slot(Exploration *e, const Bench *bench, Entrant *x, const char *what)
{
    double ms = run_slot(bench, x), peak = peak_gflops(bench->target, 1) * (double)e->sweep->threads;
    x->done++;
    if (!x->again) {
        list_push(e->arena, &x->variant->slots, ms);
        if (peak > x->variant->peak) x->variant->peak = peak;
        x->variant->machine = e->roofline.machine;
    }
    return journal_add(e->journal, json_pack("{s:s, s:s, s:f, s:f, s:s}", "what", what, "name", x->variant->name, "ms", ms, "peak", peak, "machine", e->roofline.machine),
                       e->diags);
}

/* --- rounds ------------------------------------------------------------------------------------------------------- */

static void shuffle(int *order, int count, uint64_t seed)
{
    for (int i = count - 1; i > 0; i--) {
        int k = (int)(random_next(&seed) % (uint64_t)(i + 1)), swap = order[i];
        order[i] = order[k];
        order[k] = swap;
    }
}

static void progress(const Exploration *e, int done, int all)
{
    if (isatty(STDERR_FILENO) && e->sweep->rank == 0) fprintf(stderr, "\r%d of %d slots measured\033[K%s", done, all, done == all ? "\r\033[K" : "");
}

static bool run_rounds(Exploration *e, const Bench *bench, Entrant *list, int count)
{
    int *order = arena_new_array(e->arena, int, count + 1);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < count; i++) order[i] = i;
        shuffle(order, count, e->sweep->seed * 1000003u + (uint64_t)round);
        for (int i = 0; i < count; i++) {
            Entrant *x = &list[order[i]];
            if (x->done > round || !x->compiled.model) continue;
            if (!add_slot(e, bench, x, x->again ? "again" : "slot")) return false;
            progress(e, round * count + i + 1, ROUNDS * count);
        }
    }
    return true;
}

/* Slots of earlier runs, from the journal. */
static void take_slots(Exploration *e, Entrant *list, int count)
{
    Map firsts = {0}, seconds = {0};
    for (int i = 0; i < count; i++) map_put(e->arena, list[i].again ? &seconds : &firsts, list[i].variant->name, &list[i]);
    size_t n;
    json_t *entry;
    json_array_foreach(journal_entries(e->journal), n, entry) {
        const char *what = json_string_value(json_object_get(entry, "what")), *name = json_string_value(json_object_get(entry, "name"));
        const char *machine = json_string_value(json_object_get(entry, "machine"));
        if (!what || !name || !machine || strcmp(machine, e->roofline.machine) != 0) continue; /* other machines' milliseconds don't mix */
        bool again = strcmp(what, "again") == 0;
        Entrant *x = again ? map_get(&seconds, name) : strcmp(what, "slot") == 0 ? map_get(&firsts, name) : NULL;
        if (!x || x->done == ROUNDS) continue;
        x->done++;
        if (again) continue;
        double peak = json_number_value(json_object_get(entry, "peak"));
        list_push(e->arena, &x->variant->slots, json_number_value(json_object_get(entry, "ms")));
        if (peak > x->variant->peak) x->variant->peak = peak;
        x->variant->machine = e->roofline.machine;
    }
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

/* One measurer a machine at a time, whatever the number of processes. */
static int lock_machine(void)
{
    const char *directory = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/gmlpc-measure-%ld.lock", directory && *directory == '/' ? directory : "/tmp", (long)geteuid());
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    while (file >= 0 && flock(file, LOCK_EX) != 0 && errno == EINTR) continue;
    return file;
}

/* As many entrants at once as half of the memory holds; at least two, or nothing could be interleaved. */
static int group_size(const Entrant *list, int count)
{
    double room = 0.5 * (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE), used = 0;
    for (int i = 0; i < count; i++) {
        /* values of the weights, the packed image, the arena */
        used += 3.0 * (double)list[i].variant->weight_bytes + (double)list[i].variant->arena_bytes + 4e6;
        if (used > room && i >= 2) return i;
    }
    return count;
}

static bool measure_group(Exploration *e, const Bench *bench, Entrant *list, int count)
{
    bool todo = false;
    for (int i = 0; i < count; i++) todo = todo || list[i].done < ROUNDS;
    if (!todo) return true;
    fill_cache(e, list, count);
    for (int i = 0; i < count; i++) {
        if (prepare(e, &list[i])) continue;
        list[i].variant->failure = "it could not be compiled or its memory not had";
        release(&list[i]);
    }
    bool good = run_rounds(e, bench, list, count);
    for (int i = 0; i < count; i++) release(&list[i]);
    return good;
}

/* How far apart one variant comes out when it is measured twice. */
static void find_noise(Exploration *e, const Variant *twice)
{
    LIST(double) second = {0};
    size_t n;
    json_t *entry;
    json_array_foreach(journal_entries(e->journal), n, entry) {
        const char *what = json_string_value(json_object_get(entry, "what"));
        if (what && strcmp(what, "again") == 0) list_push(e->arena, &second, json_number_value(json_object_get(entry, "ms")));
    }
    if (!second.count || !twice->slots.count) return;
    double *first = arena_new_array(e->arena, double, twice->slots.count);
    memcpy(first, twice->slots.data, (size_t)twice->slots.count * sizeof *first);
    double a = median_of(first, twice->slots.count), b = median_of(second.data, second.count);
    e->noise = a > b ? a / b - 1 : b / a - 1;
    e->has_noise = true;
}

bool measure(Exploration *e)
{
    Entrant *list = arena_new_array(e->arena, Entrant, e->variants.count + 1);
    int count = 0;
    for (int i = 0, number = 0; i < e->variants.count; i++) {
        Variant *v = &e->variants.data[i];
        if (v->chosen && number++ % e->sweep->ranks == e->sweep->rank) list[count++] = (Entrant){.variant = v};
    }
    if (!count) return true;
    Variant *twice = list[count / 2].variant;
    list[count] = list[count / 2];
    list[count++].again = true;
    take_slots(e, list, count);
    Bench bench = {.slot_ns = e->sweep->seconds * 1e9 / ROUNDS};
    for (int i = 0; i < TARGET_COUNT; i++)
        if (strcmp(target_table[i].name, e->roofline.form) == 0) bench.target = &target_table[i];
    int lock = lock_machine();
    bench.pool = e->sweep->threads > 1 ? gm_pool_new((int)e->sweep->threads) : NULL;
    bool good = true;
    for (int at = 0; at < count && good;) {
        int group = group_size(list + at, count - at);
        good = measure_group(e, &bench, list + at, group);
        at += group;
    }
    gm_pool_free(bench.pool);
    if (lock >= 0) close(lock);
    if (good) find_noise(e, twice);
    return good;
}

/* --- pairs -------------------------------------------------------------------------------------------------------- */

static Pair *find_pair(Exploration *e, Variant *a, Variant *b)
{
    for (int i = 0; i < e->pairs.count; i++)
        if (e->pairs.data[i].a == a && e->pairs.data[i].b == b) return &e->pairs.data[i];
    list_push(e->arena, &e->pairs, (Pair){.a = a, .b = b});
    return &e->pairs.data[e->pairs.count - 1];
}

static void take_pair(Exploration *e, Pair *pair)
{
    size_t n;
    json_t *entry;
    json_array_foreach(journal_entries(e->journal), n, entry) {
        const char *what = json_string_value(json_object_get(entry, "what")), *name = json_string_value(json_object_get(entry, "name"));
        const char *other = json_string_value(json_object_get(entry, "other"));
        if (!what || strcmp(what, "pair") != 0 || strcmp(name, pair->a->name) != 0 || strcmp(other, pair->b->name) != 0) continue;
        if (pair->ratios.count < ROUNDS) list_push(e->arena, &pair->ratios, json_number_value(json_object_get(entry, "ratio")));
    }
}

/* One after the other, in turn first: the ratio of their slots, as often as there are rounds. */
static bool run_pair(Exploration *e, const Bench *bench, Pair *pair)
{
    Entrant both[2] = {{.variant = pair->a}, {.variant = pair->b}};
    bool good = true;
    if (prepare(e, &both[0]) && prepare(e, &both[1])) {
        while (pair->ratios.count < ROUNDS && good) {
            int first = pair->ratios.count % 2;
            double ms[2];
            ms[first] = run_slot(bench, &both[first]);
            ms[1 - first] = run_slot(bench, &both[1 - first]);
            list_push(e->arena, &pair->ratios, ms[0] / ms[1]);
            good = journal_add(e->journal, json_pack("{s:s, s:s, s:s, s:f}", "what", "pair", "name", pair->a->name, "other", pair->b->name, "ratio", ms[0] / ms[1]), e->diags);
        }
    }
    release(&both[0]);
    release(&both[1]);
    return good;
}

bool measure_pair(Exploration *e, Variant *a, Variant *b)
{
    Pair *pair = find_pair(e, a, b);
    take_pair(e, pair);
    if (pair->ratios.count >= ROUNDS) return true;
    Bench bench = {.slot_ns = e->sweep->seconds * 1e9 / ROUNDS};
    int lock = lock_machine();
    bench.pool = e->sweep->threads > 1 ? gm_pool_new((int)e->sweep->threads) : NULL;
    bool good = run_pair(e, &bench, pair);
    gm_pool_free(bench.pool);
    if (lock >= 0) close(lock);
    return good;
}
