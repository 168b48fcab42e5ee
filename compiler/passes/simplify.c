/* Passes simplify and tables: index arithmetic, constants, tables known now, dead code.
 * In: any module.  Out: the same values; equations that depend on nothing but numbers are constant tensors (f32 rounded once). */
#include "equation/index.h"
#include "equation/program.h"
#include "passes/pass_functions.h"
#include "passes/rewrite.h"

#include <math.h>
#include <string.h>

static bool is_number(const Expr *expr, double number)
{
    return expr->kind == EXPR_NUMBER && expr->number == number;
}

static Expr *fold_apply(Module *module, Expr *node)
{
    double numbers[3] = {0};
    bool known = true;
    for (int i = 0; i < node->count; i++) {
        known = known && node->args[i]->kind == EXPR_NUMBER;
        numbers[i] = node->args[i]->number;
    }
    if (known && !node->integer)
        return expr_number(module, function_evaluate(node->function, numbers[0], numbers[1], numbers[2]), false, node->place);
    if (node->integer || node->count != 2) return node;
    Expr *a = node->args[0], *b = node->args[1];
    if (node->function == FN_ADD && is_number(a, 0) && !b->integer) return b;
    if ((node->function == FN_ADD || node->function == FN_SUB) && is_number(b, 0) && !a->integer) return a;
    if (node->function == FN_MUL && is_number(a, 1) && !b->integer) return b;
    if ((node->function == FN_MUL || node->function == FN_DIV) && is_number(b, 1) && !a->integer) return a;
    if (node->function == FN_DIV && b->kind == EXPR_NUMBER && b->number != 0 && isfinite(1 / b->number))
        return expr_apply(module, FN_MUL, a, expr_number(module, 1 / b->number, false, b->place), NULL, node->place);
    return node;
}

/* An element of a constant tensor at a place known now. */
static Expr *fold_read(Module *module, Expr *node)
{
    int64_t element = 0;
    if (node->tensor->kind != TENSOR_CONSTANT) return node;
    for (int axis = 0; axis < node->count; axis++) {
        const Expr *subscript = node->args[axis];
        if (subscript->kind != EXPR_NUMBER) return node;
        if (subscript->number < 0 || subscript->number >= (double)node->tensor->extents[axis]) return node;
        element = element * node->tensor->extents[axis] + (int64_t)subscript->number;
    }
    return expr_number(module, node->tensor->values[element], node->integer, node->place);
}

static Expr *fold_node(Module *module, Expr *node, void *context)
{
    (void)context;
    if (node->kind == EXPR_APPLY) return fold_apply(module, node);
    if (node->kind == EXPR_READ) return fold_read(module, node);
    return node;
}

/* --- tables known now --------------------------------------------------------------------------------------------- */
typedef struct {
    bool known;   /* reads nothing but constants */
    bool plain;   /* no read, reduction or real function: cheaper to compute where it is used */
    int nodes;
} Known;

static void inspect(Expr *node, void *context)
{
    Known *known = context;
    known->nodes++;
    if (node->kind == EXPR_READ && node->tensor->kind != TENSOR_CONSTANT) known->known = false;
    if (node->kind == EXPR_READ || node->kind == EXPR_REDUCE) known->plain = false;
    if (node->kind == EXPR_APPLY && function_table[node->function].kind == FUNCTION_REAL) known->plain = false;
}

static bool is_table(const Equation *equation, bool plain_too)
{
    Known known = {true, true, 0};
    if (equation->result->output_name) return false;
    expr_walk(equation->value, inspect, &known);
    return known.known && (plain_too || !known.plain || known.nodes > 12);
}

static void store_table(Module *module, const Equation *equation, Arena *scratch)
{
    Tensor *tensor = equation->result;
    int64_t count = tensor_count(tensor);
    double **values = arena_new_array(scratch, double *, module->tensors.count);
    for (int i = 0; i < module->tensors.count; i++) values[i] = module->tensors.data[i]->values;
    if (!tensor->values) tensor->values = arena_new_array(module->arena, double, count);
    Program *program = program_compile(scratch, equation, values, NULL);
    program->result = tensor->values;
    program_run(program);
    arena_reset(scratch);
}

