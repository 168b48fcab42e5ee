/* From a checkpoint to the values of a module's weights.
 * In: a path, a binding or none.  Out: WeightValues; or every complaint at once: what is missing, misshapen, mistyped, left over.
 * A parameter's source is found first for all (resolve), then reported, then read: nothing big is read of a file that doesn't fit. */
#include "support/bug.h"
#include "weights/bind.h"

#include "equation/index.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    WeightSource source;
    const ForeignTensor *whole;      /* its tensor; NULL: equations, or a complaint */
    LIST(BoundEquation *) equations;
} Resolved;

typedef struct {
    Arena *arena;
    const Model *model;
    const Module *module;
    Archive *archive;
    const WeightRequest *request;
    const char *binding;             /* tried now; NULL: plain names */
    BindScopes scopes;
    Resolved *weights;               /* by position in module->weights */
    Complaints complaints;
    float **cached_f32;              /* foreign tensors read for equations, by position in the archive */
    int64_t **cached_integers;
    double **cached_f64;             /* in place of f32 when the request wants it exact */
} Loader;

static bool is_integer(const ForeignTensor *foreign)
{
    return foreign_type_table[foreign->type].class == FOREIGN_INTEGER;
}

/* --- what each parameter is made of ------------------------------------------------------------------------------- */

static const char *expected(Loader *loader, const Tensor *weight)
{
    return arena_printf(loader->arena, "%s: %s%s%s%s", weight->path, element_type_name(weight->type), extents_string(loader->arena, weight->rank, weight->extents),
                        weight->declared ? ", declared " : "", weight->declared ? weight->declared : "");
}

static int64_t without_ones(int rank, const int64_t *extents, int64_t *out)
{
    int count = 0;
    for (int d = 0; d < rank; d++)
        if (extents[d] != 1) out[count++] = extents[d];
    return count;
}

/* A bind line that would do, when the shapes differ in axes of size 1 alone or by a transposition. */
static const char *shape_help(Loader *loader, const Tensor *weight, const ForeignTensor *foreign)
{
    int64_t ours[FOREIGN_MAX_RANK], theirs[FOREIGN_MAX_RANK];
    int64_t a = without_ones(weight->rank, weight->extents, ours), b = without_ones(foreign->rank, foreign->extents, theirs);
    bool transposed = weight->rank == 2 && foreign->rank == 2 && weight->extents[0] == foreign->extents[1] && weight->extents[1] == foreign->extents[0];
    if (transposed) return arena_printf(loader->arena, "a bind line can transpose it: %s[m, k] = \"%s\"[k, m]", weight->path, foreign->name);
    if (a == b && memcmp(ours, theirs, (size_t)a * sizeof *ours) == 0) {
        Text left = text_new(loader->arena), right = text_new(loader->arena);
        int letter = 0;
        for (int d = 0; d < weight->rank; d++) text_printf(&left, "%s%c", d ? ", " : "", 'a' + d);
        for (int d = 0; d < foreign->rank; d++) {
            if (d) text_add(&right, ", ");
            if (foreign->extents[d] == 1) {
                text_add(&right, "0");
                continue;
            }
            while (letter < weight->rank && weight->extents[letter] == 1) letter++;
            text_printf(&right, "%c", 'a' + letter++);
        }
        return arena_printf(loader->arena, "nothing is reshaped silently; a bind line says it: %s[%s] = \"%s\"[%s]", weight->path, text_string(&left),
                            foreign->name, text_string(&right));
    }
    if (tensor_count(weight) == foreign->count)
        return arena_printf(loader->arena, "the sizes multiply to the same number: if \"%s\" is a flattening, write its subscripts in a bind line", foreign->name);
    return NULL;
}

static bool same_shape(const Tensor *weight, const ForeignTensor *foreign)
{
    return weight->rank == foreign->rank && memcmp(weight->extents, foreign->extents, (size_t)weight->rank * sizeof *weight->extents) == 0;
}

