/* Names: of a call, then of its file and what that imports, then of the language.
 * A name of the file itself hides imported ones; of two imports the nearer one counts, and two equally near are an error. */
#include "model/expand.h"

#include <math.h>
#include <string.h>

Binding *names_find(Call *call, const char *name)
{
    return map_get(&call->names, name);
}

Binding *names_bind(Call *call, const char *name, Value value, Place place)
{
    Binding *binding = map_get(&call->names, name);
    if (!binding) {
        binding = arena_new_object(call->expander->arena, Binding);
        map_put(call->expander->arena, &call->names, name, binding);
    }
    *binding = (Binding){.name = name, .value = value, .place = place};
    observe_bound(call, name, &value, place, false);
    return binding;
}

void observe_bound(const Call *call, const char *name, const Value *value, Place place, bool index)
{
    const ModelObserver *observer = call->expander->observer;
    if (!observer || value->kind == VALUE_POISON) return;
    BoundName bound = {.block = call->block->ast, .frame = call->frame, .name = name, .place = place, .index = index, .value = value};
    observer->bound(observer->context, &bound);
}

static void observe_constant(const Expander *expander, const FileConstant *constant)
{
    const ModelObserver *observer = expander->observer;
    if (!observer || constant->value.kind == VALUE_POISON) return;
    observer->bound(observer->context, &(BoundName){.name = constant->ast->name, .place = constant->ast->place, .value = &constant->value});
}

/* --- of files ------------------------------------------------------------------------------------------------------- */

typedef struct {
    void *found;
    const FileScope *file, *other; /* other: an equally near import with another declaration */
} FileSearch;

/* Breadth first over the imports. `constants`: among constants, else among blocks. */
static FileSearch search_files(Expander *expander, FileScope *file, const char *name, bool constants)
{
    LIST(FileScope *) level = {0};
    list_push(expander->arena, &level, file);
    file->visit = ++expander->visits;
    FileSearch search = {0};
    int begin = 0;
    while (begin < level.count && !search.found) {
        int end = level.count;
        for (int k = begin; k < end; k++) {
            FileScope *one = level.data[k];
            void *declared = map_get(constants ? &one->constants : &one->blocks, name);
            if (declared && !search.found) {
                search.found = declared;
                search.file = one;
            } else if (declared && declared != search.found) {
                search.other = one;
            }
            for (int i = 0; i < one->imports.count; i++) {
                if (one->imports.data[i]->visit == expander->visits) continue;
                one->imports.data[i]->visit = expander->visits;
                list_push(expander->arena, &level, one->imports.data[i]);
            }
        }
        begin = end;
    }
    return search;
}

Block *names_block(Expander *expander, FileScope *file, const char *name, Place place)
{
    FileSearch search = search_files(expander, file, name, false);
    if (search.other && place.source) {
        Block *one = search.found, *two = map_get(&search.other->blocks, name);
        Diagnostic *diag = diag_error(expander->diags, GM029, place, "%s is declared by two imports", name);
        diag_note(diag, one->ast->name_place, "one is declared here");
        diag_note(diag, two->ast->name_place, "the other one here");
        diag_help(diag, "a block of that name in this file would be preferred to both");
    }
    return search.found;
}

FileConstant *names_constant(Expander *expander, FileScope *file, const char *name)
{
    return search_files(expander, file, name, true).found;
}

/* A constant is evaluated when it is first needed, among the names of its own file. */
static Value constant_value(Call *call, FileConstant *constant, Place place)
{
    if (constant->done) return constant->value;
    Expander *expander = call->expander;
    if (constant->evaluating) {
        diag_error(expander->diags, GM033, place, "the constant %s needs itself", constant->ast->name);
        return value_poison();
    }
    constant->evaluating = true;
    Call *outside = arena_new_object(expander->arena, Call);
    *outside = (Call){
        .expander = expander, .block = call->block, .file = constant->file, .prefix = "", .frame = call->frame, .depth = call->depth + 1};
    outside->untaken = text_new(expander->arena);
    if (constant->ast->subscripted)
        constant->value = index_equation(outside, constant->ast, constant->ast->place, true, NULL);
    else
        constant->value = evaluate_expr(outside, NULL, constant->ast->value);
    if (constant->value.kind == VALUE_NUMBER) {
        const char *name = constant->ast->name;
        constant->value.origin = origin_new(outside, ORIGIN_GIVEN, name, name, constant->ast->value, constant->ast->place, NULL);
    } else if (constant->value.kind == VALUE_ELEMENT || constant->value.kind == VALUE_TUPLE) {
        diag_error(expander->diags, GM074, constant->ast->value->place, "the constant %s is not known now", constant->ast->name);
        constant->value = value_poison();
    }
    constant->evaluating = false;
    constant->done = true;
    observe_constant(expander, constant);
    return constant->value;
}

