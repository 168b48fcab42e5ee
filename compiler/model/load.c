/* Files, imports, the model that is meant, and what --set gives it.
 * In: a request. Out: a Model whose module is verified by others, or diagnostics. */
#include "model/expand.h"

#include "equation/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Arena *arena;
    Diagnostics *diags;
    Expander *expander;
    Model *model;
    ParsedFiles *parsed;
    const ModelRequest *request;
    Map files; /* identity of a file → FileScope */
    LIST(FileScope *) scopes;
    bool failed;
} Loader;

enum { MAX_FILES = 500, MAX_NESTING = 300 };

/* --- trees too deep to walk ------------------------------------------------------------------------------------------------ */

static const AstExpr *too_deep(const AstExpr *expr, int depth)
{
    if (!expr || depth + expr->depth <= MAX_NESTING) return NULL;
    if (depth > MAX_NESTING) return expr;
    const AstExpr *deep = too_deep(expr->left, depth + 1);
    if (!deep) deep = too_deep(expr->right, depth + 1);
    if (!deep) deep = too_deep(expr->otherwise, depth + 1);
    for (int k = 0; k < expr->items.count && !deep; k++) deep = too_deep(expr->items.data[k], depth + 1);
    for (int k = 0; k < expr->arguments.count && !deep; k++) deep = too_deep(expr->arguments.data[k].value, depth + 1);
    return deep;
}

static const AstExpr *assignment_too_deep(const AstAssignment *assignment)
{
    const AstExpr *deep = too_deep(assignment->value, 0);
    for (int k = 0; k < assignment->subscripts.count && !deep; k++) deep = too_deep(assignment->subscripts.data[k], 0);
    for (int k = 0; k < assignment->bounds.count && !deep; k++) deep = too_deep(assignment->bounds.data[k].extent, 0);
    return deep;
}

static const AstExpr *shape_too_deep(const AstShape *shape)
{
    const AstExpr *deep = NULL;
    for (int k = 0; k < shape->dims.count && !deep; k++) deep = too_deep(shape->dims.data[k], 0);
    return deep;
}

static bool body_too_deep(const AstBody *body, int depth, Place *place)
{
    for (int k = 0; k < body->count; k++) {
        const AstStatement *statement = body->data[k];
        *place = statement->place;
        if (depth > MAX_NESTING / 3) return true;
        const AstExpr *deep = assignment_too_deep(&statement->assignment);
        if (!deep) deep = too_deep(statement->value, 0);
        if (!deep) deep = too_deep(statement->extent, 0);
        if (!deep) deep = too_deep(statement->condition, 0);
        if (!deep) deep = shape_too_deep(&statement->shape);
        for (int i = 0; i < statement->values.count && !deep; i++) deep = too_deep(statement->values.data[i], 0);
        for (int i = 0; i < statement->initial.arguments.count && !deep; i++)
            deep = too_deep(statement->initial.arguments.data[i].value, 0);
        if (deep) *place = deep->place;
        if (deep || body_too_deep(&statement->body, depth + 1, place) || body_too_deep(&statement->else_body, depth + 1, place))
            return true;
    }
    return false;
}

static bool callable_too_deep(const AstCallable *callable, Place *place)
{
    for (int k = 0; k < callable->parameters.count; k++) {
        const AstExpr *deep = too_deep(callable->parameters.data[k].value, 0);
        if (!deep) deep = shape_too_deep(&callable->parameters.data[k].shape);
        if (deep) *place = deep->place;
        if (deep) return true;
    }
    for (int k = 0; k < callable->results.count; k++)
        if (shape_too_deep(&callable->results.data[k])) return true;
    return body_too_deep(&callable->body, 0, place);
}

static bool error_too_deep(Loader *loader, Place place)
{
    loader->failed = true;
    diag_help(diag_error(loader->diags, GM075, place, "this is nested too deeply"), "bind parts of it to names");
    return false;
}

/* --- files ----------------------------------------------------------------------------------------------------------------- */

static void error_twice(Loader *loader, const char *name, Place place, Place first)
{
    Diagnostic *diag = diag_error(loader->diags, GM029, place, "%s is declared twice", name);
    diag_label(diag, first, "declared here first");
    loader->failed = true;
}

static void check_parameters(Loader *loader, const AstCallable *callable)
{
    for (int k = 0; k < callable->parameters.count; k++) {
        const AstParameter *parameter = &callable->parameters.data[k];
        for (int i = 0; i < k; i++)
            if (!strcmp(callable->parameters.data[i].name, parameter->name))
                error_twice(loader, parameter->name, parameter->place, callable->parameters.data[i].place);
        if (callable->is_model && parameter->is_tensor) {
            Diagnostic *diag = diag_error(loader->diags, GM030, parameter->place, "a model has no tensor parameters");
            diag_help(diag, "write it in the body: input %s[…]", parameter->name);
            loader->failed = true;
        }
    }
}

