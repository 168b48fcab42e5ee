/* Tables and constructors of the equation form, and walks over expr graphs. See equation.h for the form itself. */
#include "equation/equation.h"

#include "equation/mathematics.h"

#include "equation/node_map.h"
#include "support/bug.h"

#include <math.h>
#include <string.h>

/* --- tables ------------------------------------------------------------------------------------------------------- */
static const struct {
    const char *name;
    int bytes;
} element_types[] = {
#define ELEMENT_TYPE(enumerator, name, bytes, least, largest) [enumerator] = {name, bytes},
#include "equation/dtypes.def"
};
enum { ELEMENT_TYPE_COUNT = sizeof element_types / sizeof *element_types };

const char *element_type_name(ElementType type)
{
    return element_types[type].name;
}

int element_type_size(ElementType type)
{
    return element_types[type].bytes;
}

bool element_type_find(const char *name, ElementType *type)
{
    for (int i = 0; i < ELEMENT_TYPE_COUNT; i++) {
        if (strcmp(element_types[i].name, name) != 0) continue;
        *type = (ElementType)i;
        return true;
    }
    return false;
}

const FunctionInfo function_table[FUNCTION_COUNT] = {
#define FUNCTION(enumerator, name, arity, kind, meaning, cost, help) [enumerator] = {name, arity, FUNCTION_##kind, cost, help},
#include "equation/functions.def"
};