static void resolve_whole(Loader *loader, const Tensor *weight, Resolved *resolved)
{
    const WeightSource *source = &resolved->source;
    Place place = source->line ? source->line->place : weight->origin;
    const ForeignTensor *foreign = archive_find(loader->archive, source->name);
    Complaints *complaints = &loader->complaints;
    if (!foreign) {
        const char *bound = source->line ? arena_printf(loader->arena, ", bound to \"%s\"", source->name) : "";
        Complaint complaint = {arena_printf(loader->arena, "%s%s", expected(loader, weight), bound), place, source->name};
        list_push(loader->arena, &complaints->missing, complaint);
        return;
    }
    list_push(loader->arena, &complaints->used, foreign);
    if (!same_shape(weight, foreign)) {
        const char *text = arena_printf(loader->arena, "%s, and \"%s\" is %s", expected(loader, weight), foreign->name, extents_string(loader->arena, foreign->rank, foreign->extents));
        list_push(loader->arena, &complaints->misshapen, (Complaint){text, place, shape_help(loader, weight, foreign)});
    } else if (is_integer(foreign) != element_type_is_integer(weight->type) || foreign_type_table[foreign->type].class == FOREIGN_OPAQUE) {
        const char *text = arena_printf(loader->arena, "%s, and \"%s\" is %s", expected(loader, weight), foreign->name, foreign_type_table[foreign->type].name);
        list_push(loader->arena, &complaints->mistyped, (Complaint){text, place, NULL});
    } else {
        resolved->whole = foreign;
    }
}

static bool element_text(const Tensor *weight, int64_t element, Text *out)
{
    int64_t at[MAX_RANK];
    for (int d = weight->rank - 1; d >= 0; d--) {
        at[d] = element % weight->extents[d];
        element /= weight->extents[d];
    }
    text_add(out, "[");
    for (int d = 0; d < weight->rank; d++) text_printf(out, "%s%lld", d ? ", " : "", (long long)at[d]);
    text_add(out, "]");
    return true;
}

/* Counts how often each element is written. The left side is affine and was proved inside. */
static void mark_written(const Equation *equation, const Tensor *weight, unsigned char *marks)
{
    int64_t position = 0, steps[MAX_RANK * 2] = {0}, at[MAX_RANK * 2] = {0}, stride = 1;
    for (int d = weight->rank - 1; d >= 0; d--) {
        Linear linear;
        index_linear(equation->subscripts[d], &linear);
        position += linear.constant * stride;
        for (int i = 0; i < equation->free_count; i++) steps[i] += linear_coefficient(&linear, equation->free[i]) * stride;
        stride *= weight->extents[d];
    }
    for (bool more = true; more;) {
        if (marks[position] < 2) marks[position]++;
        more = false;
        for (int i = equation->free_count - 1; i >= 0 && !more; i--) {
            position += steps[i];
            more = ++at[i] < equation->free[i]->extent;
            if (more) break;
            position -= at[i] * steps[i];
            at[i] = 0;
        }
    }
}

/* Each index alone on one axis of its whole extent: covered without counting. */
static bool covers_plainly(const Equation *equation, const Tensor *weight)
{
    if (equation->free_count != weight->rank) return false;
    for (int d = 0; d < weight->rank; d++) {
        const Expr *subscript = equation->subscripts[d];
        if (subscript->kind != EXPR_INDEX || subscript->index->extent != weight->extents[d]) return false;
        for (int e = 0; e < d; e++)
            if (equation->subscripts[e]->index == subscript->index) return false;
    }
    return true;
}

static void check_cover(Loader *loader, const Tensor *weight, const Resolved *resolved, Diagnostics *diags)
{
    if (resolved->equations.count == 1 && covers_plainly(resolved->equations.data[0]->equation, weight)) return;
    Arena *scratch = arena_new();
    int64_t count = tensor_count(weight);
    unsigned char *marks = arena_alloc(scratch, (size_t)count);
    for (int i = 0; i < resolved->equations.count; i++) mark_written(resolved->equations.data[i]->equation, weight, marks);
    for (int64_t i = 0; i < count; i++) {
        if (marks[i] == 1) continue;
        Text element = text_new(loader->arena);
        element_text(weight, i, &element);
        diag_error(diags, GM132, resolved->source.line->place, "%s %s: the bind lines write element %s %s", weight->path,
                   extents_string(loader->arena, weight->rank, weight->extents), text_string(&element), marks[i] ? "twice" : "not at all");
        break;
    }
    arena_free(scratch);
}

