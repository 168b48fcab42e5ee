/* What this machine can do at most: the multiply-add peak of a core and how fast it reads sets of data of several sizes.
 * In: a target.  Out: the figures, measured once and cached beside the compiled models. */
#include "commands/peak.h"
#include "explore/explore.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 256 << 20 };

/* "AMD EPYC 9B14" and the like; "unknown processor" where the system does not say. */
static const char *processor_name(Arena *arena)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[512];
    const char *name = NULL, *family = NULL, *model = NULL;
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!colon) continue;
        colon++;
        colon += strspn(colon, " \t");
        colon[strcspn(colon, "\n")] = '\0';
        if (!name && strncmp(line, "model name", 10) == 0) name = arena_strdup(arena, colon);
        else if (!family && strncmp(line, "cpu family", 10) == 0) family = arena_strdup(arena, colon);
        else if (!model && strncmp(line, "model\t", 6) == 0) model = arena_strdup(arena, colon);
    }
    if (file) fclose(file);
    if (!name) return "unknown processor";
    return family && model ? arena_printf(arena, "%s (family %s model %s)", name, family, model) : name;
}

/* GB/s of reading `bytes` again and again, one core; the best of many. The C library's search reads as wide as the machine can. */
static double read_gbytes(const unsigned char *memory, size_t bytes)
{
    double best = 0;
    size_t repeats = LARGEST / bytes < 3 ? 3 : LARGEST / bytes;
    for (size_t r = 0; r < repeats; r++) {
        double start = now_ns();
        const void *volatile found = memchr(memory, 2, bytes); /* there is none: all is read */
        (void)found;
        double rate = (double)bytes / (now_ns() - start);
        if (rate > best) best = rate;
    }
    return best;
}

static void measure_memory(Roofline *roofline)
{
    unsigned char *memory = malloc(LARGEST);
    if (memory) memset(memory, 1, LARGEST);
    for (int i = 0; i < ROOFLINE_SIZES; i++) roofline->read_gbytes[i] = memory ? read_gbytes(memory, roofline_bytes(i)) : 1;
    /* A larger set is never read faster. */
    for (int i = ROOFLINE_SIZES - 2; i >= 0; i--)
        if (roofline->read_gbytes[i] < roofline->read_gbytes[i + 1]) roofline->read_gbytes[i] = roofline->read_gbytes[i + 1];
    free(memory);
}

size_t roofline_bytes(int i)
{
    return (size_t)262144 << (2 * i);
}

double roofline_bound_ms(const Roofline *roofline, int64_t flops, int64_t bytes)
{
    int i = 0;
    while (i < ROOFLINE_SIZES - 1 && (double)roofline_bytes(i) < (double)bytes) i++;
    double compute = (double)flops / (roofline->peak_gflops * 1e6), memory = (double)bytes / (roofline->read_gbytes[i] * 1e6);
    return compute > memory ? compute : memory;
}

static bool read_cached(Arena *arena, const char *path, Roofline *roofline)
{
    json_t *entry = json_load_file(path, 0, NULL);
    const char *machine = json_string_value(json_object_get(entry, "machine"));
    bool same = machine && strcmp(machine, roofline->machine) == 0;
    if (same) {
        roofline->peak_gflops = json_number_value(json_object_get(entry, "peak_gflops"));
        for (int i = 0; i < ROOFLINE_SIZES; i++) roofline->read_gbytes[i] = json_number_value(json_array_get(json_object_get(entry, "read_gbytes"), (size_t)i));
    }
    json_decref(entry);
    (void)arena;
    return same && roofline->peak_gflops > 0 && roofline->read_gbytes[ROOFLINE_SIZES - 1] > 0;
}

bool roofline_get(Arena *arena, const char *target, Roofline *roofline, Diagnostics *diags)
{
    TargetSet set;
    const Target *best = NULL;
    if (!target_set_find(target ? target : target_native(), &set)) {
        diag_help(diag_error(diags, GM170, (Place){0}, "there is no target \"%s\"", target), "the targets are %s", target_set_names());
        return false;
    }
    for (int i = set.count - 1; i >= 0; i--)
        if (target_runs(set.forms[i])) best = set.forms[i];
    if (!best) {
        diag_error(diags, GM174, (Place){0}, "this processor runs none of the forms of target %s", set.name);
        return false;
    }
    *roofline = (Roofline){.form = best->name, .machine = arena_printf(arena, "%s, %s", processor_name(arena), best->name)};
    const char *directory = cache_directory(arena, diags);
    if (!directory) return false;
    const char *path = arena_printf(arena, "%s/roofline-%s.json", directory, best->name);
    if (read_cached(arena, path, roofline)) return true;
    roofline->peak_gflops = peak_gflops(best, 20);
    measure_memory(roofline);
    json_t *rates = json_array();
    for (int i = 0; i < ROOFLINE_SIZES; i++) json_array_append_new(rates, json_real(roofline->read_gbytes[i]));
    json_t *entry = json_pack("{s:s, s:f, s:o}", "machine", roofline->machine, "peak_gflops", roofline->peak_gflops, "read_gbytes", rates);
    char *text = json_dumps(entry, JSON_INDENT(1));
    const char *ignored;
    (void)file_write(path, text, strlen(text), &ignored); /* not kept: measured again next time */
    free(text);
    json_decref(entry);
    return true;
}
