/* Whole tensors and elements. `u * g + 1` ranges over fresh indices, one per axis, and becomes one equation when it is bound to a
 * name or given to a block. Inside an equation, and in the body of an element function, values are single elements. */
#include "model/expand.h"

#include "equation/evaluate.h"
#include "equation/index.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

Value tensor_value(Tensor *tensor, const Origin **axes)
{
    return (Value){.kind = VALUE_TENSOR, .tensor = tensor, .axes = axes};
}

/* --- lists as tensors -------------------------------------------------------------------------------------------------- */

static bool list_shape(const Value *list, int depth, int *rank, int64_t *extents, bool *integers)
{
    if (depth >= MAX_RANK || list->count == 0) return false;
    if (depth == *rank)
        extents[(*rank)++] = list->count;
    else if (extents[depth] != list->count)
        return false;
    for (int k = 0; k < list->count; k++) {
        const Value *item = &list->items[k];
        if (item->kind == VALUE_LIST) {
            if (!list_shape(item, depth + 1, rank, extents, integers)) return false;
        } else if (item->kind != VALUE_NUMBER || depth + 1 != *rank) {
            return false;
        } else if (!number_is_typed_integer(item->number)) {
            *integers = false;
        }
    }
    return true;
}

static void list_fill(const Value *list, double **next)
{
    for (int k = 0; k < list->count; k++) {
        if (list->items[k].kind == VALUE_LIST)
            list_fill(&list->items[k], next);
        else
            *(*next)++ = number_double(list->items[k].number);
    }
}

Tensor *list_tensor(Call *call, const Value *list, Place place)
{
    Expander *expander = call->expander;
    for (int k = 0; k < expander->list_tensors.count; k++)
        if (expander->list_tensors.data[k].items == list->items) return expander->list_tensors.data[k].tensor;
    int rank = 0;
    int64_t extents[MAX_RANK];
    bool integers = true;
    if (!list_shape(list, 0, &rank, extents, &integers)) {
        diag_error(expander->diags, GM022, place, "only a list of numbers, or of equally long lists of numbers, is a tensor");
        return NULL;
    }
    const char *name = unique_tensor_name(expander, call->prefix, "list");
    Tensor *tensor = tensor_new(expander->module, TENSOR_CONSTANT, name, integers ? TYPE_I32 : TYPE_F32, rank, extents, place);
    tensor->values = arena_new_array(expander->arena, double, tensor_count(tensor));
    double *next = tensor->values;
    list_fill(list, &next);
    for (double *value = tensor->values; value < next && integers; value++)
        if (fabs(*value) > 2147483647.0) tensor->type = TYPE_I64;
    list_push(expander->arena, &expander->list_tensors, (ListTensor){list->items, tensor});
    return tensor;
}

/* --- elements ---------------------------------------------------------------------------------------------------------- */

static Value number_element(Call *call, const Value *value, Place place)
{
    Expander *expander = call->expander;
    Value element = {.kind = VALUE_ELEMENT, .size = 1, .depth = 1};
    if (value->kind == VALUE_FLAG) {
        element.expr = expr_number(expander->module, value->flag, true, place);
        element.condition = true;
        return element;
    }
    bool integer = number_is_typed_integer(value->number) && llabs(value->number.numerator) <= INT64_C(9007199254740992);
    element.expr = expr_number(expander->module, number_double(value->number), integer, place);
    return element;
}

/* Every element of a tensor, over one fresh index an axis. */
static Value whole_element(Call *call, const Value *value, Place place)
{
    Expander *expander = call->expander;
    Tensor *tensor = value->tensor;
    Value element = {.kind = VALUE_ELEMENT, .rank = tensor->rank, .axes = value->axes, .size = 1 + tensor->rank, .depth = 2};
    element.indices = arena_new_array(expander->arena, Index *, tensor->rank + 1);
    Expr *subscripts[MAX_RANK];
    for (int axis = 0; axis < tensor->rank; axis++) {
        element.indices[axis] = index_new(expander->module, arena_printf(expander->arena, "_%d", axis), tensor->extents[axis], place);
        subscripts[axis] = expr_index(expander->module, element.indices[axis], place);
    }
    element.expr = expr_read(expander->module, tensor, tensor->rank, subscripts, NULL, place);
    return element;
}