static void resolve_weight(Loader *loader, const Tensor *weight, Resolved *resolved, Diagnostics *diags)
{
    bool found = false;
    for (int i = 0; i < loader->scopes.count && !found; i++) found = bind_source(loader->scopes.data[i], loader->archive, weight, &resolved->source, diags);
    if (!found) resolved->source = (WeightSource){.name = weight->path};
    if (resolved->source.name) {
        resolve_whole(loader, weight, resolved);
        return;
    }
    int errors = diags->error_count;
    bool all = true;
    for (int i = 0; i < resolved->source.equations.count; i++) {
        BoundEquation *equation = bind_equation(loader->arena, &resolved->source.equations.data[i], loader->archive, weight, &loader->complaints, diags);
        if (equation) list_push(loader->arena, &resolved->equations, equation);
        else all = false;
    }
    if (all && diags->error_count == errors) check_cover(loader, weight, resolved, diags);
}

/* Lines that match no parameter are misspelt. */
static void warn_of_idle_lines(Loader *loader, Diagnostics *diags)
{
    for (int s = 0; s < loader->scopes.count; s++) {
        BindScope *scope = loader->scopes.data[s];
        for (int i = 0; i < scope->lines.count; i++) {
            const AstBindLine *line = scope->lines.data[i];
            bool used = line->kind == BIND_IGNORE || line->path.parts.count == 0;
            for (int w = 0; w < loader->module->weights.count && !used; w++) used = bind_line_matches(scope, line, loader->module->weights.data[w]->path, diags);
            if (!used) diag_warning(diags, GM133, line->place, "this line of binding %s names no parameter of the model", scope->bind->name);
        }
    }
}

/* Finds every source; returns how many complaints and errors there are. */
static int resolve(Loader *loader, const char *binding, Diagnostics *diags)
{
    int errors = diags->error_count;
    loader->binding = binding;
    loader->complaints = (Complaints){0};
    loader->scopes = (BindScopes){0};
    if (binding) loader->scopes = bind_scopes(loader->arena, loader->model, binding, diags);
    loader->weights = arena_new_array(loader->arena, Resolved, loader->module->weights.count + 1);
    for (int i = 0; i < loader->module->weights.count; i++) resolve_weight(loader, loader->module->weights.data[i], &loader->weights[i], diags);
    const Complaints *c = &loader->complaints;
    return c->missing.count + c->misshapen.count + c->mistyped.count + diags->error_count - errors;
}

/* --- reports ------------------------------------------------------------------------------------------------------ */

static Map used_names(Loader *loader)
{
    Map used = {0};
    for (int i = 0; i < loader->complaints.used.count; i++) map_put(loader->arena, &used, loader->complaints.used.data[i]->name, loader);
    return used;
}

/* What stands before every missing name in the file ("module." of "module.head.weight"), or NULL. */
static const char *common_prefix(Loader *loader)
{
    const Complaints *c = &loader->complaints;
    size_t length = strlen(c->missing.data[0].help);
    for (int i = 0; i < loader->archive->tensors.count; i++) {
        const char *name = loader->archive->tensors.data[i]->name;
        size_t before = strlen(name) > length ? strlen(name) - length : 0;
        if (!before || strcmp(name + before, c->missing.data[0].help) != 0 || !strchr("./", name[before - 1])) continue;
        const char *prefix = arena_strndup(loader->arena, name, before);
        int found = 1;
        while (found < c->missing.count && archive_find(loader->archive, arena_printf(loader->arena, "%s%s", prefix, c->missing.data[found].help))) found++;
        if (found == c->missing.count) return prefix;
    }
    return NULL;
}

