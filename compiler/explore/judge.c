/* What the measurements say: medians with their intervals, the Pareto front, and which variants can't be told apart.
 * In: slots, costs, the user's table of accuracies.  Out: fields of the variants, and pairs measured again. */
#include "explore/explore.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PAIRS = 8 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median_of(double *values, int count)
{
    if (!count) return 0;
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

/* Median and its 95 % confidence interval by order statistics. */
static void interval(Arena *arena, const double *values, int count, double *median, double *low, double *high)
{
    double *sorted = arena_new_array(arena, double, count + 1);
    if (count) memcpy(sorted, values, (size_t)count * sizeof *sorted);
    *median = median_of(sorted, count);
    if (!count) return;
    int k = (int)floor((count - 1.96 * sqrt(count)) / 2);
    if (k < 0) k = 0;
    *low = sorted[k];
    *high = sorted[count - 1 - k];
}

/* --- quality ------------------------------------------------------------------------------------------------------ */

const char *quality_name(const Sweep *sweep)
{
    return sweep->quality ? sweep->quality : sweep->join ? "accuracy" : "parameters";
}

static bool static_quality(Exploration *e, const char *name)
{
    static const char *const names[] = {"parameters", "params", "macs", "flops", "bytes"};
    int which = -1;
    for (int i = 0; i < 5; i++)
        if (strcmp(names[i], name) == 0) which = i;
    if (which < 0) {
        diag_help(diag_error(e->diags, GM184, (Place){0}, "--front %s: no such cost, and no --join has a column of that name", name),
                  "parameters, macs, flops, bytes, or a column of the file that --join names");
        return false;
    }
    for (int i = 0; i < e->variants.count; i++) {
        Variant *v = &e->variants.data[i];
        if (v->state != VARIANT_SCREENED) continue;
        v->has_quality = true;
        v->quality = (double)(which < 2 ? v->parameters : which == 2 ? v->macs : which == 3 ? v->flops : v->bytes);
    }
    return true;
}

typedef LIST(char *) Cells;

/* One record of a CSV (RFC 4180), from *at on; quotes may hold commas, quotes and line ends. False at the end. */
static bool read_record(Arena *arena, const char **at, Cells *cells)
{
    const char *c = *at;
    *cells = (Cells){0};
    while (*c == '\n' || *c == '\r') c++;
    if (!*c) return false;
    for (;;) {
        Text cell = text_new(arena);
        if (*c == '"') {
            for (c++; *c && (*c != '"' || c[1] == '"'); c++) {
                text_add_bytes(&cell, c, 1);
                if (*c == '"') c++;
            }
            if (*c) c++;
        }
        for (; *c && *c != ',' && *c != '\n' && *c != '\r'; c++) text_add_bytes(&cell, c, 1);
        char *text = arena_strdup(arena, text_string(&cell));
        for (size_t n = strlen(text); n && isspace((unsigned char)text[n - 1]); n--) text[n - 1] = '\0';
        list_push(arena, cells, text + strspn(text, " \t"));
        if (*c != ',') break;
        c++;
    }
    *at = c;
    return true;
}

static int find_column(const Cells *header, const char *name)
{
    for (int i = 0; i < header->count; i++)
        if (strcmp(header->data[i], name) == 0) return i;
    return -1;
}

static bool join_failed(Exploration *e, const char *why)
{
    Diagnostic *diag = diag_error(e->diags, GM184, (Place){0}, "--join %s: %s", e->sweep->join, why);
    diag_help(diag, "a CSV with a header, one column of names (--on, default name) as in the report, and one of numbers (--front, default accuracy)");
    return false;
}

static Variant *named(Exploration *e, const char *name)
{
    for (int i = 0; i < e->variants.count; i++) {
        Variant *v = &e->variants.data[i];
        if (strcmp(v->name, name) == 0 || (v->hash && strcmp(v->hash, name) == 0)) return v;
    }
    return NULL;
}

bool join_quality(Exploration *e)
{
    const Sweep *sweep = e->sweep;
    if (!sweep->join) return static_quality(e, quality_name(sweep));
    char *text = NULL;
    size_t size = 0;
    const char *error = NULL;
    if (!file_read(e->arena, sweep->join, &text, &size, &error)) return join_failed(e, error);
    const char *at = text, *on = sweep->on ? sweep->on : "name", *value = quality_name(sweep);
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) at += 3;
    Cells header, cells;
    if (!read_record(e->arena, &at, &header)) return join_failed(e, "the file is empty");
    int names = find_column(&header, on), numbers = find_column(&header, value), matched = 0;
    if (names < 0) return join_failed(e, arena_printf(e->arena, "no column \"%s\"", on));
    if (numbers < 0) return join_failed(e, arena_printf(e->arena, "no column \"%s\"", value));
    for (int line = 2; read_record(e->arena, &at, &cells); line++) {
        if (cells.count <= names || cells.count <= numbers) return join_failed(e, arena_printf(e->arena, "record %d is too short", line));
        char *end;
        double number = strtod(cells.data[numbers], &end);
        if (!*cells.data[numbers] || *end || !isfinite(number)) return join_failed(e, arena_printf(e->arena, "record %d: \"%s\" is no number", line, cells.data[numbers]));
        Variant *v = named(e, cells.data[names]);
        if (!v) continue;
        v->quality = number;
        v->has_quality = true;
        matched++;
    }
    return matched > 0 || join_failed(e, "none of its names is a variant's");
}

