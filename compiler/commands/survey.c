/* Blocks found again in the frames of a module's equations, and their costs. */
#include "commands/survey.h"

#include "equation/node_map.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

typedef struct {
    Arena *arena;
    long depth;
    Rows rows;
    NodeMap weights;      /* weights counted */
} Survey;

/* --- rows --------------------------------------------------------------------------------------------------------- */
const Frame *frame_call(const Frame *frame)
{
    while (frame && frame->up && strcmp(frame->path, frame->up->path) == 0) frame = frame->up;
    return frame;
}

const Frame *frame_at_depth(const Frame *frame, long depth)
{
    const Frame *call = frame_call(frame);
    int deep = 0;
    for (const Frame *f = call; f && f->up; f = frame_call(f->up)) deep++;
    for (; deep > depth; deep--) call = frame_call(call->up);
    return call;
}

static const char *shape_text(Arena *arena, const Tensor *tensor)
{
    Text text = text_new(arena);
    text_add(&text, "[");
    for (int axis = 0; axis < tensor->rank; axis++) text_printf(&text, "%s%" PRId64, axis ? ", " : "", tensor->extents[axis]);
    text_add(&text, "]");
    return text_string(&text);
}

typedef struct {
    Survey *survey;
    Row *row;
    NodeMap *made, *seen; /* tensors written in the row; counted as coming in */
} RowVisit;

static void visit_read(Expr *node, void *context)
{
    RowVisit *visit = context;
    if (node->kind != EXPR_READ) return;
    const Tensor *tensor = node->tensor;
    bool made;
    node_map_get(visit->made, tensor, &made);
    if (!made && node_map_put(visit->seen, tensor, NULL)) visit->row->cost.bytes += tensor_count(tensor) * element_type_size(tensor->type);
    if (tensor->kind == TENSOR_WEIGHT && node_map_put(&visit->survey->weights, tensor, NULL)) cost_add_weight(&visit->row->cost, tensor);
}

static void survey_row(Survey *survey, Row *row, Equation *const *equations, int count)
{
    NodeMap made, seen;
    node_map_init(&made);
    node_map_init(&seen);
    RowVisit visit = {survey, row, &made, &seen};
    for (int i = 0; i < count; i++) {
        Cost cost = equation_cost(equations[i]);
        row->cost.macs += cost.macs;
        row->cost.flops += cost.flops;
        expr_walk(equations[i]->value, visit_read, &visit);
        node_map_put(&made, equations[i]->result, NULL);
    }
    const Tensor *result = equations[count - 1]->result;
    row->result = result;
    row->shape = shape_text(survey->arena, result);
    row->cost.bytes += tensor_count(result) * element_type_size(result->type);
    node_map_free(&made);
    node_map_free(&seen);
}

/* Equations of one block follow one another, except where the model's own stand between them: these get rows by themselves. */
static void survey_rows(Survey *survey, const Module *module)
{
    for (int i = 0; i < module->equations.count;) {
        const Frame *frame = frame_at_depth(module->equations.data[i]->frame, survey->depth);
        int end = i + 1;
        while (end < module->equations.count && frame_at_depth(module->equations.data[end]->frame, survey->depth) == frame) end++;
        const char *path = frame && frame->path && *frame->path ? frame->path : frame && frame->block ? frame->block : "";
        Row row = {.frame = frame, .path = frame && !frame->up ? "(the model itself)" : path, .times = 1};
        row.last = row.path;
        survey_row(survey, &row, module->equations.data + i, end - i);
        list_push(survey->arena, &survey->rows, row);
        i = end;
    }
}

/* --- turns of a repeat -------------------------------------------------------------------------------------------- */
bool alike_paths(const char *a, const char *b)
{
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            while (isdigit((unsigned char)*a)) a++;
            while (isdigit((unsigned char)*b)) b++;
        } else if (*a++ != *b++) {
            return false;
        }
    }
    return *a == *b;
}

static bool alike(const Row *a, const Row *b)
{
    return a->cost.macs == b->cost.macs && a->cost.flops == b->cost.flops && a->cost.parameters == b->cost.parameters &&
           a->cost.measured == b->cost.measured && strcmp(a->shape, b->shape) == 0 && alike_paths(a->path, b->path);
}

static int count_turns(const Rows *rows, int at, int period)
{
    int turns = 1;
    for (int next = at + period; next + period <= rows->count; next += period) {
        for (int i = 0; i < period; i++)
            if (!alike(&rows->data[at + i], &rows->data[next + i])) return turns;
        turns++;
    }
    return turns;
}

/* Runs of equal turns, of up to eight rows each, become their first turn. */
static Rows merge_turns(Arena *arena, const Rows *rows)
{
    Rows merged = {0};
    for (int at = 0; at < rows->count;) {
        int best = 1, turns = count_turns(rows, at, 1);
        for (int period = 2; period <= 8 && turns == 1; period++) {
            int found = count_turns(rows, at, period);
            if (found > 1) {
                best = period;
                turns = found;
            }
        }
        for (int i = 0; i < best; i++) {
            Row row = rows->data[at + i];
            row.times = turns;
            row.last = rows->data[at + i + (turns - 1) * best].path;
            list_push(arena, &merged, row);
        }
        at += best * turns;
    }
    return merged;
}

const char *path_range(Arena *arena, const char *first, const char *last)
{
    Text text = text_new(arena);
    while (*first && *last) {
        if (!isdigit((unsigned char)*first) || !isdigit((unsigned char)*last)) {
            text_add_bytes(&text, first++, 1);
            last++;
            continue;
        }
        size_t a = strspn(first, "0123456789"), b = strspn(last, "0123456789");
        bool same = a == b && strncmp(first, last, a) == 0;
        if (!same && text.length && text.data[text.length - 1] == '.') text.data[--text.length] = 0;
        if (same) text_add_bytes(&text, first, a);
        else text_printf(&text, "[%.*s..%.*s]", (int)a, first, (int)b, last);
        first += a;
        last += b;
    }
    return text_string(&text);
}

const char *row_path(Arena *arena, const Row *row)
{
    return path_range(arena, row->path, row->last);
}

const char *row_name(Arena *arena, const Row *row)
{
    if (row->times == 1) return row->path;
    const char *range = path_range(arena, row->path, row->last);
    return arena_printf(arena, "%s x%d", range, row->times);
}

Rows survey_module(Arena *arena, long depth, const Module *module)
{
    Survey survey = {.arena = arena, .depth = depth};
    node_map_init(&survey.weights);
    survey_rows(&survey, module);
    node_map_free(&survey.weights);
    return merge_turns(arena, &survey.rows);
}