static void declare(Loader *loader, FileScope *scope, const AstDeclaration *declaration)
{
    Place place = declaration->place;
    if (declaration->kind == DECLARE_CALLABLE && declaration->callable) {
        const AstCallable *callable = declaration->callable;
        const Block *first = map_get(&scope->blocks, callable->name);
        if (first) {
            error_twice(loader, callable->name, callable->name_place, first->ast->name_place);
            return;
        }
        if (callable_too_deep(callable, &place)) {
            error_too_deep(loader, place);
            return;
        }
        check_parameters(loader, callable);
        Block *block = arena_new_object(loader->arena, Block);
        *block = (Block){.ast = callable, .file = scope};
        map_put(loader->arena, &scope->blocks, callable->name, block);
    }
    if (declaration->kind == DECLARE_CONST) {
        const AstAssignment *constant = &declaration->constant;
        const FileConstant *first = map_get(&scope->constants, constant->name);
        const AstExpr *deep = assignment_too_deep(constant);
        if (first) error_twice(loader, constant->name, constant->place, first->ast->place);
        if (deep) error_too_deep(loader, deep->place);
        if (first || deep) return;
        FileConstant *value = arena_new_object(loader->arena, FileConstant);
        *value = (FileConstant){.ast = constant, .file = scope};
        map_put(loader->arena, &scope->constants, constant->name, value);
    }
    if (declaration->kind == DECLARE_BIND && declaration->bind) {
        BindSource source = {.bind = declaration->bind, .file = scope->ast};
        list_push(loader->arena, &loader->model->binds, source);
    }
}

/* A file's text and where it comes from. */
typedef struct {
    const char *path, *identity, *directory, *text;
    size_t size;
    bool embedded;
} FileText;

static FileScope *load_file(Loader *loader, const FileText *file);

static const char *directory_of(Arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? arena_strndup(arena, path, (size_t)(slash - path) + 1) : "";
}

/* One file under one identity, whatever way leads to it. */
static const char *file_identity(Arena *arena, const char *path)
{
    char *real = realpath(path, NULL);
    const char *identity = arena_strdup(arena, real ? real : path);
    free(real);
    return identity;
}

static void error_import(Loader *loader, const AstDeclaration *declaration, const char *error)
{
    loader->failed = true;
    Diagnostic *diag = diag_error(loader->diags, GM101, declaration->place, "cannot import \"%s\": %s", declaration->import, error);
    const char **names = arena_new_array(loader->arena, const char *, library_count() + 1);
    for (int k = 0; k < library_count(); k++) names[k] = library_name(k);
    const char *ended = arena_printf(loader->arena, "%s.gm", declaration->import);
    size_t size;
    const char *nearest = library_find(ended, &size) ? ended : nearest_name(declaration->import, names, library_count());
    if (nearest) diag_help(diag, "the library has \"%s\"", nearest);
}

/* The unsaved text of a file, or what it holds. */
static bool read_source(Loader *loader, const char *path, FileText *file, const char **error)
{
    const ModelRequest *request = loader->request;
    char *text;
    file->text = request->unsaved ? request->unsaved(request->unsaved_context, file->identity, &file->size) : NULL;
    if (file->text) return true;
    if (!file_read(loader->parsed->arena, path, &text, &file->size, error)) return false;
    file->text = text;
    return true;
}

/* Beside the importing file, then in the library. */
static FileScope *load_import(Loader *loader, const AstDeclaration *declaration, const char *directory, bool embedded)
{
    const char *error = "no such file", *name = declaration->import;
    Arena *arena = loader->parsed->arena;
    if (!embedded) {
        const char *path = name[0] == '/' ? name : arena_printf(arena, "%s%s", directory, name);
        FileText file = {.path = path, .identity = file_identity(arena, path), .directory = directory_of(arena, path)};
        FileScope *known = map_get(&loader->files, file.identity);
        if (known) return known;
        if (map_get(&loader->parsed->files, file.identity)) return load_file(loader, &file);
        if (read_source(loader, path, &file, &error)) return load_file(loader, &file);
    }
    FileText file = {.directory = "", .embedded = true};
    file.text = library_find(name, &file.size);
    if (!file.text) {
        error_import(loader, declaration, error);
        return NULL;
    }
    file.path = file.identity = arena_printf(arena, "std/%s", name);
    FileScope *known = map_get(&loader->files, file.identity);
    return known ? known : load_file(loader, &file);
}

