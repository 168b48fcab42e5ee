/* What the user reads: a table on the terminal, CSV, JSON, and one HTML page that needs nothing else.
 * In: judged variants.  Out: files, each written whole or not at all. */
#include "explore/explore.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char gm_report_page[];     /* explore/report.html */
extern const char gm_report_charts[];   /* the charting library; "" where it was not found at build time */

/* --- order -------------------------------------------------------------------------------------------------------- */

static int group(const Variant *v)
{
    if (v->slots.count) return 0;
    if (v->state == VARIANT_SCREENED) return v->excluded ? 2 : 1;
    return 3;
}

/* Measured ones by time, then the sound by lower bound, the excluded, the wrong. */
static int in_order(const void *a, const void *b)
{
    const Variant *x = *(const Variant *const *)a, *y = *(const Variant *const *)b;
    if (group(x) != group(y)) return group(x) - group(y);
    double s = x->slots.count ? x->median : x->bound_ms, t = y->slots.count ? y->median : y->bound_ms;
    if (x->slots.count && strcmp(x->machine, y->machine) != 0) return strcmp(x->machine, y->machine);
    if (s != t) return s < t ? -1 : 1;
    return x->index - y->index;
}

static const Variant **sorted_variants(const Exploration *e)
{
    const Variant **sorted = arena_new_array(e->arena, const Variant *, e->variants.count + 1);
    for (int i = 0; i < e->variants.count; i++) sorted[i] = &e->variants.data[i];
    qsort(sorted, (size_t)e->variants.count, sizeof *sorted, in_order);
    return sorted;
}

static const char *state_name(const Variant *v)
{
    if (v->state == VARIANT_WRONG) return "error";
    if (v->slots.count) return "measured";
    return v->failure ? "failed" : v->excluded ? "excluded" : v->chosen ? "not measured yet" : "screened";
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static json_t *variant_entry(const Exploration *e, const Variant *v)
{
    json_t *values = json_object(), *entry;
    for (int i = 0; i < e->sweep->varies.count; i++) json_object_set_new(values, e->sweep->varies.data[i].name, json_string(v->values[i]));
    entry = json_pack("{s:s, s:o, s:s}", "name", v->name, "values", values, "state", state_name(v));
    if (v->error) json_object_set_new(entry, "error", json_string(v->error));
    if (v->failure) json_object_set_new(entry, "error", json_string(v->failure));
    if (v->state != VARIANT_SCREENED) return entry;
    json_object_update_new(entry, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "hash", v->hash, "parameters", (json_int_t)v->parameters, "macs", (json_int_t)v->macs,
                                            "flops", (json_int_t)v->flops, "bytes", (json_int_t)v->bytes, "arena_bytes", (json_int_t)v->arena_bytes, "weight_bytes",
                                            (json_int_t)v->weight_bytes, "bound_ms", v->bound_ms));
    if (v->blocks) json_object_set(entry, "blocks", v->blocks);
    if (v->has_quality) json_object_set_new(entry, "quality", json_real(v->quality));
    if (!v->slots.count) return entry;
    json_object_update_new(entry, json_pack("{s:f, s:f, s:f, s:f, s:b, s:s, s:i}", "ms", v->median, "ms_low", v->low, "ms_high", v->high, "percent_of_peak", v->percent, "front",
                                            v->on_front, "machine", v->machine, "slots", v->slots.count));
    if (v->tie) json_object_set_new(entry, "tie", json_integer(v->tie));
    if (v->note) json_object_set_new(entry, "note", json_string(v->note));
    return entry;
}

