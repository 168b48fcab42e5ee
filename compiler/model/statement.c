/* What each statement does. `repeat` and `if` are static: their bodies are executed here, turn by turn, in the same scope. */
#include "model/expand.h"

#include <string.h>

static void execute_statement(Call *call, const AstStatement *statement);

void execute_body(Call *call, const AstBody *body)
{
    for (int k = 0; k < body->count && !call->returned; k++) {
        if (!expander_count(call->expander, 1, body->data[k]->place) || !expander_enter(call->expander, body->data[k]->place)) return;
        execute_statement(call, body->data[k]);
    }
}

/* --- assignments ------------------------------------------------------------------------------------------------------------- */

static bool check_target(Call *call, const char *name, Place place)
{
    const Binding *binding = names_find(call, name);
    if (!binding || !binding->loop) return true;
    Diagnostic *diag = diag_error(call->expander->diags, GM036, place, "%s is the counter of a repeat, it cannot be assigned", name);
    diag_label(diag, binding->place, "counts here");
    return false;
}

/* A value as it is bound to a name: whole-tensor expressions become tensors, numbers remember how they came about. */
static Value bindable(Call *call, Value value, const char *name, const AstExpr *expr, Place place)
{
    Expander *expander = call->expander;
    switch (value.kind) {
    case VALUE_ELEMENT:
        return call->element ? value : value_to_tensor(call, value, name, place);
    case VALUE_NUMBER:
        value.origin = origin_new(call, ORIGIN_GIVEN, name, name, expr, place, origin_of_names(call, expr));
        return value;
    case VALUE_TUPLE: {
        Diagnostic *diag = diag_error(expander->diags, GM027, expr->place, "this returns %d tensors", value.count);
        diag_help(diag, "give each a name: %s, … = …", name);
        return value_poison();
    }
    case VALUE_CALLABLE:
        if (!value.callable->partial) return value;
        diag_help(diag_error(expander->diags, GM023, expr->place, "%s is given %s", value.callable->name, callable_tensors(value.callable)),
                  "only as an argument of another block a block may stand with some of its arguments");
        return value_poison();
    case VALUE_POISON:
    case VALUE_FLAG:
    case VALUE_STRING:
    case VALUE_LIST:
    case VALUE_TENSOR:
        return value;
    }
    return value;
}

/* Whether the left side names a counter of a running repeat. */
static bool names_counter(Call *call, const AstExpr *expr)
{
    if (!expr) return false;
    if (expr->kind == AST_NAME) {
        const Binding *binding = names_find(call, expr->text);
        return binding && binding->loop;
    }
    if (expr->kind == AST_BINARY) return names_counter(call, expr->left) || names_counter(call, expr->right);
    return (expr->kind == AST_PARENS || expr->kind == AST_UNARY) && names_counter(call, expr->left);
}

static bool collects(Call *call, const AstAssignment *assignment)
{
    for (int k = 0; k < assignment->subscripts.count; k++)
        if (names_counter(call, assignment->subscripts.data[k])) return true;
    return false;
}

static void assignment_statement(Call *call, const AstStatement *statement, bool output)
{
    const AstAssignment *assignment = &statement->assignment;
    bool constant = statement->kind == AST_CONST;
    Value value;
    if (!check_target(call, assignment->name, assignment->place)) return;
    if (assignment->subscripted) {
        Collected *collected = NULL;
        value = index_equation(call, assignment, statement->place, constant, &collected);
        if (collected) {
            if (output) collected->output = statement;
            return;
        }
        if (value.kind == VALUE_POISON && !constant && collects(call, assignment)) { /* the turns before may have collected some */
            Binding *binding = names_find(call, assignment->name);
            if (binding && binding->collected) {
                binding->collected->failed = true;
                return;
            }
        }
    } else {
        value = evaluate_expr(call, call->element ? call->equation : NULL, assignment->value);
        bool element = value.kind == VALUE_ELEMENT || value.kind == VALUE_TENSOR;
        if (constant && element) {
            diag_error(call->expander->diags, GM074, assignment->value->place, "the constant %s is not known now", assignment->name);
            value = value_poison();
        }
        value = bindable(call, value, assignment->name, assignment->value, assignment->place);
    }
    if (output && value.kind != VALUE_POISON) value = value_to_tensor(call, value, assignment->name, assignment->value->place);
    names_bind(call, assignment->name, value, assignment->place);
    if (output) output_port(call, statement, value);
}

