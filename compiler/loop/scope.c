/* Open loops and what is known in each. A value computed for the first time goes to the block of the outermost scope that knows what
 * it needs; a loop's statement is appended to the block around only when it closes, so such values precede it. */
#include "loop/lowering.h"

#include "support/bug.h"

void scope_push(Lowering *l, Block *block)
{
    if (l->depth == MAX_SCOPES) bug("lowering: more than %d nested scopes", MAX_SCOPES);
    Scope *scope = arena_new_object(l->arena, Scope);
    scope->block = block ? block : l->scopes[l->depth - 1]->block;
    l->scopes[l->depth++] = scope;
    l->build->block = scope->block;
}

void scope_pop(Lowering *l)
{
    l->depth--;
    l->build->block = l->depth ? l->scopes[l->depth - 1]->block : NULL;
}

static void bind(Lowering *l, Binding binding)
{
    if (!value_is_leaf(binding.base)) bug("lowering: index %s bound to a computed value", binding.index->name);
    binding.level = scope_level(l);
    list_push(l->arena, &l->scopes[l->depth - 1]->bindings, binding);
}

void scope_bind(Lowering *l, const Index *index, Value *base, int base_level, int64_t offset)
{
    bind(l, (Binding){.index = index, .base = base, .base_level = base_level, .offset = offset});
}

void scope_bind_vector(Lowering *l, const Index *index, Value *base, int base_level, int64_t offset, Value *part)
{
    bind(l, (Binding){.index = index, .base = base, .base_level = base_level, .offset = offset, .vector = true, .part = part});
}

const Binding *scope_find(const Lowering *l, const Index *index)
{
    for (int level = l->depth - 1; level >= 0; level--) {
        const Scope *scope = l->scopes[level];
        for (int k = scope->bindings.count - 1; k >= 0; k--)
            if (scope->bindings.data[k].index == index) return &scope->bindings.data[k];
    }
    bug("lowering %s: index %s has no value", l->kernel->kernel->name, index->name);
}

/* Whether the same tree has the same value wherever it stands: no loads of what the kernel writes. */
static bool is_pure(const Value *value)
{
    if (value->buffer && value->buffer->written) return false;
    for (int k = 0; k < 4 && value->operands[k]; k++)
        if (!is_pure(value->operands[k])) return false;
    return true;
}

Lowered scope_settle(Lowering *l, Lowered lowered, const char *name)
{
    Value *value = lowered.value;
    if (value_is_leaf(value)) return lowered;
    int level = lowered.level;
    if ((value->type == VALUE_VECTOR || value->type == VALUE_MASK) && level < l->vector_floor) level = l->vector_floor;
    bool pure = is_pure(value);
    for (int k = level; pure && k >= 0; k--) {
        Scope *scope = l->scopes[k];
        for (int n = 0; n < scope->named.count; n++)
            if (value_equal(scope->named.data[n].value, value)) return (Lowered){scope->names.data[n], k};
    }
    Scope *scope = l->scopes[level];
    Block *here = l->build->block;
    l->build->block = scope->block;
    Value *variable = build_let(l->build, name, value);
    l->build->block = here;
    Lowered named = {value, 0};
    if (pure) {
        list_push(l->arena, &scope->named, named);
        list_push(l->arena, &scope->names, variable);
    }
    return (Lowered){variable, level};
}

static bool along_vector(const Lowering *l, const Expr *expr)
{
    return (node_info(l, expr)->deps & l->vector_bit) != 0;
}

void scope_remember(Lowering *l, const Expr *expr, Lowered lowered)
{
    Memo memo = {expr, along_vector(l, expr), lowered};
    list_push(l->arena, &l->scopes[lowered.level]->memos, memo);
}

const Lowered *scope_recall(const Lowering *l, const Expr *expr)
{
    bool vector = along_vector(l, expr);
    for (int level = l->depth - 1; level >= 0; level--) {
        const Scope *scope = l->scopes[level];
        for (int k = 0; k < scope->memos.count; k++)
            if (scope->memos.data[k].expr == expr && scope->memos.data[k].vector == vector) return &scope->memos.data[k].lowered;
    }
    return NULL;
}

