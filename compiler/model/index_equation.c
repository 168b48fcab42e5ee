/* Index equations: y[.., m] = sum[k](x[.., k] * w[m, k]) + b[m].
 * In: the tree. Out: a tensor and its equation; in a repeat that collects, one of its writers.
 * Leaves to others: reads and reductions (read.c), extents (extents.c), proofs (bounds.c). */
#include "model/expand.h"

#include "equation/index.h"

#include <string.h>

/* --- contexts and indices --------------------------------------------------------------------------------------------- */

EquationContext equation_context(Call *call, const AstAssignment *assignment)
{
    Arena *arena = call->expander->arena;
    EquationContext equation = {.call = call, .assignment = assignment, .scope = arena_new_object(arena, IndexScope)};
    equation.scope->dots = arena_new_object(arena, Dots);
    equation.scope->own = true;
    return equation;
}

IndexVariable *index_find(const EquationContext *equation, const char *name)
{
    for (const IndexScope *scope = equation->scope; scope; scope = scope->up)
        for (int k = 0; k < scope->variables.count; k++)
            if (!strcmp(scope->variables.data[k]->name, name)) return scope->variables.data[k];
    return NULL;
}

IndexVariable *index_variable(EquationContext *equation, IndexScope *scope, const char *name, Place place)
{
    Expander *expander = equation->call->expander;
    IndexVariable *variable = arena_new_object(expander->arena, IndexVariable);
    variable->name = name;
    variable->place = place;
    variable->index = index_new(expander->module, name, 1, place);
    for (int k = 0; k < equation->bounds.count && scope->own; k++) {
        BoundInfo *bound = &equation->bounds.data[k];
        if (strcmp(bound->ast->name, name)) continue;
        bound->used = true;
        variable->bounded = true;
        variable->index->extent = bound->extent;
        variable->origin = bound->origin;
    }
    list_push(expander->arena, &equation->variables, variable);
    list_push(expander->arena, &scope->variables, variable);
    return variable;
}

/* A size or counter of the call must not be hidden by an index. */
bool check_shadow(Call *call, const char *name, Place place)
{
    const Binding *binding = names_find(call, name);
    if (!binding || binding->value.kind != VALUE_NUMBER) return true;
    Diagnostic *diag = diag_error(call->expander->diags, GM065, place, "the index %s hides %s", name,
                                  binding->loop ? "the counter of a repeat" : "a number of that name");
    diag_label(diag, binding->place, "bound here");
    diag_help(diag, "sizes are capital, indices small: give one of the two another name");
    return false;
}

/* `..` of the equation itself must stand on the left side. */
static bool check_dots(EquationContext *equation)
{
    const Dots *dots = equation->scope->dots;
    if (!dots->known || !dots->count || dots->left) return true;
    Diagnostic *diag = diag_error(equation->call->expander->diags, GM049, dots->place, "`..` stands here, but not on the left side");
    diag_help(diag, "y[..] = … keeps these axes, sum[..](…) sums over them");
    return false;
}

bool equation_solve(EquationContext *equation)
{
    return !equation->failed && check_dots(equation) && extents_solve(equation) && bounds_prove(equation);
}

/* --- left sides ------------------------------------------------------------------------------------------------------------- */

static bool is_known_number(Call *call, const char *name)
{
    const Binding *binding = names_find(call, name);
    if (binding) return binding->value.kind == VALUE_NUMBER;
    FileConstant *constant = names_constant(call->expander, call->file, name);
    Value value;
    return constant && !constant->evaluating && names_lookup(call, name, (Place){0}, &value) && value.kind == VALUE_NUMBER;
}

/* Declares the indices of the left side; what is a number already is none. */
static bool declare_left(EquationContext *equation, const AstExpr *expr)
{
    Call *call = equation->call;
    switch (expr->kind) {
    case AST_NUMBER:
    case AST_DOTS:
        return true;
    case AST_NAME:
        if (!is_known_number(call, expr->text) && !index_find(equation, expr->text))
            index_variable(equation, equation->scope, expr->text, expr->place)->free = true;
        return true;
    case AST_PARENS:
        return declare_left(equation, expr->left);
    case AST_BINARY:
        return declare_left(equation, expr->left) && declare_left(equation, expr->right);
    case AST_UNARY:
        return declare_left(equation, expr->left);
    case AST_FLAG:
    case AST_STRING:
    case AST_LIST:
    case AST_CALL:
    case AST_READ:
    case AST_REDUCE:
        break;
    }
    Diagnostic *diag = diag_error(call->expander->diags, GM064, expr->place, "a left side is made of sums of indices");
    diag_help(diag, "o[i, h*D + d] = … with for d < D writes every element once");
    return false;
}

