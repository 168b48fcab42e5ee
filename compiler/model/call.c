/* A block called: arguments bound, its body expanded in a scope of its own, its results checked.
 * An element function (a block whose tensors are all `[..]`) called inside an equation, or on whole tensors, adds no equation:
 * its body is evaluated on one element. */
#include "model/expand.h"

#include <string.h>

Frame *frame_new(Expander *expander, Frame *up, const char *block, const char *path, const char *text, const CallNote *note, Place at)
{
    Module *module = expander->module;
    Frame *frame = arena_new_object(expander->arena, Frame);
    *frame = (Frame){.up = up, .block = block, .path = path, .call = text, .note = note, .at = at, .id = module->frames.count};
    list_push(expander->arena, &module->frames, frame);
    return frame;
}

void frame_values(Call *call)
{
    Frame *frame = call->frame;
    frame->value_count = 0;
    frame->values = arena_alloc_array(call->expander->arena, (size_t)call->names.count + 1, sizeof *frame->values);
    for (int k = 0; k < call->names.count; k++) {
        const Binding *binding = call->names.entries[k].value;
        if (!binding || (binding->value.kind != VALUE_NUMBER && binding->value.kind != VALUE_FLAG)) continue;
        bool flag = binding->value.kind == VALUE_FLAG;
        frame->values[frame->value_count].name = binding->name;
        frame->values[frame->value_count].flag = flag;
        frame->values[frame->value_count++].number = flag ? binding->value.flag : number_double(binding->value.number);
    }
}

static Value observed(const Call *call, const Block *block, const Frame *frame, Place place, Value result)
{
    const ModelObserver *observer = call->expander->observer;
    if (observer) observer->called(observer->context, block->ast, frame, place, &result);
    return result;
}

/* --- element functions --------------------------------------------------------------------------------------------------------- */

static Value element_result(Call *callee, Place place)
{
    Expander *expander = callee->expander;
    const AstCallable *ast = callee->block->ast;
    if (!callee->returned) {
        diag_error(expander->diags, GM027, ast->name_place, "%s returns nothing", ast->name);
        return value_poison();
    }
    Value result = callee->result;
    if (result.kind == VALUE_NUMBER || result.kind == VALUE_ELEMENT || result.kind == VALUE_POISON) return result;
    if (result.kind == VALUE_TENSOR) return as_element(callee, callee->equation, result, callee->result_place, NULL);
    diag_error(expander->diags, GM027, place, "%s returns %s, one element is needed", ast->name, value_kind_name(&result));
    return value_poison();
}

/* Tensor arguments as elements; whole-tensor ones over common indices, whose shape goes to *shape. */
static bool element_arguments(Call *call, EquationContext *equation, const Block *block, Slot *slots, Value *shape)
{
    Value elements[MAX_RANK];
    Place places[MAX_RANK] = {{0}};
    int which[MAX_RANK], count = 0;
    for (int k = 0; k < block->ast->parameters.count; k++) {
        if (!block->ast->parameters.data[k].is_tensor) continue;
        if (count == MAX_RANK) return false;
        const AstExpr *ast = slots[k].ast;
        elements[count] = as_element(call, equation, slots[k].value, slots[k].place, ast && ast->kind == AST_NAME ? ast->text : NULL);
        if (elements[count].kind == VALUE_POISON) return false;
        if (elements[count].condition) {
            diag_error(call->expander->diags, GM071, slots[k].place, "this is a flag, a number is needed");
            return false;
        }
        places[count] = slots[k].place;
        which[count++] = k;
    }
    if (!align_elements(call, count, elements, places)) return false;
    for (int k = 0; k < count; k++) {
        if (elements[k].rank && !shape->rank) *shape = elements[k];
        elements[k].rank = 0;
        slots[which[k]].value = elements[k];
    }
    return true;
}