bool function_find(const char *name, Function *function)
{
    char first = name[0];
    if (!((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '_')) return false;
    if (strcmp(name, "neg") == 0) return false; /* written as a sign */
    for (int i = 0; i < FUNCTION_COUNT; i++) {
        if (strcmp(function_table[i].name, name) != 0) continue;
        *function = (Function)i;
        return true;
    }
    return false;
}

double function_evaluate(Function function, double a, double b, double c)
{
    switch (function) {
#define FUNCTION(enumerator, name, arity, kind, meaning, cost, help) \
    case enumerator: return (double)(meaning);
#include "equation/functions.def"
    case FUNCTION_COUNT: break;
    }
    bug("function_evaluate: no function %d (%g, %g, %g)", (int)function, a, b, c);
}

static const char *const reduction_names[] = {
#define REDUCTION(enumerator, name, help) [enumerator] = name,
#include "equation/reductions.def"
};
enum { REDUCTION_COUNT = sizeof reduction_names / sizeof *reduction_names };

const char *reduction_name(Reduction reduction)
{
    return reduction_names[reduction];
}

bool reduction_find(const char *name, Reduction *reduction)
{
    for (int i = 0; i < REDUCTION_COUNT; i++) {
        if (strcmp(reduction_names[i], name) != 0) continue;
        *reduction = (Reduction)i;
        return true;
    }
    return false;
}

/* --- construction ------------------------------------------------------------------------------------------------- */
Module *module_new(Arena *arena, const char *name)
{
    Module *module = arena_new_object(arena, Module);
    module->arena = arena;
    module->name = name;
    module->file = "";
    module->parameters = "";
    module->batch = 1;
    return module;
}

Tensor *tensor_new(Module *module, TensorKind kind, const char *name, ElementType type, int rank, const int64_t *extents, Place origin)
{
    if (rank < 0 || rank > MAX_RANK) bug("tensor %s of rank %d", name, rank);
    Tensor *tensor = arena_new_object(module->arena, Tensor);
    tensor->id = module->tensors.count;
    tensor->name = name;
    tensor->kind = kind;
    tensor->type = type;
    tensor->rank = rank;
    if (rank) memcpy(tensor->extents, extents, (size_t)rank * sizeof *extents);
    tensor->origin = origin;
    list_push(module->arena, &module->tensors, tensor);
    return tensor;
}

int64_t tensor_count(const Tensor *tensor)
{
    int64_t count = 1;
    for (int axis = 0; axis < tensor->rank; axis++) count *= tensor->extents[axis];
    return count;
}

Index *index_new(Module *module, const char *name, int64_t extent, Place origin)
{
    Index *index = arena_new_object(module->arena, Index);
    index->id = module->next_index++;
    index->name = name;
    index->extent = extent;
    index->origin = origin;
    return index;
}

static Expr *expr_new(Module *module, ExprKind kind, bool integer, Place place)
{
    Expr *expr = arena_new_object(module->arena, Expr);
    expr->kind = kind;
    expr->integer = integer;
    expr->id = module->next_expr++;
    expr->place = place;
    return expr;
}

Expr *expr_number(Module *module, double number, bool integer, Place place)
{
    Expr *expr = expr_new(module, EXPR_NUMBER, integer, place);
    expr->number = number;
    return expr;
}

Expr *expr_int(Module *module, int64_t number)
{
    return expr_number(module, (double)number, true, (Place){0});
}

Expr *expr_index(Module *module, Index *index, Place place)
{
    Expr *expr = expr_new(module, EXPR_INDEX, true, place);
    expr->index = index;
    return expr;
}

static Expr **copy_args(Module *module, int count, Expr *const *args)
{
    if (count == 0) return NULL;
    Expr **copy = arena_new_array(module->arena, Expr *, count);
    memcpy(copy, args, (size_t)count * sizeof *args);
    return copy;
}

Expr *expr_read(Module *module, Tensor *tensor, int count, Expr *const *subscripts, Expr *otherwise, Place place)
{
    if (count != tensor->rank) bug("read of %s, rank %d, with %d subscripts", tensor->name, tensor->rank, count);
    bool integer = element_type_is_integer(tensor->type) && (!otherwise || otherwise->integer);
    Expr *expr = expr_new(module, EXPR_READ, integer, place);
    expr->tensor = tensor;
    expr->count = count;
    expr->args = copy_args(module, count, subscripts);
    expr->otherwise = otherwise;
    return expr;
}

static bool is_integer_number(const Expr *expr, double number)
{
    return expr->kind == EXPR_NUMBER && expr->integer && expr->number == number;
}

static const double EXACT = 9007199254740992.0; /* 2^53 */

/* The value of a function whose integer operands are all numbers, when it is an exact integer. */
static bool fold_integers(Function function, const Expr *const *args, int count, double *value)
{
    double numbers[3] = {0};
    for (int i = 0; i < count; i++) {
        if (args[i]->kind != EXPR_NUMBER || !args[i]->integer) return false;
        numbers[i] = args[i]->number;
    }
    if ((function == FN_FLOORDIV || function == FN_MOD) && numbers[1] == 0) return false;
    *value = function_evaluate(function, numbers[0], numbers[1], numbers[2]);
    return fabs(*value) <= EXACT && *value == floor(*value);
}

/* Trivial cases of integers: the operand that is the result, or NULL. */
static Expr *fold_trivial(Module *module, Function function, Expr *a, Expr *b)
{
    if (function == FN_ADD && is_integer_number(a, 0)) return b;
    if ((function == FN_ADD || function == FN_SUB) && is_integer_number(b, 0)) return a;
    if (function == FN_MUL && is_integer_number(a, 1)) return b;
    if ((function == FN_MUL || function == FN_FLOORDIV) && is_integer_number(b, 1)) return a;
    if (function == FN_MUL && (is_integer_number(a, 0) || is_integer_number(b, 0))) return expr_int(module, 0);
    if (function == FN_MOD && is_integer_number(b, 1)) return expr_int(module, 0);
    return NULL;
}

static bool derives_integer(Function function, const Expr *const *args, int count)
{
    switch (function_table[function].kind) {
    case FUNCTION_REAL: return false;
    case FUNCTION_FLAG: return true;
    case FUNCTION_SELECT: return args[1]->integer && args[2]->integer;
    case FUNCTION_ARITHMETIC: break;
    }
    for (int i = 0; i < count; i++)
        if (!args[i]->integer) return false;
    return true;
}

Expr *expr_apply(Module *module, Function function, Expr *a, Expr *b, Expr *c, Place place)
{
    Expr *args[3] = {a, b, c};
    int count = function_table[function].arity;
    for (int i = 0; i < count; i++)
        if (!args[i]) bug("%s without its argument %d", function_table[function].name, i + 1);
    bool integer = derives_integer(function, (const Expr *const *)args, count);
    if (function == FN_WHERE && a->kind == EXPR_NUMBER) return a->number != 0 ? b : c;
    if (integer && function != FN_WHERE) {
        double value;
        if (fold_integers(function, (const Expr *const *)args, count, &value)) return expr_number(module, value, true, place);
        Expr *same = count == 2 && a->integer && b->integer ? fold_trivial(module, function, a, b) : NULL;
        if (same) return same;
    }
    Expr *expr = expr_new(module, EXPR_APPLY, integer, place);
    expr->function = function;
    expr->count = count;
    expr->args = copy_args(module, count, args);
    return expr;
}

Expr *expr_reduce(Module *module, Reduction reduction, int index_count, Index *const *indices, Expr *body, Place place)
{
    bool integer = reduction == REDUCE_ARGMAX || (reduction != REDUCE_MEAN && body->integer);
    if (index_count < 1) bug("%s over no index", reduction_name(reduction));
    if (reduction == REDUCE_ARGMAX && index_count != 1) bug("argmax over %d indices", index_count);
    Expr *expr = expr_new(module, EXPR_REDUCE, integer, place);
    expr->reduction = reduction;
    expr->count = 1;
    expr->args = copy_args(module, 1, &body);
    expr->index_count = index_count;
    expr->indices = arena_new_array(module->arena, Index *, index_count);
    memcpy(expr->indices, indices, (size_t)index_count * sizeof *indices);
    return expr;
}

Equation *equation_new(Module *module, Tensor *result, Place origin, Frame *frame)
{
    Equation *equation = arena_new_object(module->arena, Equation);
    equation->id = module->next_equation++;
    equation->result = result;
    equation->rank = result->rank;
    equation->origin = origin;
    equation->frame = frame;
    list_push(module->arena, &module->equations, equation);
    return equation;
}

/* --- copies ------------------------------------------------------------------------------------------------------- */
typedef struct {
    Module *module;
    const Substitution *map;
    int count;
    NodeMap nodes;   /* old node → new node */
    NodeMap indices; /* index of an inner reduction → its new Index */
} Copier;

static Expr *copy_node(Copier *copier, const Expr *expr);

static Expr *copy_index(Copier *copier, const Expr *expr)
{
    for (int i = 0; i < copier->count; i++)
        if (copier->map[i].index == expr->index) return copier->map[i].value;
    Index *fresh = node_map_get(&copier->indices, expr->index, NULL);
    return expr_index(copier->module, fresh ? fresh : expr->index, expr->place);
}

static Expr *copy_reduce(Copier *copier, const Expr *expr)
{
    Index **indices = arena_new_array(copier->module->arena, Index *, expr->index_count);
    for (int i = 0; i < expr->index_count; i++) {
        const Index *old = expr->indices[i];
        indices[i] = index_new(copier->module, old->name, old->extent, old->origin);
        node_map_put(&copier->indices, old, indices[i]);
    }
    Expr *copy = expr_new(copier->module, EXPR_REDUCE, expr->integer, expr->place);
    copy->reduction = expr->reduction;
    copy->index_count = expr->index_count;
    copy->indices = indices;
    Expr *body = copy_node(copier, expr->args[0]);
    copy->count = 1;
    copy->args = copy_args(copier->module, 1, &body);
    return copy;
}

static Expr *copy_children(Copier *copier, const Expr *expr)
{
    Expr *few[MAX_RANK];
    for (int i = 0; i < expr->count; i++) few[i] = copy_node(copier, expr->args[i]);
    Expr *otherwise = expr->otherwise ? copy_node(copier, expr->otherwise) : NULL;
    if (expr->kind == EXPR_READ) return expr_read(copier->module, expr->tensor, expr->count, few, otherwise, expr->place);
    return expr_apply(copier->module, expr->function, few[0], expr->count > 1 ? few[1] : NULL, expr->count > 2 ? few[2] : NULL,
                      expr->place);
}

static Expr *copy_node(Copier *copier, const Expr *expr)
{
    Expr *copy = node_map_get(&copier->nodes, expr, NULL);
    if (copy) return copy;
    switch (expr->kind) {
    case EXPR_NUMBER: copy = expr_number(copier->module, expr->number, expr->integer, expr->place); break;
    case EXPR_INDEX: copy = copy_index(copier, expr); break;
    case EXPR_READ:
    case EXPR_APPLY: copy = copy_children(copier, expr); break;
    case EXPR_REDUCE: copy = copy_reduce(copier, expr); break;
    }
    node_map_put(&copier->nodes, expr, copy);
    return copy;
}

Expr *expr_substitute(Module *module, const Expr *expr, const Substitution *map, int count)
{
    Copier copier = {.module = module, .map = map, .count = count};
    node_map_init(&copier.nodes);
    node_map_init(&copier.indices);
    Expr *copy = copy_node(&copier, expr);
    node_map_free(&copier.nodes);
    node_map_free(&copier.indices);
    return copy;
}

/* --- walks -------------------------------------------------------------------------------------------------------- */
typedef struct {
    Arena *arena; /* NULL until the list outgrows `few` */
    Expr **nodes;
    int count, capacity;
    Expr *few[64];
} Walk;

/* Children first; read backwards, every parent precedes its children. */
static void walk_collect(Walk *walk, Expr *expr)
{
    if (expr->met) return;
    expr->met = true;
    for (int i = expr->count - 1; i >= 0; i--) walk_collect(walk, expr->args[i]);
    if (expr->otherwise) walk_collect(walk, expr->otherwise);
    if (walk->count == walk->capacity) {
        if (!walk->arena) walk->arena = arena_new();
        Expr **grown = arena_new_array(walk->arena, Expr *, walk->capacity * 2);
        memcpy(grown, walk->nodes, (size_t)walk->count * sizeof *grown);
        walk->nodes = grown;
        walk->capacity *= 2;
    }
    walk->nodes[walk->count++] = expr;
}

void expr_walk(Expr *expr, void (*visit)(Expr *node, void *context), void *context)
{
    if (!expr->count && !expr->otherwise) {
        visit(expr, context);
        return;
    }
    Walk walk;
    walk.arena = NULL;
    walk.nodes = walk.few;
    walk.count = 0;
    walk.capacity = sizeof walk.few / sizeof walk.few[0];
    walk_collect(&walk, expr);
    for (int i = 0; i < walk.count; i++) walk.nodes[i]->met = false; /* a visitor may walk, too */
    for (int i = walk.count - 1; i >= 0; i--) visit(walk.nodes[i], context);
    arena_free(walk.arena);
}

typedef struct {
    NodeMap nodes;   /* node of a → the node of b that was found equal */
    NodeMap indices; /* reduced index of a → that of b */
} Comparison;

static bool equal_nodes(Comparison *comparison, const Expr *a, const Expr *b);

static bool equal_children(Comparison *comparison, const Expr *a, const Expr *b)
{
    for (int i = 0; i < a->count; i++)
        if (!equal_nodes(comparison, a->args[i], b->args[i])) return false;
    if (!a->otherwise != !b->otherwise) return false;
    return !a->otherwise || equal_nodes(comparison, a->otherwise, b->otherwise);
}

static bool equal_reductions(Comparison *comparison, const Expr *a, const Expr *b)
{
    if (a->reduction != b->reduction || a->index_count != b->index_count) return false;
    for (int i = 0; i < a->index_count; i++) {
        if (a->indices[i]->extent != b->indices[i]->extent) return false;
        node_map_put(&comparison->indices, a->indices[i], b->indices[i]);
    }
    return equal_children(comparison, a, b);
}

static bool equal_nodes(Comparison *comparison, const Expr *a, const Expr *b)
{
    if (a->kind != b->kind || a->integer != b->integer || a->count != b->count) return false;
    if (node_map_get(&comparison->nodes, a, NULL) == b) return true;
    bool equal = false;
    switch (a->kind) {
    case EXPR_NUMBER:
        equal = a->number == b->number ? signbit(a->number) == signbit(b->number) : a->number != a->number && b->number != b->number;
        break;
    case EXPR_INDEX: {
        const Index *mapped = node_map_get(&comparison->indices, a->index, NULL);
        equal = (mapped ? mapped : a->index) == b->index;
        break;
    }
    case EXPR_READ: equal = a->tensor == b->tensor && equal_children(comparison, a, b); break;
    case EXPR_APPLY: equal = a->function == b->function && equal_children(comparison, a, b); break;
    case EXPR_REDUCE: equal = equal_reductions(comparison, a, b); break;
    }
    if (equal) node_map_put(&comparison->nodes, a, (void *)b);
    return equal;
}

bool expr_equal(const Expr *a, const Expr *b)
{
    if (a == b) return true;
    if (a->kind != b->kind || a->count != b->count) return false;
    Comparison comparison;
    node_map_init(&comparison.nodes);
    node_map_init(&comparison.indices);
    bool equal = equal_nodes(&comparison, a, b);
    node_map_free(&comparison.nodes);
    node_map_free(&comparison.indices);
    return equal;
}

typedef struct {
    const Index *index;
    bool found;
} Search;

static void search_index(Expr *node, void *context)
{
    Search *search = context;
    search->found |= node->kind == EXPR_INDEX && node->index == search->index;
}

bool expr_uses(const Expr *expr, const Index *index)
{
    Search search = {index, false};
    expr_walk((Expr *)expr, search_index, &search);
    return search.found;
}

typedef struct {
    const Tensor *tensor;
    int count;
} Reads;

static void count_read(Expr *node, void *context)
{
    Reads *reads = context;
    reads->count += node->kind == EXPR_READ && node->tensor == reads->tensor;
}

int expr_read_count(const Expr *expr, const Tensor *tensor)
{
    Reads reads = {tensor, 0};
    expr_walk((Expr *)expr, count_read, &reads);
    return reads.count;
}

static void search_data(Expr *node, void *context)
{
    bool *found = context;
    if (node->kind != EXPR_READ) return;
    *found |= node->tensor->kind == TENSOR_INPUT || (node->tensor->kind == TENSOR_LOCAL && !node->tensor->packed);
}

bool expr_is_data_dependent(const Expr *subscript)
{
    bool found = false;
    expr_walk((Expr *)subscript, search_data, &found);
    return found;
}