static bool read_bounds(EquationContext *equation, const AstAssignment *assignment)
{
    Call *call = equation->call;
    Expander *expander = call->expander;
    for (int k = 0; k < assignment->bounds.count; k++) {
        const AstBound *ast = &assignment->bounds.data[k];
        BoundInfo bound = {.ast = ast};
        if (!check_shadow(call, ast->name, ast->place)) return false;
        for (int i = 0; i < k; i++)
            if (!strcmp(assignment->bounds.data[i].name, ast->name)) {
                diag_error(expander->diags, GM029, ast->place, "%s is bounded twice", ast->name);
                return false;
            }
        const Origin *from = NULL;
        const char *what = arena_printf(expander->arena, "the extent of %s", ast->name);
        if (!evaluate_size(call, ast->extent, what, 1, &bound.extent, &from)) return false;
        const char *size = ast->extent->kind == AST_NAME ? ast->extent->text : NULL;
        bound.origin = origin_new(call, ORIGIN_FOR, size, ast->name, ast->extent, ast->place, from);
        list_push(expander->arena, &equation->bounds, bound);
    }
    return true;
}

typedef struct {
    int rank;
    int64_t extents[MAX_RANK];
    const Origin **axes;
    Expr *subscripts[MAX_RANK];
    Place places[MAX_RANK];
    int free_count;
    Index *free[MAX_RANK * 2];
    int loop_count;
    Loop *loops[MAX_RANK]; /* whose counters stand on the left */
} LeftSide;

static bool left_subscripts(EquationContext *equation, const AstAssignment *assignment, LeftSide *left)
{
    Call *call = equation->call;
    Expander *expander = call->expander;
    int dots = 0;
    for (int k = 0; k < assignment->subscripts.count; k++) {
        const AstExpr *item = assignment->subscripts.data[k];
        const Dots *axes = equation->scope->dots;
        bool many = item->kind == AST_DOTS;
        if (many && (dots++ || !axes->known)) {
            diag_error(expander->diags, GM049, item->place,
                       dots > 1 ? "`..` stands once in brackets" : "nothing says what `..` stands for here");
            return false;
        }
        int count = many ? axes->count : 1;
        if (many) equation->scope->dots->left = true;
        if (left->rank + count > MAX_RANK) {
            diag_error(expander->diags, GM041, item->place, "a tensor has at most %d axes", MAX_RANK);
            return false;
        }
        for (int i = 0; i < count; i++) {
            Value value = {0};
            if (!many) value = subscript_value(call, equation, item);
            if (!many && value.kind == VALUE_POISON) return false;
            left->places[left->rank] = item->place;
            left->subscripts[left->rank++] = many ? expr_index(expander->module, axes->variables[i]->index, item->place) : value.expr;
        }
    }
    return true;
}

static Loop *counter_of(Call *call, const Index *index)
{
    for (Loop *loop = call->loop; loop; loop = loop->up)
        if (loop->index == index) return loop;
    return NULL;
}

static const Origin *index_origin(const EquationContext *equation, const Index *index)
{
    for (int k = 0; k < equation->variables.count; k++)
        if (equation->variables.data[k]->index == index) return equation->variables.data[k]->origin;
    return NULL;
}

static bool error_left(EquationContext *equation, Place place, const char *why)
{
    Diagnostic *diag =
        diag_error(equation->call->expander->diags, GM064, place, "the left side does not write every element once: %s", why);
    diag_help(diag, "a sum of indices is exact like the digits of a number: h*D + d with for d < D");
    return false;
}