Value as_element(Call *call, EquationContext *equation, Value value, Place place, const char *name)
{
    Expander *expander = call->expander;
    switch (value.kind) {
    case VALUE_POISON:
    case VALUE_ELEMENT:
        return value;
    case VALUE_NUMBER:
    case VALUE_FLAG:
        return number_element(call, &value, place);
    case VALUE_LIST: {
        Tensor *tensor = list_tensor(call, &value, place);
        if (!tensor) return value_poison();
        value = tensor_value(tensor, NULL);
        break;
    }
    case VALUE_TENSOR:
        break;
    case VALUE_STRING:
    case VALUE_CALLABLE:
    case VALUE_TUPLE:
        diag_error(expander->diags, GM022, place, "%s cannot be calculated with", value_kind_name(&value));
        return value_poison();
    }
    if (value.tensor->rank == 0 || (!equation && !call->element)) return whole_element(call, &value, place);
    Text subscripts = text_new(expander->arena);
    for (int axis = 0; axis < value.tensor->rank; axis++) text_printf(&subscripts, "%s%c", axis ? ", " : "", "ijklmnopqrst"[axis]);
    Diagnostic *diag = diag_error(expander->diags, GM069, place, "%s has %d %s, one element is needed here", name ? name : "this tensor",
                                  value.tensor->rank, value.tensor->rank == 1 ? "axis" : "axes");
    if (name) diag_help(diag, "write its subscripts: %s[%s]", name, text_string(&subscripts));
    return value_poison();
}

Value apply_element(Call *call, Function function, int count, Value *arguments, Place place)
{
    Expander *expander = call->expander;
    Value result = {.kind = VALUE_ELEMENT, .size = 1, .depth = 1, .condition = function_table[function].kind == FUNCTION_FLAG};
    for (int k = 0; k < count; k++) {
        result.size += arguments[k].size;
        if (arguments[k].depth >= result.depth) result.depth = arguments[k].depth + 1;
        result.indexed = result.indexed || (arguments[k].indexed && !arguments[k].condition);
        if (arguments[k].rank > result.rank) {
            result.rank = arguments[k].rank;
            result.indices = arguments[k].indices;
            result.axes = arguments[k].axes;
        }
    }
    if (result.size > MAX_ELEMENT_SIZE || result.depth > MAX_ELEMENT_DEPTH) {
        Diagnostic *diag = diag_error(expander->diags, GM075, place, "this value is too large for one equation");
        diag_help(diag, "bind parts of it to names outside element functions");
        return value_poison();
    }
    result.expr = expr_apply(expander->module, function, arguments[0].expr, count > 1 ? arguments[1].expr : NULL,
                             count > 2 ? arguments[2].expr : NULL, place);
    result.indexed = result.indexed && result.expr->integer && !result.condition;
    return result;
}

/* --- shapes of whole-tensor expressions ---------------------------------------------------------------------------------- */

static const char *element_shape(Expander *expander, const Value *value)
{
    Text text = text_new(expander->arena);
    for (int axis = 0; axis < value->rank; axis++) text_printf(&text, "%s%lld", axis ? ", " : "[", (long long)value->indices[axis]->extent);
    text_add(&text, "]");
    return text_string(&text);
}

