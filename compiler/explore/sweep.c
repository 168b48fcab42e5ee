/* The sweep: values to vary, their combinations, and the sample of these. */
#include "explore/explore.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { MOST_VALUES = 10000, MOST_VARIANTS = 1000000 };

uint64_t random_next(uint64_t *state)
{
    uint64_t word = (*state += UINT64_C(0x9E3779B97F4A7C15));
    word = (word ^ (word >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94D049BB133111EB);
    return word ^ (word >> 31);
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static bool wrong(Diagnostics *diags, const char *text, const char *why)
{
    Diagnostic *diag = diag_error(diags, GM180, (Place){0}, "--vary %s: %s", text, why);
    diag_help(diag, "NAME=VALUE,VALUE… or NAME=FROM..TO:STEP (both ends included): DEPTH=12,18,30 or DIM=128..512:64");
    return false;
}

/* "128..512:64" → 128, 192, …, 512. */
static bool add_range(Arena *arena, Vary *vary, const char *text, const char *item, Diagnostics *diags)
{
    char *end;
    const char *dots = strstr(item, ".."), *first = arena_strndup(arena, item, (size_t)(dots - item)), *second = dots + 2;
    double from = strtod(first, &end), to, step = 1;
    if (end == first || *end) return wrong(diags, text, "a range starts with a number");
    to = strtod(second, &end);
    if (end == second) return wrong(diags, text, "a range ends with a number");
    if (*end == ':') step = strtod(end + 1, &end);
    if (*end || !isfinite(from) || !isfinite(to) || !isfinite(step)) return wrong(diags, text, "what follows the range is no step");
    if (step <= 0 || to < from) return wrong(diags, text, "a range goes up, by a step above 0");
    double turns = floor((to - from) / step + 1e-9);
    if (turns >= MOST_VALUES) return wrong(diags, text, "the range has too many values");
    for (int i = 0; i <= (int)turns; i++) list_push(arena, &vary->values, arena_printf(arena, "%.12g", from + i * step));
    return true;
}

bool sweep_add_vary(Arena *arena, Sweep *sweep, const char *text, Diagnostics *diags)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1]) return wrong(diags, text, "no NAME=VALUES");
    Vary vary = {.name = arena_strndup(arena, text, (size_t)(equals - text))};
    for (int i = 0; i < sweep->varies.count; i++)
        if (strcmp(sweep->varies.data[i].name, vary.name) == 0) return wrong(diags, text, "the name is varied twice");
    int depth = 0;
    for (const char *at = equals + 1, *start = at;; at++) {
        if (*at == '(' || *at == '[') depth++;
        if (*at == ')' || *at == ']') depth--;
        if (*at && (*at != ',' || depth > 0)) continue;
        const char *item = arena_strndup(arena, start, (size_t)(at - start));
        if (!*item) return wrong(diags, text, "an empty value");
        if (strstr(item, "..")) {
            if (!add_range(arena, &vary, text, item, diags)) return false;
        } else {
            list_push(arena, &vary.values, item);
        }
        if (!*at) break;
        start = at + 1;
    }
    list_push(arena, &sweep->varies, vary);
    return true;
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *path;
    int line;
    Diagnostics *diags;
} SweepFile;

static bool take_number(const SweepFile *file, const char *word, const char *value, double *number)
{
    char *end;
    *number = strtod(value, &end);
    if (*value && !*end && *number >= 0) return true;
    diag_error(file->diags, GM181, (Place){0}, "%s:%d: %s wants a number, not \"%s\"", file->path, file->line, word, value);
    return false;
}

static bool take_line(Arena *arena, Sweep *sweep, const SweepFile *file, const char *word, const char *value)
{
    double number = 0;
    if (strcmp(word, "vary") == 0) return sweep_add_vary(arena, sweep, value, file->diags);
    if (strcmp(word, "set") == 0) {
        list_push(arena, &sweep->sets, value);
        return true;
    }
    if (strcmp(word, "where") == 0) sweep->where = value;
    else if (strcmp(word, "model") == 0) sweep->model = value;
    else if (strcmp(word, "target") == 0) sweep->target = value;
    else if (strcmp(word, "join") == 0) sweep->join = value;
    else if (strcmp(word, "on") == 0) sweep->on = value;
    else if (strcmp(word, "front") == 0) sweep->quality = value;
    else if (strcmp(word, "sample") == 0 || strcmp(word, "measure") == 0 || strcmp(word, "seed") == 0 || strcmp(word, "seconds") == 0) {
        if (!take_number(file, word, value, &number)) return false;
        if (strcmp(word, "sample") == 0) sweep->sample = (long)number;
        else if (strcmp(word, "measure") == 0) sweep->measured = (long)number;
        else if (strcmp(word, "seed") == 0) sweep->seed = (uint64_t)number;
        else sweep->seconds = number;
    } else {
        Diagnostic *diag = diag_error(file->diags, GM181, (Place){0}, "%s:%d: \"%s\" is no word of a sweep file", file->path, file->line, word);
        diag_help(diag, "a line is vary, set, where, sample, measure, seed, seconds, model, target, join, on or front and its value, as after -- on the command line");
        return false;
    }
    return true;
}