static Value call_element(Call *call, EquationContext *equation, Call *callee, Slot *slots, Place place)
{
    const AstCallable *ast = callee->block->ast;
    Value shape = {0};
    if (!element_arguments(call, equation, callee->block, slots, &shape)) return value_poison();
    callee->element = true;
    callee->equation = equation;
    callee->frame = call->frame;
    for (int k = 0; k < ast->parameters.count; k++) {
        if (!slots[k].present) continue;
        if (slots[k].value.kind == VALUE_NUMBER) slots[k].value.origin = slots[k].origin;
        names_bind(callee, ast->parameters.data[k].name, slots[k].value, slots[k].place);
    }
    const CallNote *note = call->expander->diags->call;
    call->expander->diags->call = callee->note;
    IndexScope *scope = equation ? equation->scope : NULL, own = {0};
    int depth = equation ? equation->subscript_depth : 0;
    Dots none = {.known = true};
    own.dots = &none;
    if (equation) equation->scope = &own, equation->subscript_depth = 0;
    Value result = value_poison();
    Frame frame = *call->frame; /* a default that is missing is reported at the call */
    frame.at = place;
    callee->frame = &frame;
    bool right = bind_defaults(callee, slots);
    callee->frame = call->frame;
    if (right) {
        execute_body(callee, &ast->body);
        result = element_result(callee, place);
    }
    if (equation) equation->scope = scope, equation->subscript_depth = depth;
    call->expander->diags->call = note;
    if (result.kind == VALUE_ELEMENT && shape.rank) {
        result.rank = shape.rank;
        result.indices = shape.indices;
        result.axes = shape.axes;
    }
    return result;
}

/* --- other blocks --------------------------------------------------------------------------------------------------------------- */

static Value returned_value(Call *callee, Place place)
{
    Expander *expander = callee->expander;
    const AstCallable *ast = callee->block->ast;
    if (!callee->returned) {
        if (!expander->too_large) diag_error(expander->diags, GM027, ast->name_place, "%s returns nothing", ast->name);
        return value_poison();
    }
    Value *results = callee->result.kind == VALUE_TUPLE ? callee->result.items : &callee->result;
    int count = callee->result.kind == VALUE_TUPLE ? callee->result.count : 1;
    bool right = check_results(callee, results, count, callee->result_place);
    (void)place;
    if (count != ast->results.count) return value_poison();
    for (int k = 0; k < count; k++) {
        if (!right) results[k] = value_poison();
        if (results[k].kind == VALUE_TENSOR)
            results[k].axes = origin_outward(expander->arena, results[k].axes, results[k].tensor->rank, callee->up->depth);
    }
    return callee->result;
}

static Value expand_block(Call *call, Call *callee, const AstExpr *expr, Slot *slots, bool through_argument)
{
    Expander *expander = call->expander;
    const Block *block = callee->block;
    for (int k = 0; k < block->ast->parameters.count; k++) {
        if (!block->ast->parameters.data[k].is_tensor) continue;
        slots[k].value = value_to_tensor(call, slots[k].value, block->ast->parameters.data[k].name, slots[k].place);
        if (slots[k].value.kind == VALUE_POISON) return value_poison();
    }
    callee->frame = frame_new(expander, call->frame, block->ast->name, callee->prefix, "", callee->note, expr->place);
    if (!bind_patterns(callee, call, slots, expr->place)) return value_poison();
    callee->frame->call = arguments_text(expander, block, slots, true);
    const CallNote *note = expander->diags->call;
    expander->diags->call = callee->note;
    int weights = expander->module->weights.count, instances = expander->parameters.count;
    execute_body(callee, &block->ast->body);
    Value result = returned_value(callee, expr->place);
    frame_values(callee);
    expander->diags->call = note;
    bool owns = expander->module->weights.count > weights || expander->parameters.count > instances;
    if (through_argument && owns && !expr->path) {
        Diagnostic *diag = diag_error(expander->diags, GM082, expr->place,
                                      "%s is an argument here and owns parameters: its path must be written", expr->text);
        diag_help(diag, "%s(…) @ name, or @ . to add no level", expr->text);
    }
    return result;
}