/* One axis: sums in exact mixed radix. Adds its indices to the free list, slowest first. */
static bool left_axis(EquationContext *equation, LeftSide *left, int axis)
{
    Expander *expander = equation->call->expander;
    Linear linear;
    Place place = left->places[axis];
    if (!index_linear(left->subscripts[axis], &linear)) return error_left(equation, place, "this is no sum of indices");
    for (int k = 1; k < linear.count; k++) /* by falling coefficient */
        for (int i = k; i > 0 && linear.coefficients[i] > linear.coefficients[i - 1]; i--) {
            int64_t coefficient = linear.coefficients[i];
            Index *index = linear.indices[i];
            linear.coefficients[i] = linear.coefficients[i - 1];
            linear.indices[i] = linear.indices[i - 1];
            linear.coefficients[i - 1] = coefficient;
            linear.indices[i - 1] = index;
        }
    int64_t radix = 1;
    for (int k = linear.count - 1; k >= 0; k--) {
        if (linear.coefficients[k] != radix)
            return error_left(equation, place,
                              arena_printf(expander->arena, "%s has the factor %lld where %lld is needed", linear.indices[k]->name,
                                           (long long)linear.coefficients[k], (long long)radix));
        if (__builtin_mul_overflow(radix, linear.indices[k]->extent, &radix) || radix > MAX_ELEMENTS) {
            diag_error(expander->diags, GM046, place, "this axis is too large");
            return false;
        }
    }
    if (linear.constant) return error_left(equation, place, arena_printf(expander->arena, "%lld is added", (long long)linear.constant));
    left->extents[axis] = radix;
    left->axes[axis] = linear.count == 1 ? index_origin(equation, linear.indices[0]) : NULL;
    for (int k = 0; k < linear.count; k++) {
        Loop *loop = counter_of(equation->call, linear.indices[k]);
        if (loop) {
            for (int i = 0; i < left->loop_count; i++)
                if (left->loops[i] == loop)
                    return error_left(equation, place, arena_printf(expander->arena, "%s stands there twice", loop->counter));
            if (left->loop_count < MAX_RANK) left->loops[left->loop_count++] = loop;
            linear.constant += linear.coefficients[k] * loop->turn;
            continue;
        }
        for (int i = 0; i < left->free_count; i++)
            if (left->free[i] == linear.indices[k])
                return error_left(equation, place, arena_printf(expander->arena, "%s stands there twice", linear.indices[k]->name));
        if (left->free_count == MAX_RANK * 2) return error_left(equation, place, "too many indices");
        left->free[left->free_count++] = linear.indices[k];
    }
    int kept = 0;
    for (int k = 0; k < linear.count; k++) {
        if (counter_of(equation->call, linear.indices[k])) continue;
        linear.indices[kept] = linear.indices[k];
        linear.coefficients[kept++] = linear.coefficients[k];
    }
    linear.count = kept;
    left->subscripts[axis] = linear_expr(expander->module, &linear);
    return true;
}

static bool left_side(EquationContext *equation, LeftSide *left)
{
    int64_t elements = 1;
    left->axes = arena_new_array(equation->call->expander->arena, const Origin *, left->rank + 1);
    for (int axis = 0; axis < left->rank; axis++) {
        if (!left_axis(equation, left, axis)) return false;
        if (!__builtin_mul_overflow(elements, left->extents[axis], &elements) && elements <= MAX_ELEMENTS) continue;
        diag_error(equation->call->expander->diags, GM046, equation->assignment->place, "this tensor has more than 2^40 elements");
        return false;
    }
    for (int k = 0; k < equation->variables.count; k++) {
        const IndexVariable *variable = equation->variables.data[k];
        bool found = !variable->free;
        for (int i = 0; i < left->free_count && !found; i++) found = left->free[i] == variable->index;
        if (!found)
            return error_left(equation, variable->place,
                              arena_printf(equation->call->expander->arena, "%s falls out of it", variable->name));
    }
    return true;
}

/* --- collecting ------------------------------------------------------------------------------------------------------------- */

static bool error_collect(Call *call, const Collected *collected, Place place, const char *why)
{
    Diagnostic *diag = diag_error(call->expander->diags, GM070, place, "%s is not collected whole: %s", collected->name, why);
    if (collected->place.begin != place.begin) diag_label(diag, collected->place, "collected here");
    return false;
}

/* The tensor that this turn adds to, made in the first turn. */
static Collected *collect_open(Call *call, const LeftSide *left, const AstAssignment *assignment, ElementType type)
{
    Expander *expander = call->expander;
    Loop *owner = NULL;
    int64_t turns = 1;
    for (Loop *loop = call->loop; loop; loop = loop->up)
        for (int k = 0; k < left->loop_count; k++)
            if (left->loops[k] == loop) owner = loop, turns *= loop->count;
    for (int k = 0; k < owner->collected.count; k++)
        if (!strcmp(owner->collected.data[k]->name, assignment->name)) return owner->collected.data[k];
    Collected *collected = arena_new_object(expander->arena, Collected);
    *collected =
        (Collected){.name = assignment->name, .owner = owner, .turns = turns, .last = -1, .place = assignment->place, .axes = left->axes};
    collected->tensor = tensor_new(expander->module, TENSOR_LOCAL, unique_tensor_name(expander, call->prefix, assignment->name), type,
                                   left->rank, left->extents, assignment->place);
    list_push(expander->arena, &owner->collected, collected);
    names_bind(call, assignment->name, value_poison(), assignment->place)->collected = collected;
    return collected;
}

