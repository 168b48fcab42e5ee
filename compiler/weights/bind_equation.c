/* A bind line with subscripts, as an equation of the one intermediate form over foreign tensors.
 * In: a matched line, the archive's shapes, the parameter.  Out: a scratch module with one equation, every read proved inside its
 * tensor; or complaints. */
#include "weights/bind.h"

#include "equation/index.h"

#include <math.h>
#include <string.h>

typedef struct {
    const char *name;
    Index *index;
    Place place;
    bool bounded, closed;  /* by `for`; its reduction has ended */
    int64_t extent;        /* 0: not known yet */
    const char *from;      /* "axis 1 of …" */
    bool from_weight;
} BindIndex;

typedef struct {
    Expr *read;
    const ForeignTensor *foreign;
    Place place;
} BindRead;

typedef struct {
    Arena *arena;
    const BoundLine *line;
    const Archive *archive;
    const Tensor *weight;
    BoundEquation *bound;
    Complaints *complaints;
    Diagnostics *diags;
    LIST(BindIndex) indices;
    LIST(BindRead) reads;
    int implicit;          /* unsubscripted: the first `rank` indices are the parameter's axes */
    bool failed;
} Builder;

static Expr *translate(Builder *b, const AstExpr *ast);

static Expr *fail(Builder *b)
{
    b->failed = true;
    return expr_int(b->bound->module, 0);
}