static void report_missing(Loader *loader, Diagnostics *diags)
{
    enum { SEARCHED = 60 };
    const Complaints *c = &loader->complaints;
    if (!c->missing.count) return;
    Diagnostic *diag = diag_error(diags, GM125, (Place){0}, "%s lacks %d of the %d tensors that %s needs", loader->archive->path, c->missing.count,
                                  loader->module->weights.count, loader->module->name);
    /* Only names that nothing else uses are suggested. */
    Map used = used_names(loader);
    int count = 0;
    const char **names = arena_new_array(loader->arena, const char *, loader->archive->tensors.count + 1);
    for (int i = 0; i < loader->archive->tensors.count; i++)
        if (!map_get(&used, loader->archive->tensors.data[i]->name)) names[count++] = loader->archive->tensors.data[i]->name;
    for (int i = 0; i < c->missing.count; i++) {
        const Complaint *complaint = &c->missing.data[i];
        const char *near = i < SEARCHED ? nearest_name(complaint->help, names, count) : NULL;
        diag_note(diag, complaint->place, "missing: %s%s%s%s", complaint->text, near ? " (the file has \"" : "", near ? near : "", near ? "\")" : "");
    }
    const char *prefix = loader->binding ? NULL : common_prefix(loader);
    if (prefix)
        diag_help(diag, "the file has them all below \"%s\"; --bind prefixed takes them, with this in the model file:\n    bind prefixed for %s { \"*\" = \"%s*\" }", prefix, loader->module->name, prefix);
    else if (count > 0 && c->missing.count == loader->module->weights.count)
        diag_help(diag, "the file's names look like \"%s\"; a bind declaration in the model file says which is which", names[0]);
}

#define REPORT_LIST(list, code, what)                                                                                           \
    if (c->list.count) {                                                                                                        \
        Diagnostic *diag = diag_error(diags, code, (Place){0}, "%s: %d tensor%s of another " what " than the model's", loader->archive->path, \
                                      c->list.count, c->list.count == 1 ? "" : "s");                                            \
        for (int i = 0; i < c->list.count; i++) diag_note(diag, c->list.data[i].place, "%s", c->list.data[i].text);             \
        for (int i = 0; i < c->list.count && !helped; i++)                                                                      \
            if (c->list.data[i].help) diag_help(diag, "%s", c->list.data[i].help), helped = true;                               \
    }

static void report_complaints(Loader *loader, Diagnostics *diags)
{
    const Complaints *c = &loader->complaints;
    bool helped = false;
    report_missing(loader, diags);
    REPORT_LIST(misshapen, GM126, "shape")
    REPORT_LIST(mistyped, GM127, "element type")
}

static void report_left_over(Loader *loader, Diagnostics *diags)
{
    enum { SHOWN = 8 };
    Map used = used_names(loader);
    Diagnostic *diag = NULL;
    int count = 0;
    for (int i = 0; i < loader->archive->tensors.count; i++) {
        const ForeignTensor *foreign = loader->archive->tensors.data[i];
        bool known = map_get(&used, foreign->name) != NULL;
        for (int s = 0; s < loader->scopes.count && !known; s++) known = bind_ignores(loader->scopes.data[s], foreign->name);
        if (known) continue;
        if (!diag) {
            const char *message = "%s holds tensors that %s has no parameter for";
            diag = loader->request->strict ? diag_error(diags, GM128, (Place){0}, message, loader->archive->path, loader->module->name)
                                           : diag_warning(diags, GM128, (Place){0}, message, loader->archive->path, loader->module->name);
        }
        if (count++ < SHOWN || loader->request->strict)
            diag_note(diag, (Place){0}, "%s %s %s", foreign->name, foreign_type_table[foreign->type].name, extents_string(loader->arena, foreign->rank, foreign->extents));
    }
    if (count > SHOWN && !loader->request->strict) diag_note(diag, (Place){0}, "and %d more (--strict lists them all)", count - SHOWN);
}

/* --- which binding ------------------------------------------------------------------------------------------------ */

static const char *joined(Arena *arena, const BindNames *names)
{
    Text text = text_new(arena);
    for (int i = 0; i < names->count; i++) text_printf(&text, "%s%s", i ? ", " : "", names->data[i]);
    return text_string(&text);
}

