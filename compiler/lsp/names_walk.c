/* Every name of a file's bodies, resolved: indices of the equation first, then names of the callable, then of files. */
#include "lsp/names.h"

#include <ctype.h>
#include <string.h>

/* Indices in scope. */
typedef struct Indices {
    const struct Indices *up;
    LIST(Symbol *) symbols;
} Indices;

typedef struct {
    Project *project;
    FileNames *file;
    const AstDeclaration *declaration;
    const AstCallable *callable; /* whose names count; a bind line: the model or block that it is for */
    FileNames *home;             /* the file of that callable */
    const Indices *indices;
} Walk;

static void walk_expr(const Walk *walk, const AstExpr *expr);

static void add(const Walk *walk, Place place, const char *name, Symbol *symbol, bool defines, const AstExpr *call)
{
    if (place.end == place.begin || place.source != walk->file->file->source) return;
    Occurrence occurrence = {.place = place, .name = name, .symbol = symbol, .defines = defines, .call = call};
    list_push(walk->project->arena, &walk->file->occurrences, occurrence);
}

static Symbol *index_in_scope(const Indices *indices, const char *name)
{
    for (; indices; indices = indices->up)
        for (int k = 0; k < indices->symbols.count; k++)
            if (!strcmp(indices->symbols.data[k]->name, name)) return indices->symbols.data[k];
    return NULL;
}

static Symbol *resolve(const Walk *walk, const char *name)
{
    Symbol *symbol = index_in_scope(walk->indices, name);
    if (!symbol && walk->callable) symbol = local_find(walk->home, walk->callable, name);
    return symbol ? symbol : project_find(walk->project, walk->file, name);
}

static void use(const Walk *walk, Place place, const char *name, const AstExpr *call)
{
    Symbol *symbol = resolve(walk, name);
    bool defines = false;
    for (int k = 0; symbol && k < symbol->definitions.count; k++)
        defines = defines || (symbol->definitions.data[k].place.source == place.source && symbol->definitions.data[k].place.begin == place.begin);
    add(walk, place, name, symbol, defines, call);
}

static void add_index(const Walk *walk, Indices *indices, const char *name, Place place)
{
    Arena *arena = walk->project->arena;
    Symbol *symbol = arena_new_object(arena, Symbol);
    *symbol = (Symbol){.kind = SYMBOL_INDEX, .name = name, .file = walk->file->file, .declaration = walk->declaration, .callable = walk->callable};
    list_push(arena, &symbol->definitions, (Definition){place, 0});
    list_push(arena, &indices->symbols, symbol);
    list_push(arena, &walk->file->locals, symbol);
}

/* --- expressions --------------------------------------------------------------------------------------------------------- */

static void walk_path(const Walk *walk, const AstPath *path)
{
    for (int k = 0; path && k < path->parts.count; k++)
        if (path->parts.data[k].index) walk_expr(walk, path->parts.data[k].index);
}

/* callee NULL: names of the arguments mean nothing here. */
static void walk_arguments(const Walk *walk, const AstArgument *arguments, int count, const Symbol *callee)
{
    bool block = callee && (callee->kind == SYMBOL_BLOCK || callee->kind == SYMBOL_MODEL);
    for (int k = 0; k < count; k++) {
        const AstArgument *argument = &arguments[k];
        if (argument->name && block) {
            FileNames *home = NULL;
            for (int i = 0; i < walk->project->files.count; i++)
                if (walk->project->files.data[i]->file == callee->file) home = walk->project->files.data[i];
            Symbol *parameter = home ? local_find(home, callee->callable, argument->name) : NULL;
            Place place = {argument->place.source, argument->place.begin, argument->place.begin + strlen(argument->name)};
            if (parameter && (parameter->kind == SYMBOL_OPTION || parameter->kind == SYMBOL_ARGUMENT)) add(walk, place, argument->name, parameter, false, NULL);
        }
        walk_expr(walk, argument->value);
    }
}

