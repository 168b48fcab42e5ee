/* Timing variants side by side: rounds, in each a slot a variant in random order, so that what disturbs the machine disturbs all alike.
 * In: the chosen variants.  Out: the median of every slot; one variant takes part twice, which gives the noise floor; neighbours on the front
 * are measured again in pairs. Every slot is in the journal when the next begins. */
#include "commands/peak.h"
#include "explore/entrant.h"
#include "gm_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { ROUNDS = 9, FEWEST_RATIOS = 5, MOST_RUNS = 4000 };

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
    static const int fewest = 2;
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
    entrants_prepare(e, list, count);
    return run_rounds(e, bench, list, count);
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
        if (group == count) e->ready = (Entrants){list, count}; /* room for all: pairs are taken from them */
        else entrants_release(list + at, group);
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

/* Measured as often as there are rounds, or until the first FEWEST_RATIOS all say the same by more than the noise. */
static bool settled(const Exploration *e, const Pair *pair)
{
    double least = 1e300, most = 0;
    for (int i = 0; i < pair->ratios.count && i < FEWEST_RATIOS; i++) {
        least = fmin(least, pair->ratios.data[i]);
        most = fmax(most, pair->ratios.data[i]);
    }
    if (pair->ratios.count < FEWEST_RATIOS) return false;
    return pair->ratios.count >= ROUNDS || least > 1 + e->noise || most < 1 / (1 + e->noise);
}

/* One after the other, in turn first: the ratio of their slots. */
static bool run_pair(Exploration *e, const Bench *bench, Pair *pair, const Entrant *a, const Entrant *b)
{
    const Entrant *both[2] = {a, b};
    bool good = true;
    while (good && !settled(e, pair)) {
        int first = pair->ratios.count % 2;
        double ms[2];
        ms[first] = run_slot(bench, both[first]);
        ms[1 - first] = run_slot(bench, both[1 - first]);
        list_push(e->arena, &pair->ratios, ms[0] / ms[1]);
        good = journal_add(e->journal, json_pack("{s:s, s:s, s:s, s:f}", "what", "pair", "name", pair->a->name, "other", pair->b->name, "ratio", ms[0] / ms[1]), e->diags);
    }
    return good;
}

/* An entrant of the rounds, prepared now if all its slots came from the journal; or `own`, which the caller releases. */
static Entrant *entrant_of(Exploration *e, Variant *variant, Entrant *own)
{
    Entrant *x = own;
    *own = (Entrant){.variant = variant};
    for (int i = 0; i < e->ready.count; i++)
        if (e->ready.data[i].variant == variant && !e->ready.data[i].again) x = &e->ready.data[i];
    if (!x->compiled.model && !variant->failure) entrants_prepare(e, x, 1);
    return x->compiled.model ? x : NULL;
}

bool measure_pair(Exploration *e, Variant *a, Variant *b)
{
    Pair *pair = find_pair(e, a, b);
    take_pair(e, pair);
    if (settled(e, pair)) return true;
    Bench bench = {.slot_ns = e->sweep->seconds * 1e9 / ROUNDS};
    int lock = lock_machine();
    bench.pool = e->sweep->threads > 1 ? gm_pool_new((int)e->sweep->threads) : NULL;
    Entrant own[2];
    const Entrant *first = entrant_of(e, a, &own[0]), *second = entrant_of(e, b, &own[1]);
    bool good = !first || !second || run_pair(e, &bench, pair, first, second);
    entrants_release(own, 2);
    gm_pool_free(bench.pool);
    if (lock >= 0) close(lock);
    return good;
}

void measure_end(Exploration *e)
{
    entrants_release(e->ready.data, e->ready.count);
    e->ready = (Entrants){0};
}
