/* Declarations of files and of callables: what names_walk.c resolves against. */
#include "lsp/names.h"

#include <stdlib.h>
#include <string.h>

const char *symbol_kind_name(SymbolKind kind)
{
    static const char *const names[] = {
        [SYMBOL_BLOCK] = "block",       [SYMBOL_MODEL] = "model", [SYMBOL_CONSTANT] = "constant", [SYMBOL_OPTION] = "parameter",
        [SYMBOL_ARGUMENT] = "argument", [SYMBOL_SIZE] = "size",   [SYMBOL_VALUE] = "value",       [SYMBOL_INPUT] = "input",
        [SYMBOL_OUTPUT] = "output",     [SYMBOL_WEIGHT] = "param", [SYMBOL_COUNTER] = "counter",  [SYMBOL_INDEX] = "index",
    };
    return names[kind];
}

Symbol *local_find(const FileNames *file, const AstCallable *callable, const char *name)
{
    for (int k = 0; k < file->locals.count; k++)
        if (file->locals.data[k]->callable == callable && file->locals.data[k]->kind != SYMBOL_INDEX && !strcmp(file->locals.data[k]->name, name))
            return file->locals.data[k];
    return NULL;
}

Symbol *project_find(Project *project, FileNames *from, const char *name)
{
    LIST(FileNames *) level = {0};
    list_push(project->arena, &level, from);
    from->visit = ++project->visits;
    for (int k = 0; k < level.count; k++) {
        FileNames *file = level.data[k];
        Symbol *found = map_get(&file->symbols, name);
        if (found) return found;
        for (int i = 0; i < file->imports.count; i++) {
            if (file->imports.data[i]->visit == project->visits) continue;
            file->imports.data[i]->visit = project->visits;
            list_push(project->arena, &level, file->imports.data[i]);
        }
    }
    return NULL;
}

Place symbol_definition(const Symbol *symbol, size_t offset)
{
    Place best = symbol->definitions.data[0].place;
    for (int k = 0; k < symbol->definitions.count; k++) {
        const Definition *definition = &symbol->definitions.data[k];
        bool itself = offset >= definition->place.begin && offset <= definition->place.end;
        if (itself) return definition->place;
        if (definition->visible <= offset && definition->place.begin >= best.begin) best = definition->place;
    }
    return best;
}

/* --- declaring ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    Arena *arena;
    FileNames *file;
    const AstDeclaration *declaration;
    const AstCallable *callable;
} Scope;

static Symbol *declare(const Scope *scope, SymbolKind kind, const char *name, Place place, size_t visible)
{
    Symbol *symbol = local_find(scope->file, scope->callable, name);
    if (!symbol) {
        symbol = arena_new_object(scope->arena, Symbol);
        *symbol = (Symbol){.kind = kind, .name = name, .file = scope->file->file, .declaration = scope->declaration, .callable = scope->callable};
        list_push(scope->arena, &scope->file->locals, symbol);
    }
    list_push(scope->arena, &symbol->definitions, (Definition){place, visible});
    return symbol;
}

static void declare_parameters(const Scope *scope)
{
    const AstCallable *callable = scope->callable;
    for (int k = 0; k < callable->parameters.count; k++) {
        const AstParameter *parameter = &callable->parameters.data[k];
        Symbol *symbol = declare(scope, parameter->is_tensor ? SYMBOL_ARGUMENT : SYMBOL_OPTION, parameter->name, parameter->place, 0);
        symbol->value = parameter->value;
    }
    for (int k = 0; k < callable->parameters.count; k++)
        for (int i = 0; i < callable->parameters.data[k].shape.dims.count; i++) {
            const AstExpr *dim = callable->parameters.data[k].shape.dims.data[i];
            if (dim->kind == AST_NAME && !local_find(scope->file, callable, dim->text)) declare(scope, SYMBOL_SIZE, dim->text, dim->place, 0);
        }
}

/* A parameter's name has its place at the begin of its pattern. */
static Place name_place(Place place, const char *name)
{
    place.end = place.begin + strlen(name);
    return place;
}