/* A tensor becomes a constant when everything that writes it is known; its equations then go. */
static void fold_tables(Module *module, bool plain_too)
{
    Arena *links_arena = arena_new(), *scratch = arena_new();
    Links *links = links_new(links_arena, module);
    int kept = 0;
    for (int i = 0; i < module->equations.count; i++) {
        Equation *equation = module->equations.data[i];
        Tensor *tensor = equation->result;
        if (!is_table(equation, plain_too) || links->tensors[tensor->id].writers > 1) { /* collected tables are rare: computed at run time */
            module->equations.data[kept++] = equation;
            continue;
        }
        store_table(module, equation, scratch);
        tensor->kind = TENSOR_CONSTANT;
        int64_t count = tensor_count(tensor);
        for (int64_t k = 0; k < count && tensor->type == TYPE_F32; k++) tensor->values[k] = (double)(float)tensor->values[k];
    }
    module->equations.count = kept;
    arena_free(links_arena);
    arena_free(scratch);
}

/* --- equal tables ------------------------------------------------------------------------------------------------- */
static uint64_t table_hash(const Tensor *tensor)
{
    uint64_t hash = (uint64_t)tensor->type + (uint64_t)tensor->rank * 31;
    int64_t count = tensor_count(tensor);
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &tensor->values[i], sizeof bits);
        hash = (hash ^ bits) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    return hash;
}

static bool same_table(const Tensor *a, const Tensor *b)
{
    if (a->type != b->type || a->rank != b->rank) return false;
    for (int axis = 0; axis < a->rank; axis++)
        if (a->extents[axis] != b->extents[axis]) return false;
    return memcmp(a->values, b->values, (size_t)tensor_count(a) * sizeof *a->values) == 0;
}

static Expr *read_first(Module *module, Expr *node, void *context)
{
    Tensor *const *first = context;
    if (node->kind != EXPR_READ || first[node->tensor->id] == node->tensor) return node;
    return expr_read(module, first[node->tensor->id], node->count, node->args, node->otherwise, node->place);
}

/* A block that is called again and again brings its tables along each time: they become one. */
static void merge_tables(Module *module)
{
    Arena *scratch = arena_new();
    int count = module->tensors.count, merged = 0;
    Tensor **first = arena_new_array(scratch, Tensor *, count + 1);
    uint64_t *hashes = arena_new_array(scratch, uint64_t, count + 1);
    for (int i = 0; i < count; i++) {
        Tensor *tensor = first[i] = module->tensors.data[i];
        if (tensor->kind != TENSOR_CONSTANT) continue;
        hashes[i] = table_hash(tensor);
        for (int j = 0; j < i && first[i] == tensor; j++)
            if (module->tensors.data[j]->kind == TENSOR_CONSTANT && hashes[j] == hashes[i] && same_table(module->tensors.data[j], tensor)) first[i] = first[j];
        merged += first[i] != tensor;
    }
    for (int i = 0; merged && i < module->equations.count; i++)
        module->equations.data[i]->value = expr_rewrite(module, module->equations.data[i]->value, read_first, first);
    arena_free(scratch);
}

static void simplify(Module *module, bool plain_too)
{
    remove_dead(module);
    for (int i = 0; i < module->equations.count; i++) {
        Equation *equation = module->equations.data[i];
        for (int axis = 0; axis < equation->rank; axis++) equation->subscripts[axis] = index_simplify(module, equation->subscripts[axis]);
        equation->value = expr_rewrite(module, index_simplify(module, equation->value), fold_node, NULL);
        if (!element_type_is_integer(equation->result->type) && equation->value->kind == EXPR_NUMBER) equation->value = expr_real(module, equation->value);
    }
    fold_tables(module, plain_too);
    merge_tables(module);
    remove_dead(module);
}

void pass_simplify(Module *module, Diagnostics *diags)
{
    (void)diags;
    simplify(module, false);
}

/* After views: what is known and was not read through is a table too. */
void pass_tables(Module *module, Diagnostics *diags)
{
    (void)diags;
    simplify(module, true);
}
