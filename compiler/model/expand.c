/* A model expanded: its parameters, then its body. In: the tree and what --set gave. Out: a module of flat equations. */
#include "model/expand.h"

#include <string.h>

/* --set wins over the default, and moves the defaults that depend on it. */
static bool model_parameter(Call *call, const AstParameter *parameter, Text *resolved)
{
    Expander *expander = call->expander;
    Setting *setting = NULL;
    for (int k = 0; k < expander->settings.count; k++)
        if (!strcmp(expander->settings.data[k].name, parameter->name)) setting = &expander->settings.data[k];
    if (!setting && !parameter->value) {
        Diagnostic *diag = diag_error(expander->diags, GM051, parameter->place, "nothing says what %s is", parameter->name);
        diag_help(diag, "give it a default, or --set %s=…", parameter->name);
        names_bind(call, parameter->name, value_poison(), parameter->place);
        return false;
    }
    Value value = evaluate_expr(call, NULL, setting ? setting->expr : parameter->value);
    if (value.kind != VALUE_POISON && !value_is_constant(&value) && value.kind != VALUE_CALLABLE) {
        diag_error(expander->diags, GM022, setting ? setting->place : parameter->place, "%s is known at compile time, this is %s",
                   parameter->name, value_kind_name(&value));
        value = value_poison();
    }
    if (value.kind == VALUE_NUMBER) {
        const char *text = setting ? arena_printf(expander->arena, "%s = %s", parameter->name, setting->text) : parameter->name;
        value.origin = origin_new(call, setting ? ORIGIN_SET : ORIGIN_GIVEN, parameter->name, text, setting ? NULL : parameter->value,
                                  setting ? setting->place : parameter->place, setting ? NULL : origin_of_names(call, parameter->value));
    }
    names_bind(call, parameter->name, value, parameter->place);
    text_printf(resolved, "%s%s = ", resolved->length ? ", " : "", parameter->name);
    value_print(&value, resolved);
    return value.kind != VALUE_POISON;
}

static bool model_outputs(Call *call)
{
    Module *module = call->expander->module;
    if (module->outputs.count) return true;
    if (call->expander->too_large) return false;
    Diagnostic *diag = diag_error(call->expander->diags, GM089, call->block->ast->name_place, "model %s has no output", module->name);
    diag_help(diag, "output y = …");
    return false;
}

bool expand_model(Expander *expander, Block *model)
{
    const AstCallable *ast = model->ast;
    Call *call = arena_new_object(expander->arena, Call);
    *call = (Call){.expander = expander, .block = model, .file = model->file, .prefix = ""};
    call->untaken = text_new(expander->arena);
    Text resolved = text_new(expander->arena);
    call->frame = frame_new(expander, NULL, ast->name, "", "", NULL, ast->name_place);
    bool right = true;
    for (int k = 0; k < ast->parameters.count; k++) right = model_parameter(call, &ast->parameters.data[k], &resolved) && right;
    expander->module->parameters = text_string(&resolved);
    call->frame->call = arena_printf(expander->arena, "%s(%s)", ast->name, text_string(&resolved));
    if (!right) return false;
    execute_body(call, &ast->body);
    frame_values(call);
    bool outputs = model_outputs(call);
    bounds_warn(expander);
    return outputs && !expander->too_large;
}