static bool known_binding(Loader *loader, const BindNames *names, Diagnostics *diags)
{
    const char *wanted = loader->request->bind;
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->data[i], wanted) == 0) return true;
    Diagnostic *diag = diag_error(diags, GM129, (Place){0}, "no bind declaration called %s applies to %s", wanted, loader->module->name);
    const char *near = nearest_name(wanted, names->data, names->count);
    if (near) diag_help(diag, "did you mean %s?", near);
    else if (names->count) diag_help(diag, "there are: %s", joined(loader->arena, names));
    return false;
}

/* Plain names; when they don't fit, a sole binding; when that doesn't fit either, whichever fits better. */
static const char *choose_binding(Loader *loader, const BindNames *names)
{
    int plain = resolve(loader, NULL, diagnostics_new(loader->arena));
    if (plain == 0 || names->count != 1) return NULL;
    int bound = resolve(loader, names->data[0], diagnostics_new(loader->arena));
    return bound < plain ? names->data[0] : NULL;
}

static void suggest_binding(Loader *loader, const BindNames *names, Diagnostics *diags)
{
    for (int i = 0; i < names->count && !loader->binding; i++) {
        Loader trial = *loader;
        if (resolve(&trial, names->data[i], diagnostics_new(loader->arena)) != 0) continue;
        diag_help(diags->list[diags->count - 1], "the names fit with --bind %s", names->data[i]);
        return;
    }
    if (names->count > 1 && !loader->binding) diag_help(diags->list[diags->count - 1], "bindings for this model: %s (--bind NAME)", joined(loader->arena, names));
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static bool narrow_enough(const Tensor *weight, const int64_t *values, Diagnostics *diags)
{
    int64_t low = weight->type == TYPE_U8 ? 0 : INT32_MIN, high = weight->type == TYPE_U8 ? 255 : INT32_MAX, count = tensor_count(weight);
    for (int64_t i = 0; weight->type != TYPE_I64 && i < count; i++) {
        if (values[i] >= low && values[i] <= high) continue;
        diag_error(diags, GM124, weight->origin, "%s is %s, and the checkpoint has %lld at element %lld", weight->path, element_type_name(weight->type),
                   (long long)values[i], (long long)i);
        return false;
    }
    return true;
}

/* A view of a foreign tensor, read once. */
static bool foreign_view(Loader *loader, const ForeignTensor *foreign, const Tensor *tensor, View *view, Diagnostics *diags)
{
    int at = 0;
    while (loader->archive->tensors.data[at] != foreign) at++;
    if (is_integer(foreign)) {
        int64_t **cached = &loader->cached_integers[at];
        if (!*cached) {
            *cached = arena_new_array(loader->arena, int64_t, foreign->count);
            if (!archive_read_integers(loader->archive, foreign, *cached, diags)) return false;
        }
        *view = view_dense(VIEW_I64, *cached, tensor);
    } else if (loader->request->exact) {
        double **cached = &loader->cached_f64[at];
        if (!*cached) {
            *cached = arena_new_array(loader->arena, double, foreign->count);
            if (!archive_read_f64(loader->archive, foreign, *cached, diags)) return false;
        }
        *view = view_dense(VIEW_F64, *cached, tensor);
    } else {
        float **cached = &loader->cached_f32[at];
        if (!*cached) {
            *cached = arena_new_array(loader->arena, float, foreign->count);
            if (!archive_read_f32(loader->archive, foreign, *cached, diags)) return false;
        }
        *view = view_dense(VIEW_F32, *cached, tensor);
    }
    return true;
}

static bool run_equations(Loader *loader, const Resolved *resolved, View result, Diagnostics *diags)
{
    for (int i = 0; i < resolved->equations.count; i++) {
        const BoundEquation *bound = resolved->equations.data[i];
        View *views = arena_new_array(loader->arena, View, bound->module->tensors.count);
        views[bound->result->id] = result;
        for (int t = 0; t < bound->foreign.count; t++)
            if (bound->foreign.data[t] && !foreign_view(loader, bound->foreign.data[t], bound->module->tensors.data[t], &views[t], diags)) return false;
        execute_equation(bound->equation, views);
    }
    return true;
}

/* As doubles, and rounded. */
static bool read_exact(Loader *loader, const Tensor *weight, const Resolved *resolved, WeightValues *values, Diagnostics *diags)
{
    int64_t count = tensor_count(weight);
    double *out = values->f64[weight->id] = arena_new_array(values->arena, double, count);
    bool read = resolved->whole ? archive_read_f64(loader->archive, resolved->whole, out, diags) : run_equations(loader, resolved, view_dense(VIEW_F64, out, weight), diags);
    for (int64_t i = 0; read && i < count; i++) values->f32[weight->id][i] = (float)out[i];
    return read;
}

static bool read_weight(Loader *loader, const Tensor *weight, const Resolved *resolved, WeightValues *values, Diagnostics *diags)
{
    int64_t count = tensor_count(weight);
    if (element_type_is_integer(weight->type)) {
        int64_t *out = values->integers[weight->id] = arena_new_array(values->arena, int64_t, count);
        bool read = resolved->whole ? archive_read_integers(loader->archive, resolved->whole, out, diags)
                                    : run_equations(loader, resolved, view_dense(VIEW_I64, out, weight), diags);
        return read && narrow_enough(weight, out, diags);
    }
    float *out = values->f32[weight->id] = arena_new_array(values->arena, float, count);
    if (loader->request->exact) return read_exact(loader, weight, resolved, values, diags);
    return resolved->whole ? archive_read_f32(loader->archive, resolved->whole, out, diags)
                           : run_equations(loader, resolved, view_dense(VIEW_F32, out, weight), diags);
}

static WeightValues *read_all(Loader *loader, Arena *arena, Diagnostics *diags)
{
    WeightValues *values = weight_values_new(arena, loader->module);
    loader->cached_f32 = arena_new_array(loader->arena, float *, loader->archive->tensors.count + 1);
    loader->cached_f64 = arena_new_array(loader->arena, double *, loader->archive->tensors.count + 1);
    loader->cached_integers = arena_new_array(loader->arena, int64_t *, loader->archive->tensors.count + 1);
    bool good = true;
    for (int i = 0; i < loader->module->weights.count; i++)
        good = read_weight(loader, loader->module->weights.data[i], &loader->weights[i], values, diags) && good;
    return good ? values : NULL;
}

static WeightValues *load(Loader *loader, Arena *arena, Diagnostics *diags)
{
    BindNames names = bind_names(loader->arena, loader->model);
    const char *binding = loader->request->bind;
    if (binding) {
        if (!known_binding(loader, &names, diags)) return NULL;
    } else {
        binding = choose_binding(loader, &names);
    }
    int errors = diags->error_count;
    if (resolve(loader, binding, diags) > 0) {
        report_complaints(loader, diags);
        if (!diags->count) return NULL;
        if (binding && !loader->request->bind) diag_help(diags->list[diags->count - 1], "binding %s was tried, because it is the only one; without it still more is missing", binding);
        if (!loader->request->bind) suggest_binding(loader, &names, diags);
        return NULL;
    }
    warn_of_idle_lines(loader, diags);
    report_left_over(loader, diags);
    if (diags->error_count > errors) return NULL;
    if (binding && !loader->request->bind) fprintf(stderr, "gmlpc: %s: the names fit with binding %s\n", loader->archive->path, binding);
    return read_all(loader, arena, diags);
}

WeightValues *weights_load(Arena *arena, const Model *model, const WeightRequest *request, Diagnostics *diags)
{
    Arena *scratch = arena_new();
    Loader loader = {.arena = scratch, .model = model, .module = model->module, .request = request};
    loader.archive = archive_open(scratch, request->path, diags);
    WeightValues *values = loader.archive ? load(&loader, arena, diags) : NULL;
    archive_close(loader.archive);
    /* Diagnostics copy their texts; nothing of the scratch arena is kept. */
    arena_free(scratch);
    return values;
}
