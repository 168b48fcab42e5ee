/* Before scheduling: what later stages need not think about.
 * In: run-time equations.  Out: the same without indices of extent 1; constants of equal values are one tensor, tables of whole numbers
 * in real values are tables of reals. */
#include "schedule/schedule.h"

#include "equation/index.h"
#include "equation/node_map.h"

#include <string.h>

/* --- indices of extent 1 ------------------------------------------------------------------------------------------- */
static void drop_node(Expr *node, void *context);

static void become(Scheduler *s, Expr *node, const Expr *other)
{
    int id = node->id;
    *node = *other;
    node->id = id;
    drop_node(node, s);
}

/* In place: every parent sees the change. */
static void drop_node(Expr *node, void *context)
{
    Scheduler *s = context;
    if (node->kind == EXPR_INDEX && node->index->extent == 1) {
        node->kind = EXPR_NUMBER;
        node->number = 0;
        node->integer = true;
        node->index = NULL;
    }
    if (node->kind != EXPR_REDUCE) return;
    int kept = 0;
    for (int i = 0; i < node->index_count; i++)
        if (node->indices[i]->extent > 1) node->indices[kept++] = node->indices[i];
    if (kept == 0 && node->reduction == REDUCE_ARGMAX)
        *node = *expr_int(s->module, 0);
    else if (kept == 0)
        become(s, node, node->args[0]);
    else
        node->index_count = kept;
}

static void drop_single(Scheduler *s, Equation *equation)
{
    int kept = 0;
    bool any = false;
    for (int i = 0; i < equation->free_count; i++) any |= equation->free[i]->extent == 1;
    const Expr *reduce = equation_reduce(equation);
    for (int i = 0; reduce && i < reduce->index_count; i++) any |= reduce->indices[i]->extent == 1;
    if (!any) return;
    expr_walk(equation->value, drop_node, s);
    for (int axis = 0; axis < equation->rank; axis++) {
        expr_walk(equation->subscripts[axis], drop_node, s);
        equation->subscripts[axis] = index_simplify(s->module, equation->subscripts[axis]);
    }
    equation->value = index_simplify(s->module, equation->value);
    for (int i = 0; i < equation->free_count; i++)
        if (equation->free[i]->extent > 1) equation->free[kept++] = equation->free[i];
    equation->free_count = kept;
}

/* --- constants ----------------------------------------------------------------------------------------------------- */
static const char *constant_key(Scheduler *s, const Tensor *tensor)
{
    uint64_t hash = 14695981039346656037u;
    int64_t count = tensor_count(tensor);
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &tensor->values[i], sizeof bits);
        hash = (hash ^ bits) * 1099511628211u;
        hash ^= hash >> 29;
    }
    Text key = text_new(s->scratch);
    text_printf(&key, "%d %llx", (int)tensor->type, (unsigned long long)hash);
    for (int axis = 0; axis < tensor->rank; axis++) text_printf(&key, " %lld", (long long)tensor->extents[axis]);
    return text_string(&key);
}

typedef struct {
    Scheduler *s;
    Map *first;
    NodeMap *known;
} Merger;

static void merge_read(Expr *node, void *context)
{
    Merger *merger = context;
    if (node->kind != EXPR_READ || node->tensor->kind != TENSOR_CONSTANT || node->tensor->output_name) return;
    Tensor *same = node_map_get(merger->known, node->tensor, NULL);
    if (!same) {
        const char *key = constant_key(merger->s, node->tensor);
        same = map_get(merger->first, key);
        size_t bytes = (size_t)tensor_count(node->tensor) * sizeof(double);
        if (!same) map_put(merger->s->scratch, merger->first, key, node->tensor);
        if (!same || memcmp(same->values, node->tensor->values, bytes) != 0) same = node->tensor;
        node_map_put(merger->known, node->tensor, same);
    }
    node->tensor = same;
}

/* --- tables of whole numbers --------------------------------------------------------------------------------------- */
/* Whole numbers that stand in real values are kept as reals: vectors load them as they are. */
typedef struct {
    Scheduler *s;
    NodeMap twins;
} Tables;

static Tensor *real_twin(Tables *tables, const Tensor *table)
{
    enum { EXACT = 1 << 24 };
    Tensor *twin = node_map_get(&tables->twins, table, NULL);
    if (twin) return twin;
    int64_t count = tensor_count(table);
    for (int64_t i = 0; i < count; i++)
        if (table->values[i] < -EXACT || table->values[i] > EXACT) return NULL;
    const char *name = arena_printf(tables->s->arena, "%s.real%d", table->name, tables->s->module->tensors.count);
    twin = tensor_new(tables->s->module, TENSOR_CONSTANT, name, TYPE_F32, table->rank, table->extents, table->origin);
    twin->values = table->values;
    tensor_plan_new(tables->s, twin);
    node_map_put(&tables->twins, table, twin);
    return twin;
}

static void visit_table(Expr *node, void *context)
{
    if (node->kind != EXPR_APPLY || node->integer) return;
    FunctionKind kind = function_table[node->function].kind;
    if (kind != FUNCTION_ARITHMETIC && kind != FUNCTION_REAL) return;
    for (int i = 0; i < node->count; i++) {
        Expr *read = node->args[i];
        if (read->kind != EXPR_READ || !read->integer || read->otherwise || read->tensor->kind != TENSOR_CONSTANT || read->tensor->output_name) continue;
        Tensor *twin = real_twin(context, read->tensor);
        if (twin) node->args[i] = expr_read(((Tables *)context)->s->module, twin, read->count, read->args, NULL, read->place);
    }
}

/* ------------------------------------------------------------------------------------------------------------------- */
/* An output that no run-time equation computes (an input, a weight, a constant) becomes a copy. */
static void copy_output(Scheduler *s, Port *port)
{
    Tensor *source = port->tensor;
    if (source->kind == TENSOR_LOCAL && !source->packed) return;
    Module *module = s->module;
    Tensor *copy = tensor_new(module, TENSOR_LOCAL, arena_printf(s->arena, "%s.output", source->name), source->type, source->rank,
                              source->extents, source->origin);
    tensor_plan_new(s, copy);
    copy->output_name = source->output_name ? source->output_name : port->name;
    source->output_name = NULL;
    Equation *equation = equation_new(module, copy, source->origin, module->frames.count ? module->frames.data[0] : NULL);
    Expr *subscripts[MAX_RANK];
    for (int axis = 0; axis < source->rank; axis++) {
        Index *index = index_new(module, arena_printf(s->arena, "_%d", axis), source->extents[axis], source->origin);
        equation->free[equation->free_count++] = index;
        equation->subscripts[axis] = subscripts[axis] = expr_index(module, index, source->origin);
    }
    equation->value = expr_read(module, source, source->rank, subscripts, NULL, source->origin);
    port->tensor = copy;
}

void simplify_equations(Scheduler *s)
{
    Map first = {0};
    NodeMap known;
    node_map_init(&known);
    Merger merger = {s, &first, &known};
    Tables tables = {.s = s};
    node_map_init(&tables.twins);
    for (int i = 0; i < s->module->outputs.count; i++) copy_output(s, &s->module->outputs.data[i]);
    for (int i = 0; i < s->module->equations.count; i++) {
        Equation *equation = s->module->equations.data[i];
        if (equation->packed) continue;
        expr_walk(equation->value, merge_read, &merger);
        expr_walk(equation->value, visit_table, &tables);
        drop_single(s, equation);
    }
    node_map_free(&tables.twins);
    node_map_free(&known);
}