static void error_shapes(Call *call, const Value *a, const Value *b, Place first, Place second)
{
    Expander *expander = call->expander;
    const char *one = element_shape(expander, a), *two = element_shape(expander, b);
    Diagnostic *diag = diag_error(expander->diags, GM047, first, "shapes %s and %s differ", one, two);
    const Origin *left = NULL, *right = NULL;
    for (int axis = 0; axis < a->rank && a->rank == b->rank && !left && !right; axis++) {
        if (a->indices[axis]->extent == b->indices[axis]->extent) continue;
        left = a->axes ? a->axes[axis] : NULL;
        right = b->axes ? b->axes[axis] : NULL;
    }
    diag_caret(diag, "%s here%s", one, origin_story(expander->arena, left, first.source));
    diag_label(diag, second, "%s here%s", two, origin_story(expander->arena, right, first.source));
    if (a->rank != b->rank) diag_help(diag, "broadcasting is written: y[.., c] = a[.., c] + b[c]");
}

bool align_elements(Call *call, int count, Value *values, const Place *places)
{
    Expander *expander = call->expander;
    int lead = -1;
    for (int k = 0; k < count; k++) {
        if (!values[k].rank) continue;
        if (lead < 0) {
            lead = k;
            continue;
        }
        bool equal = values[k].rank == values[lead].rank;
        for (int axis = 0; axis < values[k].rank && equal; axis++)
            equal = values[k].indices[axis]->extent == values[lead].indices[axis]->extent;
        if (!equal) {
            error_shapes(call, &values[lead], &values[k], places[lead], places[k]);
            return false;
        }
        if (values[k].indices == values[lead].indices) continue;
        Substitution map[MAX_RANK];
        for (int axis = 0; axis < values[k].rank; axis++)
            map[axis] = (Substitution){values[k].indices[axis], expr_index(expander->module, values[lead].indices[axis], places[k])};
        values[k].expr = expr_substitute(expander->module, values[k].expr, map, values[k].rank);
        values[k].indices = values[lead].indices;
    }
    return true;
}

/* --- tensors out of values ------------------------------------------------------------------------------------------------ */