/* --- front and ties ----------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const Variant *x = *(Variant *const *)a, *y = *(Variant *const *)b;
    if (x->median != y->median) return x->median < y->median ? -1 : 1;
    return x->index - y->index;
}

/* Of the measured ones of one machine: more quality than everything that is faster. Machines are never compared. */
static int find_front(Exploration *e, Variant **front)
{
    Variant **sorted = arena_new_array(e->arena, Variant *, e->variants.count + 1);
    int count = 0, on_front = 0;
    for (int i = 0; i < e->variants.count; i++) {
        Variant *v = &e->variants.data[i];
        v->on_front = false;
        if (v->slots.count && v->has_quality) sorted[count++] = v;
    }
    qsort(sorted, (size_t)count, sizeof *sorted, by_time);
    for (int i = 0; i < count; i++) {
        bool beaten = false;
        for (int k = 0; k < i && !beaten; k++)
            beaten = strcmp(sorted[k]->machine, sorted[i]->machine) == 0 && sorted[k]->quality >= sorted[i]->quality;
        if (beaten) continue;
        sorted[i]->on_front = true;
        front[on_front++] = sorted[i];
    }
    return on_front;
}

static bool measure_pairs(Exploration *e, Variant **front, int count)
{
    int measured = 0;
    for (int i = 0; i + 1 < count && measured < MOST_PAIRS; i++) {
        if (strcmp(front[i]->machine, e->roofline.machine) != 0 || strcmp(front[i + 1]->machine, e->roofline.machine) != 0) continue;
        if (front[i + 1]->low > front[i]->high * 1.1) continue; /* far apart: nothing to settle */
        if (!measure_pair(e, front[i + 1], front[i])) return false;
        measured++;
    }
    return true;
}

static void mark_ties(Exploration *e)
{
    int ties = 0;
    for (int i = 0; i < e->pairs.count; i++) {
        Pair *pair = &e->pairs.data[i];
        interval(e->arena, pair->ratios.data, pair->ratios.count, &pair->median, &pair->low, &pair->high);
        if (!pair->ratios.count) continue;
        bool tie = (pair->low <= 1 && pair->high >= 1) || fabs(pair->median - 1) <= e->noise;
        pair->a->note = arena_printf(e->arena, "%.3f times %s (%.3f to %.3f, measured in turn)%s", pair->median, pair->b->name, pair->low, pair->high, tie ? ": a tie" : "");
        if (!tie) continue;
        int number = pair->a->tie ? pair->a->tie : pair->b->tie ? pair->b->tie : ++ties;
        pair->a->tie = pair->b->tie = number;
    }
}

bool judge(Exploration *e)
{
    for (int i = 0; i < e->variants.count; i++) {
        Variant *v = &e->variants.data[i];
        interval(e->arena, v->slots.data, v->slots.count, &v->median, &v->low, &v->high);
        if (v->slots.count && v->peak > 0) v->percent = 100 * 2e-6 * (double)v->macs / v->median / v->peak;
    }
    Variant **front = arena_new_array(e->arena, Variant *, e->variants.count + 1);
    int count = find_front(e, front);
    if (e->sweep->ranks == 1 && !measure_pairs(e, front, count)) return false;
    mark_ties(e);
    return true;
}