bool sweep_read_file(Arena *arena, Sweep *sweep, const char *path, Diagnostics *diags)
{
    char *text = NULL;
    size_t size = 0;
    const char *error = NULL;
    if (!file_read(arena, path, &text, &size, &error)) {
        diag_error(diags, GM181, (Place){0}, "%s: %s", path, error);
        return false;
    }
    SweepFile file = {path, 0, diags};
    for (char *next = text, *line; next && *next;) {
        line = next;
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        file.line++;
        line[strcspn(line, "#\r")] = '\0';
        line += strspn(line, " \t");
        for (size_t n = strlen(line); n && (line[n - 1] == ' ' || line[n - 1] == '\t'); n--) line[n - 1] = '\0';
        if (!*line) continue;
        if (strncmp(line, "--", 2) == 0) line += 2;
        size_t length = strcspn(line, " \t=");
        const char *word = arena_strndup(arena, line, length), *value = line + length + strspn(line + length, " \t=");
        size_t n = strlen(value);
        if (n > 1 && (*value == '\'' || *value == '"') && value[n - 1] == *value) value = arena_strndup(arena, value + 1, n - 2);
        if (!take_line(arena, sweep, &file, word, value)) return false;
    }
    return true;
}

/* --- variants ----------------------------------------------------------------------------------------------------- */

static void add_variant(Exploration *e, int64_t number)
{
    const Sweep *sweep = e->sweep;
    Variant variant = {.index = e->variants.count, .values = arena_new_array(e->arena, const char *, sweep->varies.count + 1)};
    Text name = text_new(e->arena);
    for (int i = sweep->varies.count - 1; i >= 0; i--) {
        const Vary *vary = &sweep->varies.data[i];
        variant.values[i] = vary->values.data[number % vary->values.count];
        number /= vary->values.count;
    }
    for (int i = 0; i < sweep->varies.count; i++) text_printf(&name, "%s%s=%s", i ? " " : "", sweep->varies.data[i].name, variant.values[i]);
    variant.name = sweep->varies.count ? text_string(&name) : "as written";
    list_push(e->arena, &e->variants, variant);
}

/* A sample without repetition, in ascending order: Floyd's algorithm. */
static int64_t *draw(Arena *arena, int64_t total, int64_t wanted, uint64_t seed)
{
    int64_t *drawn = arena_new_array(arena, int64_t, wanted + 1);
    uint64_t state = seed;
    int count = 0;
    for (int64_t j = total - wanted; j < total; j++) {
        int64_t pick = (int64_t)(random_next(&state) % (uint64_t)(j + 1));
        int at = 0;
        while (at < count && drawn[at] < pick) at++;
        if (at < count && drawn[at] == pick) at = count, pick = j;
        memmove(drawn + at + 1, drawn + at, (size_t)(count - at) * sizeof *drawn);
        drawn[at] = pick;
        count++;
    }
    return drawn;
}

bool sweep_variants(Exploration *e)
{
    int64_t total = 1;
    for (int i = 0; i < e->sweep->varies.count; i++) {
        if (total > INT64_MAX / e->sweep->varies.data[i].values.count) total = INT64_MAX;
        else total *= e->sweep->varies.data[i].values.count;
    }
    int64_t wanted = e->sweep->sample > 0 && e->sweep->sample < total ? e->sweep->sample : total;
    if (wanted > MOST_VARIANTS) {
        diag_help(diag_error(e->diags, GM180, (Place){0}, "the sweep has %" PRId64 " variants, at most %d are taken", total, MOST_VARIANTS), "--sample N draws N of them");
        return false;
    }
    const int64_t *drawn = wanted < total ? draw(e->arena, total, wanted, e->sweep->seed) : NULL;
    for (int64_t i = 0; i < wanted; i++) add_variant(e, drawn ? drawn[i] : i);
    return true;
}

ModelRequest variant_request(Arena *arena, Exploration *exploration, const Variant *variant)
{
    const Sweep *sweep = exploration->sweep;
    exploration->parsed.arena = exploration->arena;
    ModelRequest request = {.path = sweep->path, .model = sweep->model, .parsed = &exploration->parsed};
    for (int i = 0; i < sweep->sets.count; i++) list_push(arena, &request.sets, sweep->sets.data[i]);
    for (int i = 0; i < sweep->varies.count; i++) list_push(arena, &request.sets, arena_printf(arena, "%s=%s", sweep->varies.data[i].name, variant->values[i]));
    return request;
}

/* What must be the same for a journal to go on: all that decides which variants there are and what is measured of them. */
const char *sweep_identity(Arena *arena, const Sweep *sweep, const char *model_text)
{
    Text text = text_new(arena);
    text_printf(&text, "gmlpc %s\n%s\n%s\n%s\n%ld %ld %" PRIu64 " %g %ld %d\n", GMLPC_VERSION, model_text, sweep->model ? sweep->model : "",
                sweep->target ? sweep->target : "", sweep->sample, sweep->measured, sweep->seed, sweep->seconds, sweep->threads, (int)sweep->backend);
    if (sweep->schedule) text_printf(&text, "schedule %s\n", sweep->schedule);
    text_printf(&text, "where %s\n", sweep->where ? sweep->where : "");
    for (int i = 0; i < sweep->sets.count; i++) text_printf(&text, "set %s\n", sweep->sets.data[i]);
    for (int i = 0; i < sweep->varies.count; i++) {
        text_printf(&text, "vary %s", sweep->varies.data[i].name);
        for (int v = 0; v < sweep->varies.data[i].values.count; v++) text_printf(&text, ",%s", sweep->varies.data[i].values.data[v]);
        text_add(&text, "\n");
    }
    return arena_printf(arena, "%016" PRIx64, (uint64_t)XXH64(text_string(&text), text.length, 0));
}
