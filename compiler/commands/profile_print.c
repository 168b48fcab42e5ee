/* A profile as tables and as JSON. */
#include "commands/profile.h"
#include "commands/survey.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static double gflops(const ProfileRow *row)
{
    return row->ms > 0 ? 2e-6 * (double)row->macs / row->ms : 0;
}

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

typedef struct {
    int block, kernel;
} Widths;

static Widths widths(const Profile *p, Arena *arena)
{
    Widths widths = {20, 16};
    const ProfileRows *const tables[] = {&p->blocks, &p->kernels};
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < tables[t]->count; i++) {
            const ProfileRow *row = &tables[t]->data[i];
            int block = (int)strlen(path_range(arena, row->first, row->last)), kernel = row->kernel ? (int)strlen(row->kernel) : 0;
            if (block > widths.block) widths.block = block;
            if (kernel > widths.kernel) widths.kernel = kernel;
        }
    return widths;
}

static void add_row(const Profile *p, const ProfileRow *row, Widths w, Text *out)
{
    const char *path = path_range(out->arena, row->first, row->last);
    text_printf(out, "  %-*s", w.block, path);
    if (row->kernel) text_printf(out, "  %-*s  %-15s", w.kernel, row->kernel, row->form);
    text_printf(out, " %5d %9.4f %6.2f", row->calls, row->ms, percent(row->ms, p->total_ms));
    if (row->macs) text_printf(out, " %9.2f %6.1f\n", gflops(row), percent(gflops(row), p->peak));
    else text_printf(out, " %9s %6s\n", "-", "-");
}

void profile_text(const Profile *p, long threads, Text *out)
{
    Widths w = widths(p, out->arena);
    int readings = p->profiled->call_count * p->profiled->turns + 1;
    int64_t macs = 0;
    text_printf(out, "%s, %s, %ld thread%s: %.4g ms a run with times taken, %.4g without (mean over the middle half of %d runs each)\n", p->model, p->form, threads,
                threads == 1 ? "" : "s", p->total_ms, p->plain_ms, p->runs);
    text_printf(out, "  the clock is read %d times a run, %.0f ns each: %.4g ms\n", readings, p->clock_ns, 1e-6 * p->clock_ns * readings);
    text_printf(out, "\n  %-*s %5s %9s %6s %9s %6s\n", w.block, "block", "calls", "ms", "%", "GFLOP/s", "% peak");
    for (int i = 0; i < p->blocks.count; i++) add_row(p, &p->blocks.data[i], w, out);
    text_printf(out, "\n  %-*s  %-*s  %-15s %5s %9s %6s %9s %6s\n", w.block, "block", w.kernel, "kernel", "form", "calls", "ms", "%", "GFLOP/s", "% peak");
    ProfileRow all = {.first = "in all", .last = "in all", .kernel = "", .form = ""};
    for (int i = 0; i < p->kernels.count; i++) {
        const ProfileRow *row = &p->kernels.data[i];
        add_row(p, row, w, out);
        macs += row->macs;
        all.calls += row->calls;
        all.ms += row->ms;
    }
    all.macs = macs;
    add_row(p, &all, w, out);
    text_printf(out, "\nGFLOP/s are of multiply-adds (two operations each); the peak of %.4g was measured between the runs. A kernel counts for the block of its last\n"
                     "equation; forms: product RxC computes R rows of C columns in registers, chain two products with what lies between them.\n", p->peak);
}

static json_t *json_row(const Profile *p, const ProfileRow *row, Arena *arena)
{
    json_t *object = json_pack("{s:s, s:i, s:i, s:f, s:f, s:I, s:f, s:f}", "block", path_range(arena, row->first, row->last), "blocks", row->blocks, "calls",
                               row->calls, "ms", row->ms, "percent", percent(row->ms, p->total_ms), "macs", (json_int_t)row->macs, "gflops", gflops(row),
                               "percent_of_peak", percent(gflops(row), p->peak));
    if (row->kernel) json_object_set_new(object, "kernel", json_string(row->kernel));
    if (row->kernel) json_object_set_new(object, "form", json_string(row->form));
    return object;
}

static json_t *json_rows(const Profile *p, const ProfileRows *rows, Arena *arena)
{
    json_t *list = json_array();
    for (int i = 0; i < rows->count; i++) json_array_append_new(list, json_row(p, &rows->data[i], arena));
    return list;
}

void profile_json(const Profile *p, long threads, Text *out)
{
    json_t *calls = json_array();
    for (int i = 0; i < p->profiled->call_count; i++) {
        const gm_call *call = &p->profiled->calls[i];
        json_array_append_new(calls, json_pack("{s:s, s:s, s:f}", "block", call->block, "kernel", call->kernel, "ms", p->call_ms[i]));
    }
    json_t *object = json_pack("{s:s, s:s, s:I, s:i, s:f, s:f, s:f, s:i, s:f, s:o, s:o, s:o}", "model", p->model, "form", p->form, "threads", (json_int_t)threads,
                               "runs", p->runs, "total_ms", p->total_ms, "plain_ms", p->plain_ms, "clock_ns", p->clock_ns, "clock_readings",
                               p->profiled->call_count * p->profiled->turns + 1, "peak_gflops", p->peak, "blocks", json_rows(p, &p->blocks, out->arena), "kernels",
                               json_rows(p, &p->kernels, out->arena), "calls", calls);
    char *text = json_dumps(object, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    text_add(out, text);
    text_add(out, "\n");
    free(text);
    json_decref(object);
}