/* --- loops --------------------------------------------------------------------------------------------------------- */
Statement *loop_open(Lowering *l, const char *name, Value *from, Value *to, int64_t step)
{
    Statement *loop = build_for(l->build, name, from, to, step);
    scope_push(l, &loop->body);
    return loop;
}

void loop_close(Lowering *l, Statement *loop)
{
    if (!loop) return;
    scope_pop(l);
    build_append(l->build, loop);
}

Value *loop_variable(Lowering *l, const Statement *loop)
{
    return build_variable(l->build, loop->variable);
}

Statement *loop_over(Lowering *l, const Index *index)
{
    if (index->extent == 1) {
        scope_bind(l, index, build_int(l->build, 0), 0, 0);
        return NULL;
    }
    Statement *loop = loop_open(l, index->name, build_int(l->build, 0), build_int(l->build, index->extent), 1);
    scope_bind(l, index, loop_variable(l, loop), scope_level(l), 0);
    return loop;
}

/* --- the equation at hand ------------------------------------------------------------------------------------------ */
uint64_t index_bit(const Lowering *l, const Index *index)
{
    for (int k = 0; k < l->index_count; k++)
        if (l->indices[k] == index) return (uint64_t)1 << k;
    bug("lowering: index %s is unknown", index->name);
}

NodeInfo *node_info(const Lowering *l, const Expr *expr)
{
    return l->info[expr->id];
}

static void know_index(Lowering *l, const Index *index)
{
    if (l->index_count == MAX_INDICES) bug("lowering: more than %d indices in an equation of %s", MAX_INDICES, l->equation->result->name);
    l->indices[l->index_count++] = index;
}

static NodeInfo *analyse(Lowering *l, const Expr *expr)
{
    NodeInfo *info = l->info[expr->id];
    if (info && info->stamp == l->stamp) return info;
    info = arena_new_object(l->arena, NodeInfo);
    info->stamp = l->stamp;
    l->info[expr->id] = info;
    if (expr->kind == EXPR_INDEX) info->deps = index_bit(l, expr->index);
    if (expr->kind == EXPR_REDUCE)
        for (int k = 0; k < expr->index_count; k++) know_index(l, expr->indices[k]);
    for (int k = 0; k < expr->count; k++) {
        NodeInfo *part = analyse(l, expr->args[k]);
        part->uses++;
        info->deps |= part->deps;
        info->data |= part->data;
        if (expr->kind == EXPR_READ && expr_is_data_dependent(expr->args[k])) info->data = true;
    }
    if (expr->otherwise) {
        NodeInfo *part = analyse(l, expr->otherwise);
        part->uses++;
        info->deps |= part->deps;
        info->data |= part->data;
    }
    if (expr->kind == EXPR_REDUCE)
        for (int k = 0; k < expr->index_count; k++) info->deps &= ~index_bit(l, expr->indices[k]);
    return info;
}

void lowering_equation(Lowering *l, const Equation *equation)
{
    l->equation = equation;
    l->index_count = 0;
    l->stamp++;
    lowering_vector(l, NULL);
    for (int k = 0; k < equation->free_count; k++) know_index(l, equation->free[k]);
    analyse(l, equation->value);
    for (int axis = 0; axis < equation->rank; axis++) analyse(l, equation->subscripts[axis]);
}

void lowering_vector(Lowering *l, const Index *index)
{
    l->vector = index && l->target->lanes > 1 ? index : NULL;
    l->vector_bit = l->vector ? index_bit(l, index) : 0;
}

const Expr *find_reduce(const Expr *expr)
{
    if (expr->kind == EXPR_REDUCE) return expr;
    for (int k = 0; k < expr->count; k++) {
        const Expr *found = find_reduce(expr->args[k]);
        if (found) return found;
    }
    return expr->otherwise ? find_reduce(expr->otherwise) : NULL;
}

Access *find_access(Lowering *l, const Tensor *tensor)
{
    for (int k = 0; k < l->accesses.count; k++)
        if (l->accesses.data[k].tensor == tensor) return &l->accesses.data[k];
    bug("lowering %s: tensor %s is no parameter", l->kernel->kernel->name, tensor->name);
}