const char *unique_tensor_name(Expander *expander, const char *prefix, const char *name)
{
    char *full = arena_strdup(expander->arena, path_join(expander->arena, prefix, name));
    for (char *c = full; *c; c++)
        if (!(*c == '.' || *c == '_' || *c == '-' || (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z')))
            *c = '_';
    const char *unique = full;
    int *last = map_get(&expander->tensor_names, full);
    while (last) {
        unique = arena_printf(expander->arena, "%s_%d", full, ++*last);
        if (!map_get(&expander->tensor_names, unique)) break;
    }
    int *first = arena_new_object(expander->arena, int);
    *first = 1;
    map_put(expander->arena, &expander->tensor_names, unique, first);
    return unique;
}

typedef struct {
    bool any;     /* an index or the read of an integer */
    bool wide;    /* reads i64 */
    bool unknown; /* reads what is not a constant */
} ValueFacts;

static void visit_facts(Expr *node, void *context)
{
    ValueFacts *facts = context;
    if (node->kind == EXPR_INDEX) facts->any = true;
    if (node->kind == EXPR_REDUCE && node->reduction == REDUCE_ARGMAX) facts->any = true;
    if (node->kind != EXPR_READ) return;
    if (element_type_is_integer(node->tensor->type)) facts->any = true;
    if (node->tensor->type == TYPE_I64) facts->wide = true;
    if (node->tensor->kind != TENSOR_CONSTANT) facts->unknown = true;
}

ElementType element_type_of(Expr *expr)
{
    if (!expr->integer) return TYPE_F32;
    ValueFacts facts = {0};
    expr_walk(expr, visit_facts, &facts);
    bool wide = facts.wide && !(expr->kind == EXPR_REDUCE && expr->reduction == REDUCE_ARGMAX);
    return !facts.any ? TYPE_F32 : wide ? TYPE_I64 : TYPE_I32;
}

static void visit_work(Expr *node, void *context)
{
    double *work = context;
    if (node->kind != EXPR_REDUCE) return;
    for (int k = 0; k < node->index_count; k++) *work *= (double)node->indices[k]->extent;
}

/* Evaluates the equation that was just appended, by itself, and makes its result a constant. */
static void make_constant(Expander *expander)
{
    Module alone = *expander->module;
    Equation *equation = alone.equations.data[alone.equations.count - 1];
    alone.equations.data = &equation;
    alone.equations.count = 1;
    expander->module->equations.count--;
    Evaluation *evaluation = evaluation_new(expander->arena, &alone);
    evaluation_run(evaluation);
    equation->result->values = evaluation->values[equation->result->id];
    equation->result->kind = TENSOR_CONSTANT;
}

bool equation_finish(Call *call, Tensor *tensor, int free_count, Index **free, Expr **subscripts, Expr *value, Place place, bool constant,
                     bool whole)
{
    Expander *expander = call->expander;
    Equation *equation = equation_new(expander->module, tensor, place, call->frame);
    equation->free_count = free_count;
    for (int k = 0; k < free_count; k++) equation->free[k] = free[k];
    for (int axis = 0; axis < tensor->rank; axis++) equation->subscripts[axis] = subscripts[axis];
    equation->value = value;
    if (!whole || (!constant && !element_type_is_integer(tensor->type))) return true;
    ValueFacts facts = {0};
    expr_walk(value, visit_facts, &facts);
    if (facts.unknown && constant) diag_error(expander->diags, GM074, place, "this constant needs what is known only at run time");
    if (facts.unknown) return !constant;
    double work = (double)tensor_count(tensor);
    expr_walk(value, visit_work, &work);
    if (work > MAX_TABLE_WORK) {
        if (constant) diag_error(expander->diags, GM046, place, "this constant takes too long to compute: %.3g steps", work);
        return !constant;
    }
    make_constant(expander);
    return true;
}

static Value element_tensor(Call *call, const Value *value, const char *name, Place place)
{
    Expander *expander = call->expander;
    int64_t extents[MAX_RANK];
    Expr *subscripts[MAX_RANK];
    for (int axis = 0; axis < value->rank; axis++) {
        extents[axis] = value->indices[axis]->extent;
        subscripts[axis] = expr_index(expander->module, value->indices[axis], place);
    }
    Tensor *tensor = tensor_new(expander->module, TENSOR_LOCAL, unique_tensor_name(expander, call->prefix, name),
                                element_type_of(value->expr), value->rank, extents, place);
    equation_finish(call, tensor, value->rank, value->indices, subscripts, value->expr, place, false, true);
    return tensor_value(tensor, value->axes);
}

Value value_to_tensor(Call *call, Value value, const char *name, Place place)
{
    Expander *expander = call->expander;
    if (value.kind == VALUE_POISON || value.kind == VALUE_TENSOR) return value;
    if (value.kind == VALUE_LIST) {
        Tensor *tensor = list_tensor(call, &value, place);
        return tensor ? tensor_value(tensor, NULL) : value_poison();
    }
    if (value.kind == VALUE_NUMBER) value = number_element(call, &value, place);
    if (value.kind != VALUE_ELEMENT) {
        diag_error(expander->diags, GM022, place, "a tensor is needed here, this is %s", value_kind_name(&value));
        return value_poison();
    }
    if (value.condition) {
        Diagnostic *diag = diag_error(expander->diags, GM071, place, "flags cannot be kept in a tensor");
        diag_help(diag, "where(condition, 1, 0) is a number");
        return value_poison();
    }
    return element_tensor(call, &value, name, place);
}

Value copy_tensor(Call *call, Value value, const char *name, Place place)
{
    Value element = whole_element(call, &value, place);
    int64_t extents[MAX_RANK];
    Expr *subscripts[MAX_RANK];
    for (int axis = 0; axis < element.rank; axis++) {
        extents[axis] = element.indices[axis]->extent;
        subscripts[axis] = expr_index(call->expander->module, element.indices[axis], place);
    }
    Tensor *tensor = tensor_new(call->expander->module, TENSOR_LOCAL, unique_tensor_name(call->expander, call->prefix, name),
                                value.tensor->type, element.rank, extents, place);
    equation_finish(call, tensor, element.rank, element.indices, subscripts, element.expr, place, false, false);
    return tensor_value(tensor, value.axes);
}