static void declare_body(const Scope *scope, const AstBody *body)
{
    for (int k = 0; k < body->count; k++) {
        const AstStatement *statement = body->data[k];
        size_t end = statement->place.end;
        switch (statement->kind) {
        case AST_ASSIGN:
        case AST_CONST:
        case AST_OUTPUT: {
            SymbolKind kind = statement->kind == AST_OUTPUT ? SYMBOL_OUTPUT : SYMBOL_VALUE;
            Place place = name_place(statement->assignment.place, statement->assignment.name);
            Symbol *symbol = declare(scope, kind, statement->assignment.name, place, end);
            if (!symbol->value && !statement->assignment.subscripted) symbol->value = statement->assignment.value;
            break;
        }
        case AST_DESTRUCT:
            for (int i = 0; i < statement->names.count; i++) declare(scope, SYMBOL_VALUE, statement->names.data[i], statement->name_places.data[i], end);
            break;
        case AST_INPUT:
        case AST_PARAM:
            declare(scope, statement->kind == AST_INPUT ? SYMBOL_INPUT : SYMBOL_WEIGHT, statement->name, statement->name_place, end)->statement = statement;
            break;
        case AST_REPEAT:
            declare(scope, SYMBOL_COUNTER, statement->name, statement->name_place, statement->name_place.end);
            break;
        case AST_RETURN:
        case AST_IF:
            break;
        }
        declare_body(scope, &statement->body);
        declare_body(scope, &statement->else_body);
    }
}

/* Sizes that an input's shape names first. */
static void declare_input_sizes(const Scope *scope, const AstBody *body)
{
    for (int k = 0; k < body->count; k++)
        for (int i = 0; body->data[k]->kind == AST_INPUT && i < body->data[k]->shape.dims.count; i++) {
            const AstExpr *dim = body->data[k]->shape.dims.data[i];
            if (dim->kind != AST_NAME || local_find(scope->file, scope->callable, dim->text) || map_get(&scope->file->symbols, dim->text)) continue;
            declare(scope, SYMBOL_SIZE, dim->text, dim->place, body->data[k]->place.end);
        }
}

static void declare_file(Arena *arena, FileNames *file)
{
    for (int k = 0; k < file->file->declarations.count; k++) {
        const AstDeclaration *declaration = file->file->declarations.data[k];
        bool callable = declaration->kind == DECLARE_CALLABLE && declaration->callable;
        if (!callable && declaration->kind != DECLARE_CONST) continue;
        const AstCallable *ast = declaration->callable;
        const char *name = callable ? ast->name : declaration->constant.name;
        if (map_get(&file->symbols, name)) continue;
        Symbol *symbol = arena_new_object(arena, Symbol);
        *symbol = (Symbol){.kind = SYMBOL_CONSTANT, .name = name, .file = file->file, .declaration = declaration};
        if (callable) {
            symbol->kind = ast->is_model ? SYMBOL_MODEL : SYMBOL_BLOCK;
            symbol->callable = ast;
        } else {
            symbol->value = declaration->constant.value;
        }
        list_push(arena, &symbol->definitions, (Definition){callable ? ast->name_place : name_place(declaration->constant.place, name), 0});
        map_put(arena, &file->symbols, name, symbol);
    }
    for (int k = 0; k < file->file->declarations.count; k++) {
        const AstDeclaration *declaration = file->file->declarations.data[k];
        if (declaration->kind != DECLARE_CALLABLE || !declaration->callable) continue;
        Scope scope = {arena, file, declaration, declaration->callable};
        declare_parameters(&scope);
        declare_body(&scope, &declaration->callable->body);
        declare_input_sizes(&scope, &declaration->callable->body);
    }
}

static FileNames *names_of(const Project *project, const AstFile *file)
{
    for (int k = 0; k < project->files.count; k++)
        if (project->files.data[k]->file == file) return project->files.data[k];
    return NULL;
}

static int by_place(const void *a, const void *b)
{
    const Occurrence *one = a, *two = b;
    if (one->place.begin != two->place.begin) return one->place.begin < two->place.begin ? -1 : 1;
    return one->defines != two->defines ? (one->defines ? -1 : 1) : 0;
}

Project *project_new(Arena *arena, const Model *model)
{
    Project *project = arena_new_object(arena, Project);
    project->arena = arena;
    for (int k = 0; k < model->files.count; k++) {
        FileNames *file = arena_new_object(arena, FileNames);
        file->file = model->files.data[k];
        list_push(arena, &project->files, file);
        declare_file(arena, file);
    }
    for (int k = 0; k < model->imports.count; k++) {
        FileNames *from = names_of(project, model->imports.data[k].from), *to = names_of(project, model->imports.data[k].to);
        if (from && to) list_push(arena, &from->imports, to);
    }
    for (int k = 0; k < project->files.count; k++) {
        FileNames *file = project->files.data[k];
        names_walk_file(project, file);
        if (file->occurrences.count) qsort(file->occurrences.data, (size_t)file->occurrences.count, sizeof *file->occurrences.data, by_place);
    }
    return project;
}
