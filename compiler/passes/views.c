/* Pass views: what only rearranges (slices, transpositions, heads split or merged, shifts, windows, concatenations) is read through.
 * In: normal form.  Out: the same values; a view stays where reading through it would make an address harder than reading it. */
#include "equation/index.h"
#include "equation/node_map.h"
#include "passes/pass_functions.h"
#include "passes/rewrite.h"

typedef enum { NO_VIEW, VIEW_LINEAR, VIEW_MAP, VIEW_OTHER } ViewKind;

typedef struct {
    bool reads, real;
    int nodes;
} MapSearch;

static void inspect(Expr *node, void *context)
{
    MapSearch *search = context;
    search->nodes++;
    search->reads |= node->kind == EXPR_READ || node->kind == EXPR_REDUCE;
    search->real |= node->kind == EXPR_APPLY && function_table[node->function].kind == FUNCTION_REAL;
}

/* A read whose otherwise, if any, is a number or again such a read: a slice, a padding, a concatenation. */
static bool is_chain(const Expr *expr)
{
    while (expr && expr->kind == EXPR_READ) expr = expr->otherwise;
    return !expr || expr->kind == EXPR_NUMBER;
}

/* Cheap functions of indices alone are computed where they are wanted. */
static bool is_index_map(const Expr *expr)
{
    MapSearch search = {0};
    expr_walk((Expr *)expr, inspect, &search);
    return !search.reads && !search.real && search.nodes <= 12;
}

static ViewKind view_kind(const Equation *equation)
{
    const Expr *value = equation->value;
    if (is_index_map(value)) return VIEW_MAP;
    if (value->kind != EXPR_READ || !is_chain(value) || has_data_subscripts(value)) return NO_VIEW;
    if (value->integer != element_type_is_integer(equation->result->type)) return NO_VIEW; /* it converts */
    return has_inexact_reads(value) ? VIEW_OTHER : VIEW_LINEAR;
}

typedef struct {
    LIST(const Tensor *) tensors;
    NodeMap seen;
    Arena *arena;
} Reads;

static void collect_read(Expr *node, void *context)
{
    Reads *reads = context;
    if (node->kind == EXPR_READ && node->tensor->kind == TENSOR_LOCAL && node_map_put(&reads->seen, node->tensor, NULL))
        list_push(reads->arena, &reads->tensors, node->tensor);
}

/* Reads with subscripts that no linear form covers, or with an otherwise: how many. */
static void count_inexact(Expr *node, void *context)
{
    int *count = context;
    if (node->kind != EXPR_READ) return;
    bool inexact = node->otherwise != NULL;
    for (int axis = 0; axis < node->count; axis++) {
        Linear linear;
        inexact = inexact || !index_linear(node->args[axis], &linear);
    }
    *count += inexact;
}

static int inexact_reads(const Expr *expr)
{
    int count = 0;
    expr_walk((Expr *)expr, count_inexact, &count);
    return count;
}

/* Reading through must not make addresses harder, except where a lone map reads a lone view element by element. A view of weights
 * is packed rather than paid for with split indices. */
static bool acceptable(const Draft *draft, const Equation *view, ViewKind kind, const Links *links)
{
    const Equation *reader = draft->equation;
    if (is_weight_only(view->value) && draft->free_count > reader->free_count && !is_weight_only(reader->value)) return false;
    if (kind == VIEW_MAP || inexact_reads(draft->value) <= inexact_reads(reader->value)) return true;
    if (count_reductions(reader->value)) return false;
    return links->tensors[view->result->id].readers.count == 1 && free_points(reader) <= tensor_count(view->result);
}

void read_through(Module *module, Links *links, Equation *reader)
{
    Reads reads = {.arena = arena_new()};
    node_map_init(&reads.seen);
    expr_walk(reader->value, collect_read, &reads);
    for (int i = 0; i < reads.tensors.count; i++) {
        const Equation *view = sole_producer(links, reads.tensors.data[i]);
        ViewKind kind = view ? view_kind(view) : NO_VIEW;
        if (kind == NO_VIEW) continue;
        Draft draft = draft_of(module, reader);
        if (!draft_inline(&draft, view)) continue;
        draft_split(&draft);
        if (!acceptable(&draft, view, kind, links)) continue;
        links_remove_reader(links, reader);
        draft_commit(&draft);
        links_add_reader(links, reader);
    }
    node_map_free(&reads.seen);
    arena_free(reads.arena);
}

void pass_views(Module *module, Diagnostics *diags)
{
    (void)diags;
    Arena *arena = arena_new();
    Links *links = links_new(arena, module);
    for (int i = 0; i < module->equations.count; i++) read_through(module, links, module->equations.data[i]);
    arena_free(arena);
    remove_dead(module);
}