static Expr *wrong(Builder *b, Place place, const char *problem)
{
    diag_error(b->diags, GM130, place, "%s", problem);
    return fail(b);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static BindIndex *find_index(Builder *b, const char *name)
{
    for (int i = b->indices.count - 1; i >= 0; i--)
        if (!b->indices.data[i].closed && strcmp(b->indices.data[i].name, name) == 0) return &b->indices.data[i];
    return NULL;
}

static BindIndex *new_index(Builder *b, const char *name, Place place)
{
    BindIndex entry = {.name = name, .place = place, .index = index_new(b->bound->module, name, 1, place)};
    const AstBindLine *line = b->line->line;
    for (int i = 0; i < line->bounds.count; i++) {
        const AstBound *bound = &line->bounds.data[i];
        ConstantValue value;
        if (strcmp(bound->name, name) != 0) continue;
        if (!constant_evaluate(b->arena, bound->extent, bound_line_lookup, (void *)b->line, &value, b->diags)) {
            b->failed = true;
        } else if (value.kind != CONSTANT_NUMBER || value.number != floor(value.number) || value.number < 1 || value.number > 0x1p52) {
            wrong(b, bound->place, "the bound of a `for` is a whole number of at least 1");
        } else {
            entry.extent = (int64_t)value.number;
            entry.bounded = true;
        }
    }
    list_push(b->arena, &b->indices, entry);
    return &b->indices.data[b->indices.count - 1];
}

static bool is_constant(Builder *b, const AstExpr *ast)
{
    ConstantValue value;
    switch (ast->kind) {
    case AST_NUMBER:
    case AST_FLAG:
        return true;
    case AST_NAME:
        return bound_line_lookup((void *)b->line, ast->text, &value);
    case AST_PARENS:
    case AST_UNARY:
        return is_constant(b, ast->left);
    case AST_BINARY:
        return is_constant(b, ast->left) && is_constant(b, ast->right);
    case AST_STRING:
    case AST_LIST:
    case AST_CALL:
    case AST_READ:
    case AST_REDUCE:
    case AST_DOTS:
        break;
    }
    return false;
}

static Expr *translate_constant(Builder *b, const AstExpr *ast)
{
    ConstantValue value;
    if (!constant_evaluate(b->arena, ast, bound_line_lookup, (void *)b->line, &value, b->diags)) return fail(b);
    if (value.kind == CONSTANT_FLAG) return expr_number(b->bound->module, value.flag, true, ast->place);
    if (value.kind != CONSTANT_NUMBER) return wrong(b, ast->place, "a bind line computes with numbers alone");
    return expr_number(b->bound->module, value.number, value.integer, ast->place);
}

static Expr *translate_name(Builder *b, const AstExpr *ast)
{
    if (strcmp(ast->text, "pi") == 0) return expr_number(b->bound->module, 3.14159265358979323846, false, ast->place);
    if (strcmp(ast->text, "inf") == 0) return expr_number(b->bound->module, INFINITY, false, ast->place);
    BindIndex *index = find_index(b, ast->text);
    if (!index) return wrong(b, ast->place, arena_printf(b->arena, "%s is neither an index of the left side nor a compile-time value of %s", ast->text, b->line->scope->bind->target));
    return expr_index(b->bound->module, index->index, ast->place);
}

/* --- reads -------------------------------------------------------------------------------------------------------- */

static const char *describe_size(Builder *b, const BindIndex *index)
{
    return arena_printf(b->arena, "%lld (%s)", (long long)index->extent, index->from);
}

/* The index stands alone on an axis: that gives it its extent, or must agree with it. */
static void stand_alone(Builder *b, const Expr *subscript, int64_t extent, const char *from, bool from_weight, Place place)
{
    if (subscript->kind != EXPR_INDEX) return;
    BindIndex *entry = NULL;
    for (int i = 0; i < b->indices.count; i++)
        if (b->indices.data[i].index == subscript->index) entry = &b->indices.data[i];
    if (!entry || entry->bounded) return;
    if (entry->extent == 0) {
        entry->extent = extent;
        entry->from = from;
        entry->from_weight = from_weight;
    } else if (entry->extent != extent) {
        Complaint complaint = {arena_printf(b->arena, "%s: index %s has two sizes: %s and %lld (%s)", b->weight->path, entry->name, describe_size(b, entry),
                                            (long long)extent, from), place, NULL};
        if (entry->from_weight != from_weight) list_push(b->arena, &b->complaints->misshapen, complaint);
        else diag_error(b->diags, GM134, place, "%s", complaint.text);
        b->failed = true;
    }
}

static Tensor *foreign_tensor(Builder *b, const ForeignTensor *foreign, Place place)
{
    for (int i = 0; i < b->bound->foreign.count; i++)
        if (b->bound->foreign.data[i] == foreign) return b->bound->module->tensors.data[i];
    bool integer = foreign_type_table[foreign->type].class == FOREIGN_INTEGER;
    Tensor *tensor = tensor_new(b->bound->module, TENSOR_WEIGHT, foreign->name, integer ? TYPE_I64 : TYPE_F32, foreign->rank, foreign->extents, place);
    list_push(b->arena, &b->bound->foreign, foreign);
    return tensor;
}

static const ForeignTensor *find_foreign(Builder *b, const AstExpr *ast)
{
    const char *name = bind_expand(b->line, ast->text, ast->place, b->diags);
    if (!name) return NULL;
    const ForeignTensor *foreign = archive_find(b->archive, bind_foreign(b->line->scope, b->archive, name));
    if (!foreign) {
        list_push(b->arena, &b->complaints->missing, (Complaint){arena_printf(b->arena, "%s %s reads \"%s\"", b->weight->path,
                  extents_string(b->arena, b->weight->rank, b->weight->extents), name), ast->place, name});
        return NULL;
    }
    list_push(b->arena, &b->complaints->used, foreign);
    bool integer = foreign_type_table[foreign->type].class == FOREIGN_INTEGER;
    if (integer != element_type_is_integer(b->weight->type)) {
        list_push(b->arena, &b->complaints->mistyped, (Complaint){arena_printf(b->arena, "%s is %s, and \"%s\" is %s", b->weight->path,
                  element_type_name(b->weight->type), foreign->name, foreign_type_table[foreign->type].name), ast->place, NULL});
        return NULL;
    }
    if (foreign->count > 0 && foreign->rank <= MAX_RANK) return foreign;
    list_push(b->arena, &b->complaints->misshapen, (Complaint){arena_printf(b->arena, "%s: \"%s\" is %s", b->weight->path, foreign->name,
              extents_string(b->arena, foreign->rank, foreign->extents)), ast->place, NULL});
    return NULL;
}

static Expr *read_foreign(Builder *b, const AstExpr *ast, int count, Expr **subscripts, Expr *otherwise)
{
    const ForeignTensor *foreign = find_foreign(b, ast);
    if (!foreign) return fail(b);
    if (foreign->rank != count) {
        list_push(b->arena, &b->complaints->misshapen, (Complaint){arena_printf(b->arena, "%s: \"%s\" is read with %d subscript%s and is %s", b->weight->path,
                  foreign->name, count, count == 1 ? "" : "s", extents_string(b->arena, foreign->rank, foreign->extents)), ast->place, NULL});
        return fail(b);
    }
    for (int d = 0; d < count; d++)
        stand_alone(b, subscripts[d], foreign->extents[d], arena_printf(b->arena, "axis %d of \"%s\"", d, foreign->name), false, ast->place);
    Expr *read = expr_read(b->bound->module, foreign_tensor(b, foreign, ast->place), count, subscripts, otherwise, ast->place);
    list_push(b->arena, &b->reads, (BindRead){read, foreign, ast->place});
    return read;
}

static Expr *translate_read(Builder *b, const AstExpr *ast)
{
    Expr *subscripts[MAX_RANK];
    if (!ast->string_name) return wrong(b, ast->place, "a bind line reads tensors of the checkpoint: \"name\"[…]");
    if (ast->items.count > MAX_RANK) return wrong(b, ast->place, "too many subscripts");
    for (int d = 0; d < ast->items.count; d++) subscripts[d] = translate(b, ast->items.data[d]);
    return read_foreign(b, ast, ast->items.count, subscripts, ast->otherwise ? translate(b, ast->otherwise) : NULL);
}

/* "name" without brackets inside an expression: element by element. */
static Expr *translate_whole(Builder *b, const AstExpr *ast)
{
    Expr *subscripts[MAX_RANK];
    if (!b->implicit && b->weight->rank) return wrong(b, ast->place, "give the name its subscripts, as on the left");
    for (int d = 0; d < b->weight->rank; d++) subscripts[d] = expr_index(b->bound->module, b->indices.data[d].index, ast->place);
    return read_foreign(b, ast, b->weight->rank, subscripts, NULL);
}

/* --- expressions -------------------------------------------------------------------------------------------------- */

static Expr *translate_call(Builder *b, const AstExpr *ast)
{
    Function function;
    Expr *arguments[3] = {NULL, NULL, NULL};
    if (!function_find(ast->text, &function) || ast->path) return wrong(b, ast->place, arena_printf(b->arena, "%s is no element function that bind lines can use", ast->text));
    if (ast->arguments.count != function_table[function].arity)
        return wrong(b, ast->place, arena_printf(b->arena, "%s takes %d arguments", ast->text, function_table[function].arity));
    for (int i = 0; i < ast->arguments.count; i++) arguments[i] = translate(b, ast->arguments.data[i].value);
    return expr_apply(b->bound->module, function, arguments[0], arguments[1], arguments[2], ast->place);
}

static Expr *translate_reduce(Builder *b, const AstExpr *ast)
{
    Reduction reduction;
    Index *indices[MAX_RANK];
    if (!reduction_find(ast->text, &reduction)) return wrong(b, ast->name_place, arena_printf(b->arena, "%s is no reduction", ast->text));
    int count = ast->items.count, first = b->indices.count;
    if (count > MAX_RANK) return wrong(b, ast->place, "too many indices");
    for (int i = 0; i < count; i++) {
        if (ast->items.data[i]->kind != AST_NAME) return wrong(b, ast->items.data[i]->place, "a reduction runs over the indices named in its brackets");
        indices[i] = new_index(b, ast->items.data[i]->text, ast->items.data[i]->place)->index;
    }
    Expr *body = translate(b, ast->left);
    for (int i = 0; i < count; i++) b->indices.data[first + i].closed = true;
    return expr_reduce(b->bound->module, reduction, count, indices, body, ast->place);
}

static Expr *translate_binary(Builder *b, const AstExpr *ast)
{
    static const Function functions[] = {[AST_ADD] = FN_ADD, [AST_SUB] = FN_SUB, [AST_MUL] = FN_MUL, [AST_DIV] = FN_DIV, [AST_FLOORDIV] = FN_FLOORDIV,
                                         [AST_MOD] = FN_MOD, [AST_LT] = FN_LT, [AST_GT] = FN_GT, [AST_LE] = FN_LE, [AST_GE] = FN_GE, [AST_EQ] = FN_EQ,
                                         [AST_NE] = FN_NE, [AST_AND] = FN_AND, [AST_OR] = FN_OR};
    Expr *left = translate(b, ast->left), *right = translate(b, ast->right);
    return expr_apply(b->bound->module, functions[ast->op], left, right, NULL, ast->place);
}

static Expr *translate(Builder *b, const AstExpr *ast)
{
    if (is_constant(b, ast)) return translate_constant(b, ast);
    switch (ast->kind) {
    case AST_NAME: return translate_name(b, ast);
    case AST_PARENS: return translate(b, ast->left);
    case AST_UNARY: return expr_apply(b->bound->module, ast->op == AST_NEG ? FN_NEG : FN_NOT, translate(b, ast->left), NULL, NULL, ast->place);
    case AST_BINARY: return translate_binary(b, ast);
    case AST_CALL: return translate_call(b, ast);
    case AST_READ: return translate_read(b, ast);
    case AST_REDUCE: return translate_reduce(b, ast);
    case AST_STRING: return translate_whole(b, ast);
    case AST_DOTS: return wrong(b, ast->place, "a bind line writes every axis: `..` is not used here");
    case AST_LIST: return wrong(b, ast->place, "a list has no place in a bind line");
    case AST_NUMBER:
    case AST_FLAG: break;
    }
    return fail(b);
}

/* --- the left side and the checks --------------------------------------------------------------------------------- */

/* Names on the left that stand for nothing else are indices, in order of mention. */
static void declare_indices(Builder *b, const AstExpr *ast)
{
    ConstantValue value;
    if (ast->kind == AST_NAME && !find_index(b, ast->text) && !bound_line_lookup((void *)b->line, ast->text, &value)) new_index(b, ast->text, ast->place);
    if (ast->left) declare_indices(b, ast->left);
    if (ast->right) declare_indices(b, ast->right);
}

static void left_side(Builder *b)
{
    const AstBindLine *line = b->line->line;
    const Tensor *weight = b->weight;
    Equation *equation = b->bound->equation;
    Module *module = b->bound->module;
    equation->rank = weight->rank;
    if (!line->subscripted) {
        b->implicit = 1;
        for (int d = 0; d < weight->rank; d++) new_index(b, arena_printf(b->arena, "_%d", d), line->place);
    } else if (line->subscripts.count != weight->rank) {
        list_push(b->arena, &b->complaints->misshapen, (Complaint){arena_printf(b->arena, "%s is %s, and the line gives it %d subscripts", weight->path,
                  extents_string(b->arena, weight->rank, weight->extents), line->subscripts.count), line->place, NULL});
        b->failed = true;
        return;
    } else {
        for (int d = 0; d < weight->rank; d++) declare_indices(b, line->subscripts.data[d]);
    }
    if (b->indices.count > MAX_RANK * 2) {
        wrong(b, line->place, "too many indices");
        return;
    }
    for (int i = 0; i < b->indices.count; i++) equation->free[equation->free_count++] = b->indices.data[i].index;
    for (int d = 0; d < weight->rank; d++) {
        Expr *subscript = line->subscripted ? translate(b, line->subscripts.data[d]) : expr_index(module, b->indices.data[d].index, line->place);
        Linear linear;
        equation->subscripts[d] = subscript;
        if (!index_linear(subscript, &linear)) wrong(b, line->subscripts.data[d]->place, "a subscript on the left is a sum of indices and numbers");
        stand_alone(b, subscript, weight->extents[d], arena_printf(b->arena, "axis %d of %s", d, weight->path), true, line->place);
    }
}

static void give_extents(Builder *b)
{
    for (int i = 0; i < b->indices.count; i++) {
        BindIndex *entry = &b->indices.data[i];
        entry->index->extent = entry->extent;
        if (entry->extent) continue;
        Diagnostic *diag = diag_error(b->diags, GM134, entry->place, "index %s has no size", entry->name);
        diag_help(diag, "give it one: for %s < …", entry->name);
        b->failed = true;
    }
    const AstBindLine *line = b->line->line;
    for (int i = 0; i < line->bounds.count; i++) {
        bool used = false;
        for (int k = 0; k < b->indices.count; k++) used = used || strcmp(b->indices.data[k].name, line->bounds.data[i].name) == 0;
        if (!used) wrong(b, line->bounds.data[i].place, arena_printf(b->arena, "%s occurs nowhere in this line", line->bounds.data[i].name));
    }
}

static void prove(Builder *b, const Expr *subscript, int axis, int64_t extent, const char *what, Place place)
{
    int64_t low, high;
    if (index_range(subscript, &low, &high)) {
        if (low >= 0 && high < extent) return;
        diag_error(b->diags, GM131, place, "axis %d of %s has %lld elements, and its subscript runs from %lld to %lld", axis, what, (long long)extent,
                   (long long)low, (long long)high);
    } else {
        diag_error(b->diags, GM131, place, "the subscript of axis %d of %s can't be proved inside its %lld elements", axis, what, (long long)extent);
    }
    b->failed = true;
}

static void prove_all(Builder *b)
{
    for (int i = 0; i < b->reads.count; i++) {
        const BindRead *read = &b->reads.data[i];
        for (int d = 0; d < read->read->count && !read->read->otherwise; d++)
            prove(b, read->read->args[d], d, read->foreign->extents[d], arena_printf(b->arena, "\"%s\"", read->foreign->name), read->place);
    }
    for (int d = 0; d < b->weight->rank; d++) prove(b, b->bound->equation->subscripts[d], d, b->weight->extents[d], b->weight->path, b->line->line->place);
}

BoundEquation *bind_equation(Arena *arena, const BoundLine *line, const Archive *archive, const Tensor *weight, Complaints *complaints, Diagnostics *diags)
{
    BoundEquation *bound = arena_new_object(arena, BoundEquation);
    Builder *b = &(Builder){.arena = arena, .line = line, .archive = archive, .weight = weight, .bound = bound, .complaints = complaints, .diags = diags};
    bound->module = module_new(arena, "bind");
    bound->result = tensor_new(bound->module, TENSOR_LOCAL, weight->name, weight->type, weight->rank, weight->extents, weight->origin);
    list_push(arena, &bound->foreign, NULL);
    bound->equation = equation_new(bound->module, bound->result, line->line->place, NULL);
    left_side(b);
    if (b->failed) return NULL;
    bound->equation->value = translate(b, line->line->value);
    if (b->failed) return NULL;
    give_extents(b);
    if (!b->failed) prove_all(b);
    if (element_type_is_integer(weight->type) && !bound->equation->value->integer) wrong(b, line->line->value->place, "this parameter holds integers, and the value is real");
    return b->failed ? NULL : bound;
}