static Value partial_callable(Call *call, const AstExpr *expr, const Callable *callable, Slot *slots)
{
    Arena *arena = call->expander->arena;
    const AstCallable *ast = callable->block->ast;
    if (expr->path) {
        diag_error(call->expander->diags, GM083, expr->path->place, "%s is given only some of its arguments here: a path belongs to a call", callable->name);
        return value_poison();
    }
    Callable *partial = arena_new_object(arena, Callable);
    *partial = (Callable){.name = callable->name, .block = callable->block, .partial = true, .place = expr->place};
    partial->given = arena_new_array(arena, GivenArgument, ast->parameters.count + 1);
    for (int k = 0; k < ast->parameters.count; k++) {
        if (!slots[k].present) continue;
        Value *value = arena_new_object(arena, Value);
        *value = slots[k].value;
        if (value->kind == VALUE_ELEMENT && !call->element) *value = value_to_tensor(call, *value, ast->parameters.data[k].name, slots[k].place);
        if (value->kind == VALUE_POISON) return value_poison();
        if (value->kind == VALUE_NUMBER) value->origin = slots[k].origin;
        partial->given[partial->given_count++] = (GivenArgument){ast->parameters.data[k].name, value, slots[k].place};
    }
    return (Value){.kind = VALUE_CALLABLE, .callable = partial};
}

static Call *callee_new(Call *call, const AstExpr *expr, const Callable *callable, const Slot *slots, bool *right)
{
    Expander *expander = call->expander;
    Call *callee = arena_new_object(expander->arena, Call);
    *callee = (Call){.expander = expander,
                     .up = call,
                     .block = callable->block,
                     .file = callable->block->file,
                     .depth = call->depth + 1,
                     .shared = call->shared};
    callee->untaken = text_new(expander->arena);
    CallNote *note = arena_new_object(expander->arena, CallNote);
    *note = (CallNote){.up = expander->diags->call, .text = arguments_text(expander, callable->block, slots, false), .at = expr->place};
    callee->note = note;
    callee->prefix = expr->path ? path_resolve(call, expr->path) : path_join(expander->arena, call->prefix, callable->name);
    *right = callee->prefix != NULL;
    if (*right && expr->path && expr->path->shared) {
        Shared *shared = arena_new_object(expander->arena, Shared);
        *shared = (Shared){.root = callee->prefix, .instance = ++expander->instances, .block = callable->block};
        callee->shared = shared;
    }
    return callee;
}

static bool check_depth(Call *call, const AstExpr *expr)
{
    if (call->depth < MAX_CALL_DEPTH) return true;
    if (!call->expander->too_large) {
        Diagnostic *diag =
            diag_error(call->expander->diags, GM028, expr->place, "blocks call each other more than %d deep", MAX_CALL_DEPTH);
        diag_help(diag, "a block that calls itself needs an `if` that ends it");
    }
    call->expander->too_large = true;
    return false;
}

Value call_block(Call *call, EquationContext *equation, const AstExpr *expr, const Callable *callable, bool through_argument)
{
    Expander *expander = call->expander;
    Block *block = callable->block;
    if (!check_depth(call, expr) || !expander_count(expander, 10, expr->place)) return value_poison();
    bool inside = equation || call->element;
    if (inside && block_purity(expander, block) < PURITY_MAYBE) {
        Diagnostic *diag = diag_error(expander->diags, GM032, expr->name_place,
                                      "%s is no element function: it cannot be called inside an equation", block->ast->name);
        diag_label(diag, block->ast->name_place, "its tensors are not all [..], or it looks at more than one element");
        diag_help(diag, "call it before, and read elements of its result");
        return value_poison();
    }
    Value *values = arena_new_array(expander->arena, Value, expr->arguments.count + 1);
    bool poison = false;
    for (int k = 0; k < expr->arguments.count; k++) {
        values[k] = evaluate_expr(call, equation, expr->arguments.data[k].value);
        poison = poison || values[k].kind == VALUE_POISON;
    }
    Slot *slots = arena_new_array(expander->arena, Slot, block->ast->parameters.count + 1);
    bool partial;
    if (!bind_arguments(call, expr, callable, values, slots, &partial) || poison) return value_poison();
    if (partial) return partial_callable(call, expr, callable, slots);
    bool right;
    Call *callee = callee_new(call, expr, callable, slots, &right);
    if (!right) return value_poison();
    if (inside || block_purity(expander, block) == PURITY_YES)
        return observed(call, block, NULL, expr->place, call_element(call, equation, callee, slots, expr->place));
    Value result = expand_block(call, callee, expr, slots, through_argument);
    return observed(call, block, callee->frame, expr->place, result);
}
