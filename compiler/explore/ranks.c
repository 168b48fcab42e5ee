/* Loading the MPI module, and exchanging journals' entries as text. */
#include "explore/ranks.h"

#include "support/module.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* The one thing a process has one of: its rank. */
static const gm_mpi_functions *mpi;

static bool under_mpirun(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i])) return true;
    return false;
}

bool ranks_start(Sweep *sweep, Diagnostics *diags)
{
    if (!under_mpirun()) return true;
    const gm_mpi_functions *functions = module_symbol("gmlpc-mpi.so", "GMLPC_MPI", "gm_mpi");
    if (!functions) {
        const char *why = dlerror();
        Diagnostic *diag = diag_error(diags, GM185, (Place){0}, "started by mpirun, but the MPI module can't be loaded: %s", why ? why : "it is not gmlpc's");
        diag_help(diag, "build gmlpc where Open MPI's development files are (Debian: libopenmpi-dev), or name the module in GMLPC_MPI");
        return false;
    }
    if (functions->start(&sweep->rank, &sweep->ranks) != 0) {
        diag_error(diags, GM185, (Place){0}, "MPI can't start");
        return false;
    }
    mpi = functions;
    return true;
}

/* A variant's lines: what was screened, and its slots. */
static void add_line(Text *text, json_t *entry)
{
    char *line = json_dumps(entry, JSON_COMPACT);
    text_add(text, line);
    text_add(text, "\n");
    free(line);
    json_decref(entry);
}

static void describe(const Exploration *e, Text *text)
{
    for (int i = 0; i < e->variants.count; i++) {
        const Variant *v = &e->variants.data[i];
        if (v->state != VARIANT_NEW && i % e->sweep->ranks == e->sweep->rank) {
            json_t *entry = variant_to_json(v);
            json_object_set_new(entry, "index", json_integer(i));
            add_line(text, entry);
        }
        if (v->machine && strcmp(v->machine, e->roofline.machine) == 0 && v->slots.count) {
            json_t *slots = json_array();
            for (int s = 0; s < v->slots.count; s++) json_array_append_new(slots, json_real(v->slots.data[s]));
            add_line(text, json_pack("{s:s, s:i, s:o, s:f, s:s, s:i}", "what", "slots", "index", i, "ms", slots, "peak", v->peak, "machine", v->machine, "rank", e->sweep->rank));
        }
    }
    if (e->has_noise) add_line(text, json_pack("{s:s, s:f}", "what", "noise", "noise", e->noise));
}

static void learn(Exploration *e, const json_t *entry)
{
    const char *what = json_string_value(json_object_get(entry, "what"));
    if (strcmp(what, "noise") == 0) {
        double noise = json_number_value(json_object_get(entry, "noise"));
        if (noise > e->noise) e->noise = noise;
        e->has_noise = true;
        return;
    }
    Variant *v = &e->variants.data[json_integer_value(json_object_get(entry, "index"))];
    if (strcmp(what, "screened") == 0) {
        if (v->state == VARIANT_NEW) variant_from_json(e->arena, v, entry);
        v->bound_ms = roofline_bound_ms(&e->roofline, v->flops, v->bytes);
        return;
    }
    if (json_integer_value(json_object_get(entry, "rank")) == e->sweep->rank) return;
    v->slots.count = 0;
    size_t i;
    json_t *ms;
    json_array_foreach(json_object_get(entry, "ms"), i, ms) list_push(e->arena, &v->slots, json_number_value(ms));
    v->peak = json_number_value(json_object_get(entry, "peak"));
    v->machine = arena_strdup(e->arena, json_string_value(json_object_get(entry, "machine")));
}

bool ranks_exchange(Exploration *e)
{
    if (!mpi) return true;
    Text mine = text_new(e->arena);
    describe(e, &mine);
    char *all = mpi->all_gather(text_string(&mine));
    for (const char *line = all, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        json_t *entry = json_loadb(line, (size_t)(end - line), 0, NULL);
        if (entry) learn(e, entry);
        json_decref(entry);
    }
    free(all);
    return all != NULL;
}

void ranks_end(bool good)
{
    if (!mpi) return;
    if (good) mpi->end();
    else mpi->abort(1);
    mpi = NULL;
}
