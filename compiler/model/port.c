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

typedef enum { HINT_OF_INPUT, HINT_OF_OUTPUT } HintSide;
typedef enum { TAKES_WORD, TAKES_STRING, TAKES_NUMBERS, TAKES_FLAG } HintTakes;
static const struct {
    const char *name;
    HintSide side;
} hint_table[] = {
#define HINT(name, side) {name, HINT_OF_##side},
#include "model/hints.def"
};
static const struct {
    const char *hint, *name;
    HintTakes takes;
} hint_arguments[] = {
#define HINT_ARGUMENT(hint, name, takes) {hint, name, TAKES_##takes},
#include "model/hints.def"
};
enum { HINTS = sizeof hint_table / sizeof *hint_table, HINT_ARGUMENTS = sizeof hint_arguments / sizeof *hint_arguments };

/* What the argument takes; false after an error that names what there is. */
static bool hint_argument_known(Call *call, const char *hint, const AstArgument *argument, HintTakes *takes)
{
    const char *names[HINT_ARGUMENTS], *name = argument->name ? argument->name : "";
    Text list = text_new(call->expander->arena);
    int count = 0;
    for (int k = 0; k < HINT_ARGUMENTS; k++) {
        if (strcmp(hint_arguments[k].hint, hint)) continue;
        *takes = hint_arguments[k].takes;
        if (!strcmp(hint_arguments[k].name, name)) return true;
        if (!*hint_arguments[k].name) continue;
        text_printf(&list, "%s%s", count ? ", " : "", hint_arguments[k].name);
        names[count++] = hint_arguments[k].name;
    }
    Diagnostic *diag = diag_error(call->expander->diags, GM086, argument->place, *name ? "%s(…) has no argument %s" : "an argument of %s(…) needs its name", hint, name);
    const char *nearest = *name ? nearest_name(name, names, count) : NULL;
    if (nearest) diag_help(diag, "did you mean %s?", nearest);
    else if (count) diag_help(diag, "it takes %s", text_string(&list));
    return false;
}

static bool hint_argument_fits(Call *call, const AstArgument *argument, const Value *value, HintTakes takes)
{
    static const char *const wanted[] = {
        [TAKES_WORD] = "a word", [TAKES_STRING] = "a string", [TAKES_NUMBERS] = "numbers", [TAKES_FLAG] = "true or false"};
    bool fits = false;
    switch (takes) {
    case TAKES_WORD:
    case TAKES_STRING: fits = value->kind == VALUE_STRING; break;
    case TAKES_NUMBERS: fits = value->kind == VALUE_NUMBER || value->kind == VALUE_LIST; break;
    case TAKES_FLAG: fits = value->kind == VALUE_FLAG; break;
    }
    for (int k = 0; fits && value->kind == VALUE_LIST && k < value->count; k++) fits = value->items[k].kind == VALUE_NUMBER;
    if (!fits)
        diag_error(call->expander->diags, GM086, argument->value->place, "%s takes %s, this is %s", argument->name ? argument->name : "it", wanted[takes],
                   value_kind_name(value));
    return fits;
}

/* A word that names nothing, or a tensor, stands for itself: resize = bicubic, of = ids. */
static bool hint_argument(Call *call, const AstArgument *argument, Hint *hint, int k)
{
    Arena *arena = call->expander->arena;
    Value value = {.kind = VALUE_STRING};
    HintTakes takes;
    if (!hint_argument_known(call, hint->name, argument, &takes)) return false;
    hint->arguments[k].name = argument->name;
    hint->arguments[k].place = argument->place;
    if (argument->value->kind == AST_NAME && (!names_lookup(call, argument->value->text, argument->value->place, &value) ||
                                              value.kind == VALUE_CALLABLE || value.kind == VALUE_TENSOR ||
                                              (takes == TAKES_WORD && value.kind == VALUE_POISON))) /* the input being declared */
        value = (Value){.kind = VALUE_STRING, .text = argument->value->text};
    else if (argument->value->kind != AST_NAME)
        value = evaluate_expr(call, NULL, argument->value);
    if (value.kind == VALUE_POISON || !hint_argument_fits(call, argument, &value, takes)) return false;
    if (value.kind == VALUE_STRING) {
        hint->arguments[k].text = value.text;
        return true;
    }
    hint->arguments[k].list = value.kind == VALUE_LIST;
    hint->arguments[k].numbers = arena_new_array(arena, double, value.count + 1);
    hint_numbers(arena, &value, hint->arguments[k].numbers, &hint->arguments[k].number_count);
    return true;
}

static Hint *read_hint(Call *call, const AstInitial *ast, bool output)
{
    if (!ast->name) return NULL;
    bool known = false;
    for (int k = 0; k < HINTS; k++)
        known = known || (!strcmp(hint_table[k].name, ast->name) && (hint_table[k].side == HINT_OF_OUTPUT) == output);
    if (!known) {
        Diagnostic *diag =
            diag_error(call->expander->diags, GM086, ast->place, "an %s has no hint %s", output ? "output" : "input", ast->name);
        diag_help(diag, output ? "classes(\"labels.txt\")" : "image(…) or text(…)");
        return NULL;
    }
    Hint *hint = arena_new_object(call->expander->arena, Hint);
    hint->name = ast->name;
    hint->place = ast->place;
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
