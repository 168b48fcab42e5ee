/* Inputs, outputs, and the hints that say how `gmlpc run` makes or shows them. */
#include "model/expand.h"

#include <string.h>

/* --- hints ---------------------------------------------------------------------------------------------------------------- */

static void hint_numbers(Arena *arena, const Value *value, double *numbers, int *count)
{
    (void)arena;
    if (value->kind == VALUE_NUMBER) numbers[(*count)++] = number_double(value->number);
    if (value->kind == VALUE_FLAG) numbers[(*count)++] = value->flag;
    for (int k = 0; value->kind == VALUE_LIST && k < value->count; k++)
        if (value->items[k].kind == VALUE_NUMBER) numbers[(*count)++] = number_double(value->items[k].number);
}

/* A word that names nothing stands for itself: resize = bicubic. */
static bool hint_argument(Call *call, const AstArgument *argument, Hint *hint, int k)
{
    Arena *arena = call->expander->arena;
    Value value = {.kind = VALUE_STRING};
    hint->arguments[k].name = argument->name;
    if (argument->value->kind == AST_NAME &&
        (!names_lookup(call, argument->value->text, argument->value->place, &value) || value.kind == VALUE_CALLABLE))
        value = (Value){.kind = VALUE_STRING, .text = argument->value->text};
    else if (argument->value->kind != AST_NAME)
        value = evaluate_expr(call, NULL, argument->value);
    if (value.kind == VALUE_POISON) return false;
    if (value.kind == VALUE_STRING) {
        hint->arguments[k].text = value.text;
        return true;
    }
    if (value.kind != VALUE_NUMBER && value.kind != VALUE_FLAG && value.kind != VALUE_LIST) {
        diag_error(call->expander->diags, GM086, argument->place, "a hint takes words, strings, numbers and lists, this is %s",
                   value_kind_name(&value));
        return false;
    }
    hint->arguments[k].list = value.kind == VALUE_LIST;
    hint->arguments[k].numbers = arena_new_array(arena, double, value.count + 1);
    hint_numbers(arena, &value, hint->arguments[k].numbers, &hint->arguments[k].number_count);
    return true;
}

static Hint *read_hint(Call *call, const AstInitial *ast, bool output)
{
    static const char *const input_names[] = {"image", "text"}, *const output_names[] = {"classes"};
    if (!ast->name) return NULL;
    const char *const *names = output ? output_names : input_names;
    int count = output ? 1 : 2;
    bool known = false;
    for (int k = 0; k < count; k++) known = known || !strcmp(names[k], ast->name);
    if (!known) {
        Diagnostic *diag =
            diag_error(call->expander->diags, GM086, ast->place, "an %s has no hint %s", output ? "output" : "input", ast->name);
        diag_help(diag, output ? "classes(\"labels.txt\")" : "image(…) or text(…)");
        return NULL;
    }
    Hint *hint = arena_new_object(call->expander->arena, Hint);
    hint->name = ast->name;
    hint->arguments = arena_alloc_array(call->expander->arena, (size_t)ast->arguments.count + 1, sizeof *hint->arguments);
    for (int k = 0; k < ast->arguments.count; k++)
        if (!hint_argument(call, &ast->arguments.data[k], hint, hint->count++)) return NULL;
    return hint;
}

/* --- inputs ----------------------------------------------------------------------------------------------------------------- */

static bool name_taken(Call *call, const char *name, Place place)
{
    const Module *module = call->expander->module;
    for (int side = 0; side < 2; side++)
        for (int k = 0; k < (side ? module->outputs.count : module->inputs.count); k++) {
            const Port *port = side ? &module->outputs.data[k] : &module->inputs.data[k];
            if (strcmp(port->name, name)) continue;
            Diagnostic *diag = diag_error(call->expander->diags, GM087, place, "%s is an %s already", name, side ? "output" : "input");
            diag_label(diag, port->place, "declared here");
            return true;
        }
    return false;
}

/* A name that nobody bound is a size that only --set can give. */
static bool input_size(Call *call, const AstExpr *dim, int64_t *extent, const Origin **from)
{
    Expander *expander = call->expander;
    Value value;
    if (dim->kind == AST_NAME && !names_find(call, dim->text) && !names_constant(expander, call->file, dim->text)) {
        for (int k = expander->settings.count - 1; k >= 0; k--) {
            Setting *setting = &expander->settings.data[k];
            if (strcmp(setting->name, dim->text)) continue;
            setting->used = true;
            value = evaluate_expr(call, NULL, setting->expr);
            if (value.kind == VALUE_POISON) return false;
            value.origin = origin_new(call, ORIGIN_SET, dim->text, arena_printf(expander->arena, "%s = %s", dim->text, setting->text), NULL,
                                      setting->place, NULL);
            names_bind(call, dim->text, value, dim->place);
            return evaluate_size(call, dim, "this size", 1, extent, from);
        }
        Diagnostic *diag = diag_error(expander->diags, GM051, dim->place, "nothing says how large %s is", dim->text);
        diag_help(diag, "give it on the command line: --set %s=…, or a default in the model's parameters", dim->text);
        names_bind(call, dim->text, value_poison(), dim->place);
        return false;
    }
    return evaluate_size(call, dim, "this size", 1, extent, from);
}