static void walk_reduction(const Walk *walk, const AstExpr *expr)
{
    Indices indices = {.up = walk->indices};
    Walk inner = *walk;
    inner.indices = &indices;
    add(walk, expr->name_place, expr->text, NULL, false, NULL);
    for (int k = 0; k < expr->items.count; k++)
        if (expr->items.data[k]->kind == AST_NAME) {
            add_index(walk, &indices, expr->items.data[k]->text, expr->items.data[k]->place);
            use(&inner, expr->items.data[k]->place, expr->items.data[k]->text, NULL);
        }
    walk_expr(&inner, expr->left);
}

static void walk_expr(const Walk *walk, const AstExpr *expr)
{
    if (!expr) return;
    switch (expr->kind) {
    case AST_NAME:
        use(walk, expr->place, expr->text, NULL);
        return;
    case AST_CALL: {
        use(walk, expr->name_place, expr->text, expr);
        walk_arguments(walk, expr->arguments.data, expr->arguments.count, resolve(walk, expr->text));
        walk_path(walk, expr->path);
        return;
    }
    case AST_REDUCE:
        walk_reduction(walk, expr);
        return;
    case AST_READ:
        if (!expr->string_name) use(walk, expr->name_place, expr->text, NULL);
        break;
    case AST_NUMBER:
    case AST_FLAG:
    case AST_STRING:
    case AST_LIST:
    case AST_UNARY:
    case AST_BINARY:
    case AST_PARENS:
    case AST_DOTS:
        break;
    }
    walk_expr(walk, expr->left);
    walk_expr(walk, expr->right);
    for (int k = 0; k < expr->items.count; k++) walk_expr(walk, expr->items.data[k]);
    walk_expr(walk, expr->otherwise);
}

static void walk_shape(const Walk *walk, const AstShape *shape)
{
    for (int k = 0; k < shape->dims.count; k++) walk_expr(walk, shape->dims.data[k]);
}

/* --- statements ---------------------------------------------------------------------------------------------------------- */

/* Names on the left that are no sizes, counters or constants are indices of the equation. */
static void left_indices(const Walk *walk, Indices *indices, const AstExpr *expr)
{
    if (!expr) return;
    if (expr->kind == AST_NAME && !index_in_scope(indices, expr->text)) {
        const Symbol *symbol = resolve(walk, expr->text);
        bool known = symbol && (symbol->kind == SYMBOL_COUNTER || symbol->kind == SYMBOL_SIZE || symbol->kind == SYMBOL_OPTION ||
                                symbol->kind == SYMBOL_CONSTANT || (symbol->kind == SYMBOL_VALUE && isupper((unsigned char)expr->text[0])));
        if (!known) add_index(walk, indices, expr->text, expr->place);
    }
    if (expr->kind != AST_BINARY && expr->kind != AST_PARENS && expr->kind != AST_UNARY) return;
    left_indices(walk, indices, expr->left);
    left_indices(walk, indices, expr->right);
}

static void walk_assignment(const Walk *walk, const AstAssignment *assignment)
{
    Indices indices = {.up = walk->indices};
    Walk inner = *walk;
    Place place = assignment->place;
    place.end = place.begin + strlen(assignment->name);
    use(walk, place, assignment->name, NULL);
    if (assignment->subscripted) {
        for (int k = 0; k < assignment->subscripts.count; k++) left_indices(walk, &indices, assignment->subscripts.data[k]);
        inner.indices = &indices;
    }
    for (int k = 0; k < assignment->subscripts.count; k++) walk_expr(&inner, assignment->subscripts.data[k]);
    walk_expr(&inner, assignment->value);
    for (int k = 0; k < assignment->bounds.count; k++) {
        const AstBound *bound = &assignment->bounds.data[k];
        Place name = {bound->place.source, bound->place.begin, bound->place.begin + strlen(bound->name)};
        use(&inner, name, bound->name, NULL);
        walk_expr(walk, bound->extent);
    }
}

