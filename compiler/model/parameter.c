/* Learned tensors and their paths.
 * Paths compose outward: the path of a call, then the name of the parameter. Two tensors of one path are an error, unless both were
 * declared by calls that share it. */
#include "model/expand.h"

#include <inttypes.h>
#include <string.h>

const char *path_join(Arena *arena, const char *prefix, const char *rest)
{
    if (!prefix[0]) return rest;
    if (!rest[0]) return prefix;
    return arena_printf(arena, "%s.%s", prefix, rest);
}

const char *path_resolve(Call *call, const AstPath *path)
{
    Arena *arena = call->expander->arena;
    const char *full = call->prefix;
    if (path->here) return full;
    for (int k = 0; k < path->parts.count; k++) {
        const AstPathPart *part = &path->parts.data[k];
        const char *name = part->name;
        if (!name) {
            Value value = evaluate_expr(call, NULL, part->index);
            int64_t number = -1;
            if (value.kind == VALUE_POISON) return NULL;
            if (value.kind != VALUE_NUMBER || !number_is_integer(value.number, &number) || number < 0) {
                diag_error(call->expander->diags, GM083, part->place.source ? part->place : path->place,
                           "brackets in a path hold a whole number, 0 or more");
                return NULL;
            }
            name = arena_printf(arena, "%" PRId64, number);
        }
        full = path_join(arena, full, name);
    }
    if (strlen(full) <= 1000) return full;
    diag_error(call->expander->diags, GM083, path->place, "this path is longer than 1000 bytes");
    return NULL;
}

/* --- initialisers ------------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    int arguments;
} initialisers[] = {
#define INITIALISER(name, arguments, synopsis, help) {name, arguments},
#include "model/initialisers.def"
};
enum { INITIALISER_COUNT = sizeof initialisers / sizeof *initialisers };

static bool initialiser_arguments(Call *call, const AstInitial *ast, Initialiser *initial, int wanted)
{
    Diagnostics *diags = call->expander->diags;
    if (ast->arguments.count != wanted) {
        diag_error(diags, GM085, ast->place, "%s takes %d number%s, not %d", ast->name, wanted, wanted == 1 ? "" : "s", ast->arguments.count);
        return false;
    }
    for (int k = 0; k < ast->arguments.count; k++) {
        Value value = evaluate_expr(call, NULL, ast->arguments.data[k].value);
        if (value.kind == VALUE_POISON) return false;
        if (value.kind != VALUE_NUMBER || ast->arguments.data[k].name) {
            diag_error(diags, GM085, ast->arguments.data[k].place, "%s takes numbers", ast->name);
            return false;
        }
        initial->arguments[initial->argument_count++] = number_double(value.number);
    }
    return true;
}

static bool read_initialiser(Call *call, const AstInitial *ast, Initialiser *initial)
{
    if (!ast->name) return true;
    const char *names[INITIALISER_COUNT];
    for (int k = 0; k < INITIALISER_COUNT; k++) {
        names[k] = initialisers[k].name;
        if (strcmp(ast->name, names[k])) continue;
        initial->name = names[k];
        return initialiser_arguments(call, ast, initial, initialisers[k].arguments);
    }
    Diagnostic *diag = diag_error(call->expander->diags, GM084, ast->place, "there is no initialiser %s", ast->name);
    const char *nearest = nearest_name(ast->name, names, INITIALISER_COUNT);
    if (nearest)
        diag_help(diag, "did you mean %s?", nearest);
    else
        diag_help(diag, "zeros, ones, constant(v), normal(mean, std), trunc_normal(std), uniform(a, b), xavier, kaiming or measured(v)");
    return false;
}

/* --- shapes ------------------------------------------------------------------------------------------------------------------- */