static bool language_value(Call *call, const char *name, Place place, Value *value)
{
    if (!strcmp(name, "pi")) {
        *value = value_number(number_real(3.14159265358979323846));
        return true;
    }
    if (!strcmp(name, "inf")) {
        *value = value_number(number_real(INFINITY));
        return true;
    }
    Function function;
    if (!function_find(name, &function)) return false;
    Callable *callable = arena_new_object(call->expander->arena, Callable);
    *callable = (Callable){.name = name, .function = function, .place = place};
    *value = (Value){.kind = VALUE_CALLABLE, .callable = callable};
    return true;
}

bool names_lookup(Call *call, const char *name, Place place, Value *value)
{
    Binding *binding = names_find(call, name);
    if (binding) {
        *value = binding->value;
        if (!binding->collected) return true;
        Diagnostic *diag = diag_error(call->expander->diags, GM034, place, "%s is being collected here and cannot be read yet", name);
        diag_label(diag, binding->collected->place, "collected over %s", binding->collected->owner->counter);
        diag_help(diag, "carry what the next turn needs under a name of its own, and collect that");
        *value = value_poison();
        return true;
    }
    FileConstant *constant = names_constant(call->expander, call->file, name);
    if (constant) {
        *value = constant_value(call, constant, place);
        return true;
    }
    Block *block = names_block(call->expander, call->file, name, place);
    if (block) {
        Callable *callable = arena_new_object(call->expander->arena, Callable);
        *callable = (Callable){.name = block->ast->name, .block = block, .place = place};
        *value = (Value){.kind = VALUE_CALLABLE, .callable = callable};
        return true;
    }
    return language_value(call, name, place, value);
}

/* --- suggestions ---------------------------------------------------------------------------------------------------- */

typedef LIST(const char *) Names;

static void add_bindings(Call *call, Names *names, bool callables)
{
    for (int k = 0; k < call->names.count; k++) {
        const Binding *binding = call->names.entries[k].value;
        if (binding && (!callables || binding->value.kind == VALUE_CALLABLE)) list_push(call->expander->arena, names, binding->name);
    }
}

static void add_declared(Expander *expander, FileScope *file, Names *names, bool constants, int depth)
{
    const Map *map = constants ? &file->constants : &file->blocks;
    for (int k = 0; k < map->count; k++) list_push(expander->arena, names, map->entries[k].key);
    if (depth == 0) expander->visits++;
    file->visit = expander->visits;
    for (int k = 0; k < file->imports.count && depth < 64; k++)
        if (file->imports.data[k]->visit != expander->visits) add_declared(expander, file->imports.data[k], names, constants, depth + 1);
}

static bool bound_in_untaken(Call *call, const char *name)
{
    if (!call->untaken.length) return false;
    return strstr(text_string(&call->untaken), arena_printf(call->expander->arena, " %s ", name)) != NULL;
}

/* The library file that declares a block of that name, or NULL. */
static const char *library_file_with(Arena *arena, const char *name)
{
    const char *wanted = arena_printf(arena, "block %s(", name);
    for (int k = 0; k < library_count(); k++) {
        size_t size;
        const char *text = library_find(library_name(k), &size);
        if (text && strstr(text, wanted)) return library_name(k);
    }
    return NULL;
}

void error_unknown_name(Call *call, EquationContext *equation, const char *name, Place place)
{
    Expander *expander = call->expander;
    Diagnostic *diag = diag_error(expander->diags, GM020, place, "%s is not known here", name);
    Names names = {0};
    if (equation)
        for (int k = 0; k < equation->variables.count; k++) list_push(expander->arena, &names, equation->variables.data[k]->name);
    add_bindings(call, &names, false);
    add_declared(expander, call->file, &names, true, 0);
    add_declared(expander, call->file, &names, false, 0);
    const char *nearest = nearest_name(name, names.data, names.count);
    const char *library = library_file_with(expander->arena, name);
    bool small = strlen(name) <= 2 && name[0] >= 'a' && name[0] <= 'z';
    if (bound_in_untaken(call, name))
        diag_help(diag, "%s is bound only in a branch that is not taken", name);
    else if (equation && small)
        diag_help(diag, "an index stands on the left side or in a reduction: y[%s] = …, sum[%s](…)", name, name);
    else if (nearest && strcmp(nearest, name))
        diag_help(diag, "did you mean %s?", nearest);
    else if (library)
        diag_help(diag, "import \"%s\" declares a block of this name", library);
    else if (small)
        diag_help(diag, "an index is bound by the left side: y[%s] = …", name);
}