static void destruct_statement(Call *call, const AstStatement *statement)
{
    Value value = evaluate_expr(call, call->element ? call->equation : NULL, statement->value);
    bool right = value.kind == VALUE_TUPLE && value.count == statement->names.count;
    if (!right && value.kind != VALUE_POISON) {
        if (value.kind == VALUE_TUPLE)
            diag_error(call->expander->diags, GM027, statement->value->place, "this returns %d tensors, %d names stand on the left",
                       value.count, statement->names.count);
        else
            diag_error(call->expander->diags, GM027, statement->value->place, "this is %s, %d names stand on the left",
                       value_kind_name(&value), statement->names.count);
    }
    for (int k = 0; k < statement->names.count; k++) {
        if (!check_target(call, statement->names.data[k], statement->name_places.data[k])) continue;
        names_bind(call, statement->names.data[k], right ? value.items[k] : value_poison(), statement->name_places.data[k]);
    }
}

/* --- return -------------------------------------------------------------------------------------------------------------------- */

static void return_statement(Call *call, const AstStatement *statement)
{
    Expander *expander = call->expander;
    if (call->block->ast->is_model) {
        Diagnostic *diag = diag_error(expander->diags, GM030, statement->place, "a model returns nothing");
        diag_help(diag, "output NAME = … is what a model gives");
        return;
    }
    Value *results = arena_new_array(expander->arena, Value, statement->values.count + 1);
    int count = statement->values.count;
    const char *name = call->prefix[0] ? "" : "result";
    for (int k = 0; k < count; k++) {
        const AstExpr *expr = statement->values.data[k];
        results[k] = evaluate_expr(call, call->element ? call->equation : NULL, expr);
        if (results[k].kind == VALUE_TUPLE && count == 1) {
            call->result = results[k];
            call->result_place = expr->place;
            call->returned = true;
            return;
        }
        if (!call->element) results[k] = value_to_tensor(call, results[k], name, expr->place);
    }
    call->result = count == 1 ? results[0] : (Value){.kind = VALUE_TUPLE, .count = count, .items = results};
    call->result_place = statement->values.count ? statement->values.data[0]->place : statement->place;
    call->returned = true;
}

/* --- repeat and if ---------------------------------------------------------------------------------------------------------------- */

/* A repeat of no turns collects nothing: the first statement that would have is an error. */
static void check_no_turns(Call *call, const AstStatement *repeat, const AstBody *body)
{
    for (int k = 0; k < body->count; k++) {
        const AstStatement *statement = body->data[k];
        if (statement->kind == AST_ASSIGN || statement->kind == AST_OUTPUT)
            for (int i = 0; i < statement->assignment.subscripts.count; i++) {
                const AstExpr *item = statement->assignment.subscripts.data[i];
                if (item->kind != AST_NAME || strcmp(item->text, repeat->name)) continue;
                Diagnostic *diag = diag_error(call->expander->diags, GM070, statement->assignment.place, "%s is collected over no turns",
                                              statement->assignment.name);
                diag_label(diag, repeat->extent->place, "0 here");
                names_bind(call, statement->assignment.name, value_poison(), statement->assignment.place);
            }
        check_no_turns(call, repeat, &statement->body);
        check_no_turns(call, repeat, &statement->else_body);
    }
}

static Frame *turn_frame(Call *call, const AstStatement *statement, Frame *outer, const Loop *loop)
{
    Expander *expander = call->expander;
    const char *text = arena_printf(expander->arena, "%s = %lld of %lld", loop->counter, (long long)loop->turn, (long long)loop->count);
    Frame *frame = frame_new(expander, outer, "repeat", call->prefix, text, call->note, statement->place);
    frame->values = arena_alloc_array(expander->arena, 1, sizeof *frame->values);
    frame->value_count = 1;
    frame->values[0].name = loop->counter;
    frame->values[0].number = (double)loop->turn;
    return frame;
}