/* The tree of a file; one with errors is not kept, so that whoever meets it next hears of them, too. */
static AstFile *parse_file(Loader *loader, const FileText *file)
{
    ParsedFiles *parsed = loader->parsed;
    AstFile *tree = map_get(&parsed->files, file->identity);
    if (tree) return tree;
    int errors = loader->diags->error_count;
    tree = ast_parse(parsed->arena, source_new(parsed->arena, file->path, file->text, file->size, file->embedded), loader->diags);
    if (!tree || loader->diags->error_count > errors) loader->failed = true;
    else map_put(parsed->arena, &parsed->files, file->identity, tree);
    return tree;
}

static FileScope *load_file(Loader *loader, const FileText *text)
{
    FileScope *scope = arena_new_object(loader->arena, FileScope);
    map_put(loader->arena, &loader->files, text->identity, scope);
    list_push(loader->arena, &loader->scopes, scope);
    AstFile *file = parse_file(loader, text);
    if (!file) return scope;
    scope->ast = file;
    list_push(loader->arena, &loader->model->files, file);
    for (int k = 0; k < file->declarations.count; k++) {
        const AstDeclaration *declaration = file->declarations.data[k];
        if (declaration->kind != DECLARE_IMPORT) {
            declare(loader, scope, declaration);
            continue;
        }
        if (loader->model->files.count > MAX_FILES) {
            diag_error(loader->diags, GM101, declaration->place, "more than %d files", MAX_FILES);
            loader->failed = true;
            return scope;
        }
        FileScope *imported = load_import(loader, declaration, text->directory, text->embedded);
        if (!imported) continue;
        list_push(loader->arena, &scope->imports, imported);
        list_push(loader->arena, &loader->model->imports, (ModelImport){declaration, file, imported->ast});
    }
    return scope;
}

static FileScope *load_main(Loader *loader, const ModelRequest *request)
{
    Arena *arena = loader->parsed->arena;
    const char *path = request->path, *error, *real = strcmp(path, "-") ? path : "/dev/stdin";
    FileText file = {.path = path, .directory = directory_of(arena, path)};
    if (request->text) {
        file.identity = file_identity(arena, path);
        file.text = request->text;
        file.size = strlen(request->text);
        return load_file(loader, &file);
    }
    file.identity = file_identity(arena, real);
    if (map_get(&loader->parsed->files, file.identity)) return load_file(loader, &file);
    if (read_source(loader, real, &file, &error)) return load_file(loader, &file);
    if (!strcmp(path, "-")) {
        Text input = text_new(arena);
        char piece[4096];
        size_t count;
        while ((count = fread(piece, 1, sizeof piece, stdin)) > 0 && input.length < (size_t)64 << 20) text_add_bytes(&input, piece, count);
        text_add(&input, "");
        file = (FileText){.path = "standard input", .identity = "-", .directory = "", .text = text_string(&input), .size = input.length};
        return load_file(loader, &file);
    }
    diag_error(loader->diags, GM100, (Place){0}, "cannot read %s: %s", path, error);
    loader->failed = true;
    return NULL;
}

/* --- the model meant ------------------------------------------------------------------------------------------------------- */

static Block *choose_model(Loader *loader, FileScope *scope, const ModelRequest *request)
{
    Text names = text_new(loader->arena);
    LIST(const char *) list = {0};
    Block *found = NULL, *any = NULL;
    for (int k = 0; k < scope->blocks.count; k++) {
        Block *block = scope->blocks.entries[k].value;
        if (!block->ast->is_model) continue;
        text_printf(&names, "%s%s", list.count ? ", " : "", block->ast->name);
        list_push(loader->arena, &list, block->ast->name);
        any = block;
        if (request->model && !strcmp(request->model, block->ast->name)) found = block;
    }
    if (found || (list.count == 1 && !request->model)) return found ? found : any;
    Place place = {.source = NULL};
    if (!list.count) {
        Diagnostic *diag = diag_error(loader->diags, GM102, place, "%s declares no model", request->path);
        diag_help(diag, "model name(SIZE = 16) { input x[SIZE] output y = x }");
    } else if (!request->model) {
        Diagnostic *diag = diag_error(loader->diags, GM103, place, "%s holds several models: %s", request->path, text_string(&names));
        diag_help(diag, "choose one: --model %s", list.data[0]);
    } else {
        Diagnostic *diag = diag_error(loader->diags, GM104, place, "%s holds no model %s", request->path, request->model);
        const char *nearest = nearest_name(request->model, list.data, list.count);
        if (nearest)
            diag_help(diag, "did you mean %s?", nearest);
        else
            diag_help(diag, "it holds %s", text_string(&names));
    }
    return NULL;
}