void error_unknown_block(Call *call, const char *name, Place place)
{
    Expander *expander = call->expander;
    const Binding *binding = names_find(call, name);
    if (binding && binding->value.kind != VALUE_POISON) {
        Diagnostic *diag = diag_error(expander->diags, GM022, place, "%s is %s, not a block", name, value_kind_name(&binding->value));
        diag_label(diag, binding->place, "bound here");
        if (binding->value.kind == VALUE_TENSOR) diag_help(diag, "elements are read with brackets: %s[…]", name);
        return;
    }
    Diagnostic *diag = diag_error(expander->diags, GM021, place, "there is no block or function %s", name);
    const char *library = library_file_with(expander->arena, name);
    if (library) {
        diag_help(diag, "import \"%s\" declares it", library);
        return;
    }
    Names names = {0};
    add_bindings(call, &names, true);
    add_declared(expander, call->file, &names, false, 0);
    for (int k = 0; k < FUNCTION_COUNT; k++) {
        Function function;
        if (function_find(function_table[k].name, &function)) list_push(expander->arena, &names, function_table[k].name);
    }
    const char *nearest = nearest_name(name, names.data, names.count);
    Reduction reduction;
    if (reduction_find(name, &reduction))
        diag_help(diag, "a reduction lists its indices in brackets: %s[k](…)", name);
    else if (nearest)
        diag_help(diag, "did you mean %s?", nearest);
}

/* --- element functions ---------------------------------------------------------------------------------------------- */

static Purity worse(Purity a, Purity b)
{
    return a < b ? a : b;
}

static Purity expr_purity(Expander *expander, Block *block, const AstExpr *expr, int depth);

static Purity call_purity(Expander *expander, Block *block, const AstExpr *expr)
{
    Function function;
    if (function_find(expr->text, &function) || !strcmp(expr->text, "len")) return PURITY_YES;
    for (int k = 0; k < block->ast->parameters.count; k++)
        if (!strcmp(block->ast->parameters.data[k].name, expr->text)) return PURITY_MAYBE;
    Block *callee = names_block(expander, block->file, expr->text, (Place){0});
    if (!callee) return PURITY_NO;
    Purity purity = block_purity(expander, callee);
    return purity == PURITY_PENDING ? PURITY_NO : purity;
}

/* An element function reads one element of each tensor: no reduction over `..`, no calls of other blocks. */
static Purity expr_purity(Expander *expander, Block *block, const AstExpr *expr, int depth)
{
    if (!expr) return PURITY_YES;
    if (depth > 200) return PURITY_NO;
    Purity purity = PURITY_YES;
    if (expr->kind == AST_CALL) purity = call_purity(expander, block, expr);
    if (expr->kind == AST_REDUCE)
        for (int k = 0; k < expr->items.count; k++)
            if (expr->items.data[k]->kind == AST_DOTS) return PURITY_NO;
    if (purity == PURITY_NO) return purity;
    purity = worse(purity, expr_purity(expander, block, expr->left, depth + 1));
    purity = worse(purity, expr_purity(expander, block, expr->right, depth + 1));
    purity = worse(purity, expr_purity(expander, block, expr->otherwise, depth + 1));
    for (int k = 0; k < expr->items.count && purity != PURITY_NO; k++)
        purity = worse(purity, expr_purity(expander, block, expr->items.data[k], depth + 1));
    for (int k = 0; k < expr->arguments.count && purity != PURITY_NO; k++)
        purity = worse(purity, expr_purity(expander, block, expr->arguments.data[k].value, depth + 1));
    return purity;
}

static Purity body_purity(Expander *expander, Block *block, const AstBody *body)
{
    Purity purity = PURITY_YES;
    for (int k = 0; k < body->count && purity != PURITY_NO; k++) {
        const AstStatement *statement = body->data[k];
        if (statement->kind == AST_DESTRUCT || statement->kind == AST_INPUT || statement->kind == AST_OUTPUT) return PURITY_NO;
        if (statement->kind == AST_PARAM && statement->shape.dims.count) return PURITY_NO;
        if (statement->kind == AST_ASSIGN) {
            const AstAssignment *assignment = &statement->assignment;
            if (assignment->subscripted && !(assignment->subscripts.count == 0 ||
                                             (assignment->subscripts.count == 1 && assignment->subscripts.data[0]->kind == AST_DOTS)))
                return PURITY_NO;
            purity = worse(purity, expr_purity(expander, block, assignment->value, 0));
        }
        for (int i = 0; i < statement->values.count; i++)
            purity = worse(purity, expr_purity(expander, block, statement->values.data[i], 0));
        purity = worse(purity, body_purity(expander, block, &statement->body));
        purity = worse(purity, body_purity(expander, block, &statement->else_body));
    }
    return purity;
}

static bool all_dots(const AstShape *shape)
{
    return shape->dims.count == 1 && shape->dims.data[0]->kind == AST_DOTS;
}

Purity block_purity(Expander *expander, Block *block)
{
    if (block->purity != PURITY_UNKNOWN) return block->purity;
    block->purity = PURITY_PENDING;
    const AstCallable *ast = block->ast;
    bool tensors = false, shapes = !ast->is_model && ast->results.count == 1 && all_dots(&ast->results.data[0]);
    for (int k = 0; k < ast->parameters.count; k++) {
        if (!ast->parameters.data[k].is_tensor) continue;
        tensors = true;
        shapes = shapes && all_dots(&ast->parameters.data[k].shape);
    }
    Purity purity = tensors && shapes ? body_purity(expander, block, &ast->body) : PURITY_NO;
    block->purity = purity;
    return purity;
}