static bool declared_shape(Call *call, const AstStatement *statement, int *rank, int64_t *extents, const Origin **axes)
{
    Expander *expander = call->expander;
    const AstShape *shape = &statement->shape;
    const char *text = shape_text(expander->arena, shape);
    int64_t elements = 1;
    *rank = 0;
    for (int k = 0; k < shape->dims.count; k++) {
        const AstExpr *dim = shape->dims.data[k];
        bool many = dim->kind == AST_DOTS;
        if (many && !call->dots_bound) {
            diag_error(expander->diags, GM049, dim->place, "nothing says what `..` stands for here");
            return false;
        }
        for (int i = 0; i < (many ? call->dots_rank : 1); i++) {
            if (*rank == MAX_RANK) {
                diag_error(expander->diags, GM041, shape->place, "a tensor has at most %d axes", MAX_RANK);
                return false;
            }
            int64_t extent = many ? call->dots_extents[i] : 0;
            const Origin *from = many ? call->dots_axes[i] : NULL;
            if (!many && !evaluate_size(call, dim, "this size", 1, &extent, &from)) return false;
            if (__builtin_mul_overflow(elements, extent, &elements) || elements > MAX_ELEMENTS) {
                diag_error(expander->diags, GM046, statement->name_place, "%s has more than 2^40 elements", statement->name);
                return false;
            }
            axes[*rank] =
                origin_new(call, ORIGIN_DECLARED, dim->kind == AST_NAME ? dim->text : NULL, text, NULL, statement->name_place, from);
            extents[(*rank)++] = extent;
        }
    }
    return true;
}

/* --- param ---------------------------------------------------------------------------------------------------------------------- */

static bool error_declared_twice(Call *call, const AstStatement *statement, const char *path, const ParameterInfo *info)
{
    Diagnostic *diag = diag_error(call->expander->diags, GM080, statement->name_place, "the parameter %s is declared twice", path);
    diag_note(diag, info->place, "first declared%s%s", info->note ? " in " : "", info->note ? info->note->text : "");
    if (info->note) diag_note(diag, info->note->at, "which is called");
    diag_help(diag,
              "give each call a path of its own: @ name, or @ blocks[l] in a repeat; @ shared name where one set of tensors is meant");
    return false;
}

/* The tensor of another call that shares this path. */
static Tensor *shared_tensor(Call *call, const AstStatement *statement, const char *path, ParameterInfo *info, int rank,
                             const int64_t *extents)
{
    const Shared *shared = call->shared;
    if (!shared || !info->shared || strcmp(shared->root, info->shared->root) || shared->instance == info->last_instance) {
        error_declared_twice(call, statement, path, info);
        return NULL;
    }
    bool same = info->tensor->rank == rank && shared->block == info->shared->block;
    for (int axis = 0; axis < rank && same; axis++) same = info->tensor->extents[axis] == extents[axis];
    info->last_instance = shared->instance;
    if (same) return info->tensor;
    Diagnostic *diag = diag_error(call->expander->diags, GM081, statement->name_place, "%s is shared, but not alike", path);
    diag_note(diag, info->place, "it is %s where it was declared first", extents_text(call->expander->arena, info->tensor));
    return NULL;
}

static Tensor *new_parameter(Call *call, const AstStatement *statement, const char *path, int rank, const int64_t *extents)
{
    Expander *expander = call->expander;
    Initialiser initial = {0};
    if (!read_initialiser(call, &statement->initial, &initial)) return NULL;
    Tensor *tensor =
        tensor_new(expander->module, TENSOR_WEIGHT, unique_tensor_name(expander, "", path), TYPE_F32, rank, extents, statement->name_place);
    tensor->path = path;
    tensor->declared = statement->shape.present ? shape_text(expander->arena, &statement->shape) : "[]";
    tensor->initial = initial;
    list_push(expander->arena, &expander->module->weights, tensor);
    ParameterInfo *info = arena_new_object(expander->arena, ParameterInfo);
    *info = (ParameterInfo){.tensor = tensor,
                            .place = statement->name_place,
                            .shared = call->shared,
                            .note = call->note,
                            .last_instance = call->shared ? call->shared->instance : 0};
    map_put(expander->arena, &expander->parameters, path, info);
    return tensor;
}

void parameter_statement(Call *call, const AstStatement *statement)
{
    Expander *expander = call->expander;
    int rank;
    int64_t extents[MAX_RANK];
    const Origin **axes = arena_new_array(expander->arena, const Origin *, MAX_RANK);
    bool right = declared_shape(call, statement, &rank, extents, axes);
    names_bind(call, statement->name, value_poison(), statement->name_place);
    if (statement->shape.type && strcmp(statement->shape.type, "f32")) {
        diag_error(expander->diags, GM050, statement->shape.type_place, "parameters are f32");
        return;
    }
    if (!right) return;
    const char *path = path_join(expander->arena, call->prefix, statement->name);
    ParameterInfo *info = map_get(&expander->parameters, path);
    Tensor *tensor = info ? shared_tensor(call, statement, path, info, rank, extents) : new_parameter(call, statement, path, rank, extents);
    if (tensor) names_bind(call, statement->name, tensor_value(tensor, axes), statement->name_place);
}