static char *results_json(const Exploration *e, const Variant *const *sorted, size_t flags)
{
    json_t *list = json_array();
    for (int i = 0; i < e->variants.count; i++) json_array_append_new(list, variant_entry(e, sorted[i]));
    json_t *all = json_pack("{s:s, s:s, s:s, s:f, s:f, s:s, s:o}", "model", e->sweep->path, "quality", quality_name(e->sweep), "machine", e->roofline.machine, "peak_gflops",
                            e->roofline.peak_gflops, "memory_gbytes", e->roofline.read_gbytes[ROOFLINE_SIZES - 1], "version", GMLPC_VERSION, "variants", list);
    if (e->has_noise) json_object_set_new(all, "noise", json_real(e->noise));
    char *text = json_dumps(all, flags);
    json_decref(all);
    return text;
}

/* --- CSV ---------------------------------------------------------------------------------------------------------- */

static void csv_cell(Text *text, const char *cell)
{
    bool quoted = strpbrk(cell, ",\"\n\r") != NULL;
    if (quoted) text_add(text, "\"");
    for (const char *c = cell; *c; c++) {
        if (*c == '"') text_add(text, "\"");
        text_add_bytes(text, c, 1);
    }
    if (quoted) text_add(text, "\"");
}

static const char *results_csv(const Exploration *e, const Variant *const *sorted)
{
    Text text = text_new(e->arena);
    text_add(&text, "name");
    for (int i = 0; i < e->sweep->varies.count; i++) {
        text_add(&text, ",");
        csv_cell(&text, e->sweep->varies.data[i].name);
    }
    text_add(&text, ",state,hash,parameters,macs,flops,bytes,arena_bytes,weight_bytes,bound_ms,ms,ms_low,ms_high,percent_of_peak,quality,front,tie,machine,note\n");
    for (int i = 0; i < e->variants.count; i++) {
        const Variant *v = sorted[i];
        csv_cell(&text, v->name);
        for (int k = 0; k < e->sweep->varies.count; k++) {
            text_add(&text, ",");
            csv_cell(&text, v->values[k]);
        }
        text_printf(&text, ",%s,", state_name(v));
        if (v->state == VARIANT_SCREENED)
            text_printf(&text, "%s,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%.6g,", v->hash, v->parameters, v->macs, v->flops, v->bytes,
                        v->arena_bytes, v->weight_bytes, v->bound_ms);
        else text_add(&text, ",,,,,,,,");
        if (v->slots.count) text_printf(&text, "%.6g,%.6g,%.6g,%.4g,", v->median, v->low, v->high, v->percent);
        else text_add(&text, ",,,,");
        if (v->has_quality) text_printf(&text, "%.10g", v->quality);
        text_printf(&text, ",%s,", v->on_front ? "yes" : "");
        if (v->tie) text_printf(&text, "%d", v->tie);
        text_add(&text, ",");
        csv_cell(&text, v->machine ? v->machine : "");
        text_add(&text, ",");
        csv_cell(&text, v->error ? v->error : v->failure ? v->failure : v->note ? v->note : "");
        text_add(&text, "\n");
    }
    return text_string(&text);
}

/* --- HTML --------------------------------------------------------------------------------------------------------- */

/* Text inside <script>: "</" must not end it. */
static void add_script(Text *page, const char *text)
{
    for (const char *at; (at = strstr(text, "</")); text = at + 2) {
        text_add_bytes(page, text, (size_t)(at - text));
        text_add(page, "<\\/");
    }
    text_add(page, text);
}

static const char *results_html(const Exploration *e, const char *data)
{
    Text page = text_new(e->arena);
    const char *rest = gm_report_page;
    static const char *const marks[] = {"/*CHARTS*/", "/*DATA*/"};
    for (int i = 0; i < 2; i++) {
        const char *at = strstr(rest, marks[i]);
        if (!at) continue;
        text_add_bytes(&page, rest, (size_t)(at - rest));
        if (i == 0) text_add(&page, gm_report_charts);
        else add_script(&page, data);
        rest = at + strlen(marks[i]);
    }
    text_add(&page, rest);
    return text_string(&page);
}

/* --- the terminal ------------------------------------------------------------------------------------------------- */