static void walk_body(const Walk *walk, const AstBody *body)
{
    for (int k = 0; k < body->count; k++) {
        const AstStatement *statement = body->data[k];
        bool assigns = statement->kind == AST_ASSIGN || statement->kind == AST_OUTPUT || statement->kind == AST_CONST;
        if (assigns) walk_assignment(walk, &statement->assignment);
        if (statement->kind == AST_INPUT || statement->kind == AST_PARAM || statement->kind == AST_REPEAT)
            use(walk, statement->name_place, statement->name, NULL);
        for (int i = 0; i < statement->names.count; i++) use(walk, statement->name_places.data[i], statement->names.data[i], NULL);
        walk_shape(walk, &statement->shape);
        walk_arguments(walk, statement->initial.arguments.data, statement->initial.arguments.count, NULL);
        walk_expr(walk, statement->value);
        for (int i = 0; i < statement->values.count; i++) walk_expr(walk, statement->values.data[i]);
        walk_expr(walk, statement->extent);
        walk_expr(walk, statement->condition);
        walk_body(walk, &statement->body);
        walk_body(walk, &statement->else_body);
    }
}

static void walk_callable(const Walk *walk, const AstCallable *callable)
{
    use(walk, callable->name_place, callable->name, NULL);
    for (int k = 0; k < callable->parameters.count; k++) {
        const AstParameter *parameter = &callable->parameters.data[k];
        Place place = {parameter->place.source, parameter->place.begin, parameter->place.begin + strlen(parameter->name)};
        use(walk, place, parameter->name, NULL);
        walk_shape(walk, &parameter->shape);
        walk_expr(walk, parameter->value);
    }
    for (int k = 0; k < callable->results.count; k++) walk_shape(walk, &callable->results.data[k]);
    walk_body(walk, &callable->body);
}

static void walk_bind_line(const Walk *walk, const AstBindLine *line)
{
    Indices indices = {.up = walk->indices};
    Walk inner = *walk;
    inner.indices = &indices;
    for (int k = 0; k < line->path.parts.count; k++) left_indices(walk, &indices, line->path.parts.data[k].index);
    for (int k = 0; k < line->subscripts.count; k++) left_indices(walk, &indices, line->subscripts.data[k]);
    walk_path(&inner, &line->path);
    for (int k = 0; k < line->subscripts.count; k++) walk_expr(&inner, line->subscripts.data[k]);
    walk_expr(&inner, line->value);
    walk_expr(walk, line->condition);
    for (int k = 0; k < line->lines.count; k++) walk_bind_line(walk, line->lines.data[k]);
}

static void walk_bind(const Walk *walk, const AstBind *bind)
{
    Walk inner = *walk;
    Symbol *target = project_find(walk->project, walk->file, bind->target);
    add(walk, bind->target_place, bind->target, target, false, NULL);
    if (target) {
        inner.callable = target->callable;
        for (int k = 0; k < walk->project->files.count; k++)
            if (walk->project->files.data[k]->file == target->file) inner.home = walk->project->files.data[k];
    }
    for (int k = 0; k < bind->lines.count; k++) walk_bind_line(&inner, bind->lines.data[k]);
}

void names_walk_file(Project *project, FileNames *file)
{
    for (int k = 0; k < file->file->declarations.count; k++) {
        const AstDeclaration *declaration = file->file->declarations.data[k];
        Walk walk = {.project = project, .file = file, .home = file, .declaration = declaration};
        switch (declaration->kind) {
        case DECLARE_IMPORT: {
            Occurrence occurrence = {.place = declaration->place, .name = declaration->import, .import = declaration};
            list_push(project->arena, &file->occurrences, occurrence);
            break;
        }
        case DECLARE_CONST:
            walk_assignment(&walk, &declaration->constant);
            break;
        case DECLARE_CALLABLE:
            walk.callable = declaration->callable;
            if (walk.callable) walk_callable(&walk, walk.callable);
            break;
        case DECLARE_BIND:
            if (declaration->bind) walk_bind(&walk, declaration->bind);
            break;
        }
    }
}