static void repeat_statement(Call *call, const AstStatement *statement)
{
    Expander *expander = call->expander;
    int64_t count;
    if (!check_target(call, statement->name, statement->name_place)) return;
    if (!evaluate_size(call, statement->extent, "the number of turns", 0, &count, NULL)) return;
    if (count == 0) check_no_turns(call, statement, &statement->body);
    Binding *before = names_find(call, statement->name);
    if (before && before->value.kind == VALUE_NUMBER) {
        Diagnostic *diag =
            diag_error(expander->diags, GM065, statement->name_place, "the counter %s hides a number of that name", statement->name);
        diag_label(diag, before->place, "bound here");
        return;
    }
    Loop *loop = arena_new_object(expander->arena, Loop);
    *loop = (Loop){.up = call->loop, .counter = statement->name, .count = count};
    loop->index = index_new(expander->module, statement->name, count > 0 ? count : 1, statement->name_place);
    Frame *outer = call->frame;
    call->loop = loop;
    for (loop->turn = 0; loop->turn < count && !call->returned && !expander->too_large; loop->turn++) {
        names_bind(call, statement->name, value_int(loop->turn), statement->name_place)->loop = loop;
        if (!expander_count(expander, 1, statement->place)) break;
        if (!call->element) call->frame = turn_frame(call, statement, outer, loop);
        execute_body(call, &statement->body);
    }
    call->frame = outer;
    call->loop = loop->up;
    map_put(expander->arena, &call->names, statement->name, NULL);
    if (!call->returned && !expander->too_large) collect_finish(call, loop);
}

static void note_untaken(Call *call, const AstBody *body)
{
    for (int k = 0; k < body->count; k++) {
        const AstStatement *statement = body->data[k];
        if (statement->kind == AST_ASSIGN || statement->kind == AST_OUTPUT || statement->kind == AST_CONST)
            text_printf(&call->untaken, " %s ", statement->assignment.name);
        else if (statement->kind == AST_PARAM || statement->kind == AST_INPUT)
            text_printf(&call->untaken, " %s ", statement->name);
        for (int i = 0; i < statement->names.count; i++) text_printf(&call->untaken, " %s ", statement->names.data[i]);
    }
}

static void if_statement(Call *call, const AstStatement *statement)
{
    bool flag;
    if (!evaluate_flag(call, statement->condition, &flag)) return;
    if (call->untaken.length < 4096) note_untaken(call, flag ? &statement->else_body : &statement->body);
    if (flag)
        execute_body(call, &statement->body);
    else if (statement->has_else)
        execute_body(call, &statement->else_body);
}

static void execute_statement(Call *call, const AstStatement *statement)
{
    Diagnostics *diags = call->expander->diags;
    bool port = statement->kind == AST_INPUT || statement->kind == AST_OUTPUT;
    if (port && (!call->block->ast->is_model || call->up)) {
        Diagnostic *diag = diag_error(diags, GM030, statement->place, "%s belongs to a model, this is a block",
                                      statement->kind == AST_INPUT ? "an input" : "an output");
        diag_help(diag, statement->kind == AST_INPUT ? "a block takes tensors as parameters: block f(x[N, C])"
                                                     : "a block gives tensors by `return`");
        return;
    }
    switch (statement->kind) {
    case AST_ASSIGN:
    case AST_CONST:
        assignment_statement(call, statement, false);
        break;
    case AST_OUTPUT:
        assignment_statement(call, statement, true);
        break;
    case AST_DESTRUCT:
        destruct_statement(call, statement);
        break;
    case AST_INPUT:
        input_statement(call, statement);
        break;
    case AST_PARAM:
        parameter_statement(call, statement);
        break;
    case AST_RETURN:
        return_statement(call, statement);
        break;
    case AST_REPEAT:
        repeat_statement(call, statement);
        break;
    case AST_IF:
        if_statement(call, statement);
        break;
    }
}