static const char *short_number(Arena *arena, double number)
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P"};
    int unit = 0;
    while (fabs(number) >= 1000 && unit < 5) number /= 1000, unit++;
    return arena_printf(arena, unit ? "%.3g %s" : "%.4g%s", number, units[unit]);
}

static void print_table(const Exploration *e, const Variant *const *sorted)
{
    enum { MOST_ROWS = 40 };
    int counts[4] = {0}, widest = 12;
    for (int i = 0; i < e->variants.count; i++) {
        counts[group(sorted[i])]++;
        if (group(sorted[i]) < 2 && (int)strlen(sorted[i]->name) > widest) widest = (int)strlen(sorted[i]->name);
    }
    if (widest > 60) widest = 60;
    printf("%d variants: %d measured, %d screened, %d excluded, %d wrong\n", e->variants.count, counts[0], counts[1], counts[2], counts[3]);
    printf("%s: %.4g GFLOP/s of multiply-adds, %.3g GB/s from memory, a core\n", e->roofline.machine, e->roofline.peak_gflops, e->roofline.read_gbytes[ROOFLINE_SIZES - 1]);
    if (e->has_noise) printf("noise: one variant measured twice differs by %.1f %%; smaller differences are ties\n", 100 * e->noise);
    printf("\n    %-*s %9s %9s %9s %9s %11s %19s %7s %10s\n", widest, "variant", "params", "MACs", "FLOPs", "bound ms", "ms", "95 %", "% peak", quality_name(e->sweep));
    for (int i = 0; i < e->variants.count && i < MOST_ROWS; i++) {
        const Variant *v = sorted[i];
        if (group(v) > 1) break;
        printf("  %s %-*s %9s %9s %9s %9.3g", v->on_front ? "*" : " ", widest, v->name, short_number(e->arena, (double)v->parameters), short_number(e->arena, (double)v->macs),
               short_number(e->arena, (double)v->flops), v->bound_ms);
        if (v->slots.count) printf(" %11.4g %9.4g..%-8.4g %7.1f", v->median, v->low, v->high, v->percent);
        else printf(" %11s %19s %7s", "", "", "");
        printf(" %10s%s\n", v->has_quality ? short_number(e->arena, v->quality) : "", v->tie ? arena_printf(e->arena, "  tie %d", v->tie) : "");
    }
    if (counts[0] + counts[1] > MOST_ROWS) printf("    … %d more in the report\n", counts[0] + counts[1] - MOST_ROWS);
    if (counts[0]) printf("\n* on the front: nothing faster has as much of %s\n", quality_name(e->sweep));
    int shown = 0;
    for (int i = 0; i < e->variants.count && shown < 10; i++)
        if (sorted[i]->error || sorted[i]->failure) {
            printf("%s%s: %s\n", shown++ ? "" : "\n", sorted[i]->name, sorted[i]->error ? sorted[i]->error : sorted[i]->failure);
        }
    if (counts[3] > shown) printf("… %d more are wrong, see the report\n", counts[3] - shown);
}

static bool write_one(Exploration *e, const char *name, const char *text)
{
    const char *error = NULL, *path = arena_printf(e->arena, "%s/%s", e->sweep->folder, name);
    if (file_write(path, text, strlen(text), &error)) return true;
    diag_error(e->diags, GM182, (Place){0}, "%s: %s", path, error);
    return false;
}

bool report_write(Exploration *e)
{
    const Variant **sorted = sorted_variants(e);
    char *data = results_json(e, sorted, JSON_COMPACT), *pretty = results_json(e, sorted, JSON_INDENT(1));
    bool good = write_one(e, "results.json", pretty) && write_one(e, "results.csv", results_csv(e, sorted)) && write_one(e, "report.html", results_html(e, data));
    free(data);
    free(pretty);
    if (!good) return false;
    print_table(e, sorted);
    printf("\n%s/report.html, results.csv, results.json\n", e->sweep->folder);
    return true;
}