static bool read_settings(Loader *loader, const ModelRequest *request)
{
    Expander *expander = loader->expander;
    bool right = true;
    for (int k = 0; k < request->sets.count; k++) {
        const char *text = request->sets.data[k], *equal = strchr(text, '=');
        Setting setting = {.name = equal ? arena_strndup(loader->arena, text, (size_t)(equal - text)) : text};
        if (!equal || equal == text || !equal[1]) {
            diag_help(diag_error(loader->diags, GM106, (Place){0}, "--set %s is not NAME=VALUE", text), "--set DEPTH=12");
            right = false;
            continue;
        }
        setting.text = equal + 1;
        Source *source =
            source_new(loader->arena, arena_printf(loader->arena, "--set %s", setting.name), setting.text, strlen(setting.text), false);
        setting.place = (Place){source, 0, source->size};
        setting.expr = ast_parse_expression(loader->arena, source, loader->diags);
        if (setting.expr && too_deep(setting.expr, 0)) right = error_too_deep(loader, setting.place);
        if (setting.expr)
            list_push(loader->arena, &expander->settings, setting);
        else
            right = false;
    }
    return right;
}

static void add_input_sizes(Arena *arena, const AstBody *body, Map *names)
{
    for (int k = 0; k < body->count; k++) {
        const AstStatement *statement = body->data[k];
        for (int i = 0; statement->kind == AST_INPUT && i < statement->shape.dims.count; i++)
            if (statement->shape.dims.data[i]->kind == AST_NAME) map_put(arena, names, statement->shape.dims.data[i]->text, names);
        add_input_sizes(arena, &statement->body, names);
        add_input_sizes(arena, &statement->else_body, names);
    }
}

static bool check_settings(Loader *loader, const Block *block)
{
    Map known = {0};
    const char *names[128];
    int count = 0;
    bool right = true;
    add_input_sizes(loader->arena, &block->ast->body, &known);
    for (int k = 0; k < block->ast->parameters.count; k++) map_put(loader->arena, &known, block->ast->parameters.data[k].name, &known);
    for (int k = 0; k < known.count && count < 128; k++) names[count++] = known.entries[k].key;
    for (int k = 0; k < loader->expander->settings.count; k++) {
        const Setting *setting = &loader->expander->settings.data[k];
        if (map_get(&known, setting->name)) continue;
        Diagnostic *diag = diag_error(loader->diags, GM105, (Place){0}, "--set %s: model %s has no parameter %s", setting->name,
                                      block->ast->name, setting->name);
        const char *nearest = nearest_name(setting->name, names, count);
        Text all = text_new(loader->arena);
        for (int i = 0; i < count; i++) text_printf(&all, "%s%s", i ? ", " : "", names[i]);
        if (nearest)
            diag_help(diag, "did you mean %s?", nearest);
        else if (count)
            diag_help(diag, "it has %s", text_string(&all));
        right = false;
    }
    return right;
}

/* A bind for nothing is a slip of the pen. */
static void check_binds(Loader *loader)
{
    for (int k = 0; k < loader->model->binds.count; k++) {
        const AstBind *bind = loader->model->binds.data[k].bind;
        bool found = false;
        Map names = {0};
        for (int i = 0; i < loader->scopes.count; i++) {
            found = found || map_get(&loader->scopes.data[i]->blocks, bind->target);
            for (int j = 0; j < loader->scopes.data[i]->blocks.count; j++)
                map_put(loader->arena, &names, loader->scopes.data[i]->blocks.entries[j].key, &names);
        }
        if (found) continue;
        const char **list = arena_new_array(loader->arena, const char *, names.count + 1);
        for (int i = 0; i < names.count; i++) list[i] = names.entries[i].key;
        Diagnostic *diag = diag_error(loader->diags, GM107, bind->target_place, "there is no model or block %s to bind", bind->target);
        const char *nearest = nearest_name(bind->target, list, names.count);
        if (nearest) diag_help(diag, "did you mean %s?", nearest);
        loader->failed = true;
    }
}

Model *model_load(Arena *arena, const ModelRequest *request, Diagnostics *diags)
{
    char bottom;
    Model *model = arena_new_object(arena, Model);
    Expander expander = {.arena = arena, .diags = diags, .observer = request->observer, .stack = &bottom};
    ParsedFiles own = {.arena = arena};
    Loader loader = {.arena = arena, .diags = diags, .expander = &expander, .model = model, .request = request, .parsed = request->parsed ? request->parsed : &own};
    int errors = diags->error_count;
    FileScope *scope = load_main(&loader, request);
    if (!scope || loader.failed) return model;
    check_binds(&loader);
    Block *block = choose_model(&loader, scope, request);
    bool right = read_settings(&loader, request);
    if (!block || !right || !check_settings(&loader, block) || loader.failed) return model;
    expander.module = module_new(arena, block->ast->name);
    expander.module->origin = block->ast->place;
    const char *slash = strrchr(request->path, '/');
    expander.module->file = slash ? slash + 1 : request->path;
    if (!expand_model(&expander, block) || diags->error_count != errors) return model;
    if (!request->batch || module_batch(expander.module, request->batch, diags)) model->module = expander.module;
    return model;
}