static bool input_shape(Call *call, const AstStatement *statement, int64_t *extents, const Origin **axes)
{
    Expander *expander = call->expander;
    const AstShape *shape = &statement->shape;
    const char *text = shape_text(expander->arena, shape);
    int64_t elements = 1;
    if (shape->dims.count > MAX_RANK) {
        diag_error(expander->diags, GM041, shape->place, "a tensor has at most %d axes", MAX_RANK);
        return false;
    }
    for (int k = 0; k < shape->dims.count; k++) {
        const AstExpr *dim = shape->dims.data[k];
        const Origin *from = NULL;
        if (dim->kind == AST_DOTS) {
            diag_error(expander->diags, GM049, dim->place, "the shape of an input is written in full");
            return false;
        }
        if (!input_size(call, dim, &extents[k], &from)) return false;
        if (__builtin_mul_overflow(elements, extents[k], &elements) || elements > MAX_ELEMENTS) {
            diag_error(expander->diags, GM046, statement->name_place, "%s has more than 2^40 elements", statement->name);
            return false;
        }
        axes[k] = origin_new(call, ORIGIN_DECLARED, dim->kind == AST_NAME ? dim->text : NULL, text, NULL, statement->name_place, from);
    }
    return true;
}

void input_statement(Call *call, const AstStatement *statement)
{
    Expander *expander = call->expander;
    int64_t extents[MAX_RANK];
    const Origin **axes = arena_new_array(expander->arena, const Origin *, MAX_RANK);
    ElementType type = TYPE_F32;
    bool taken = name_taken(call, statement->name, statement->name_place);
    bool right = input_shape(call, statement, extents, axes);
    names_bind(call, statement->name, value_poison(), statement->name_place);
    if (statement->shape.type && !element_type_find(statement->shape.type, &type)) {
        static const char *const names[] = {"f32", "i32", "i64", "u8"};
        Diagnostic *diag =
            diag_error(expander->diags, GM050, statement->shape.type_place, "there is no element type %s", statement->shape.type);
        const char *nearest = nearest_name(statement->shape.type, names, 4);
        diag_help(diag, nearest ? "did you mean %s?" : "%s, i32, i64 or u8", nearest ? nearest : "f32");
        return;
    }
    if (taken || !right) return;
    Tensor *tensor = tensor_new(expander->module, TENSOR_INPUT, unique_tensor_name(expander, "", statement->name), type,
                                statement->shape.dims.count, extents, statement->name_place);
    tensor->input_name = statement->name;
    Port port = {
        .name = statement->name, .tensor = tensor, .hint = read_hint(call, &statement->initial, false), .place = statement->name_place};
    list_push(expander->arena, &expander->module->inputs, port);
    names_bind(call, statement->name, tensor_value(tensor, axes), statement->name_place);
}

/* --- outputs ------------------------------------------------------------------------------------------------------------------ */

void output_port(Call *call, const AstStatement *statement, Value value)
{
    Expander *expander = call->expander;
    const AstAssignment *assignment = &statement->assignment;
    bool taken = name_taken(call, assignment->name, assignment->place);
    Hint *hint = read_hint(call, &statement->initial, true);
    if (taken || value.kind != VALUE_TENSOR) {
        Port port = {.name = assignment->name, .place = assignment->place};
        if (!taken) list_push(expander->arena, &expander->module->outputs, port); /* an error was reported: it is not missing */
        return;
    }
    if (value.tensor->type != TYPE_F32 && value.tensor->type != TYPE_I32) {
        Diagnostic *diag = diag_error(expander->diags, GM088, assignment->place, "outputs are f32 or i32, %s is %s", assignment->name,
                                      element_type_name(value.tensor->type));
        diag_help(diag, "multiply by 1.0 for f32");
    }
    Tensor *tensor = value.tensor;
    if (tensor->kind != TENSOR_LOCAL || tensor->output_name) tensor = copy_tensor(call, value, assignment->name, assignment->place).tensor;
    tensor->output_name = assignment->name;
    Port port = {.name = assignment->name, .tensor = tensor, .hint = hint, .place = assignment->place};
    list_push(expander->arena, &expander->module->outputs, port);
}