static bool collect_turn(Call *call, Collected *collected, const LeftSide *left, ElementType type, Place place)
{
    int64_t turn = 0, factor = 1;
    for (Loop *loop = call->loop; loop; loop = loop->up)
        for (int k = 0; k < left->loop_count; k++)
            if (left->loops[k] == loop) turn += factor * loop->turn, factor *= loop->count;
    const Tensor *tensor = collected->tensor;
    if (collected->place.begin != place.begin || collected->place.source != place.source)
        return error_collect(call, collected, place, "a second statement writes it");
    if (turn <= collected->last) return error_collect(call, collected, place, "it is written twice in one turn");
    bool same = tensor->rank == left->rank && tensor->type == type;
    for (int axis = 0; axis < left->rank && same; axis++) same = tensor->extents[axis] == left->extents[axis];
    if (!same) return error_collect(call, collected, place, "its shape or type changes from turn to turn");
    collected->last = turn;
    collected->written++;
    return true;
}

void collect_finish(Call *call, Loop *loop)
{
    Expander *expander = call->expander;
    for (int k = 0; k < loop->collected.count; k++) {
        Collected *collected = loop->collected.data[k];
        Value value = tensor_value(collected->tensor, collected->axes);
        if (collected->written != collected->turns && !collected->failed) {
            error_collect(
                call, collected, collected->place,
                arena_printf(expander->arena, "%lld of %lld turns write it", (long long)collected->written, (long long)collected->turns));
            collected->failed = true;
        }
        if (collected->failed) value = value_poison();
        names_bind(call, collected->name, value, collected->place);
        if (collected->output) output_port(call, collected->output, value);
    }
}

/* --- the whole -------------------------------------------------------------------------------------------------------------- */

/* y[..] = … in an element function: one element again. */
static Value element_assignment(Call *call, const AstAssignment *assignment)
{
    bool plain =
        assignment->subscripts.count == 0 || (assignment->subscripts.count == 1 && assignment->subscripts.data[0]->kind == AST_DOTS);
    if (plain && !assignment->bounds.count) return evaluate_expr(call, call->equation, assignment->value);
    diag_error(call->expander->diags, GM032, assignment->place, "in an element function a left side is %s[..]", assignment->name);
    return value_poison();
}

static Value equation_value(EquationContext *equation, const AstAssignment *assignment)
{
    Call *call = equation->call;
    for (int k = 0; k < assignment->subscripts.count; k++)
        if (!declare_left(equation, assignment->subscripts.data[k])) return value_poison();
    Value value = evaluate_expr(call, equation, assignment->value);
    value =
        as_element(call, equation, value, assignment->value->place, assignment->value->kind == AST_NAME ? assignment->value->text : NULL);
    if (value.kind == VALUE_POISON || !value.condition) return value;
    Diagnostic *diag = diag_error(call->expander->diags, GM071, assignment->value->place, "flags cannot be kept in a tensor");
    diag_help(diag, "where(condition, 1, 0) is a number");
    return value_poison();
}

Value index_equation(Call *call, const AstAssignment *assignment, Place place, bool constant, Collected **collected)
{
    Expander *expander = call->expander;
    if (call->element) return element_assignment(call, assignment);
    EquationContext equation = equation_context(call, assignment);
    if (!read_bounds(&equation, assignment)) return value_poison();
    Value value = equation_value(&equation, assignment);
    if (value.kind == VALUE_POISON || equation.failed) return value_poison();
    LeftSide left = {0};
    equation.left = true;
    bool right = left_subscripts(&equation, assignment, &left);
    equation.left = false;
    if (!right || !equation_solve(&equation) || !left_side(&equation, &left)) return value_poison();
    ElementType type = element_type_of(value.expr);
    Tensor *tensor;
    if (left.loop_count) {
        Collected *target = constant || !collected ? NULL : collect_open(call, &left, assignment, type);
        if (!target || target->failed) return value_poison();
        target->failed = !collect_turn(call, target, &left, type, assignment->place);
        if (target->failed) return value_poison();
        *collected = target;
        tensor = target->tensor;
    } else {
        tensor = tensor_new(expander->module, TENSOR_LOCAL, unique_tensor_name(expander, call->prefix, assignment->name), type, left.rank,
                            left.extents, place);
    }
    if (!equation_finish(call, tensor, left.free_count, left.free, left.subscripts, value.expr, place, constant, !left.loop_count))
        return value_poison();
    return tensor_value(tensor, left.axes);
}
