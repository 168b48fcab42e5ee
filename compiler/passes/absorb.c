/* Pass absorb: sums of data times weights take over the scales and shifts around them, when weights are packed and in double:
 *   - behind the sum:  (sum[k](x[k] * w[k, n]) + b[n]) * s[n] + t[n]  is  sum[k](x[k] * w'[k, n]) + b'[n], with w' = w * s, b' = b * s + t
 *   - before it:       sum[k]((x[k] * s[k] + t[k]) * w[k, n])         is  sum[k](x[k] * w'[k, n]) + b'[n], with b' = sum[k](t[k] * w[k, n])
 *   - past it:         sum[k]((x[k, n] * s[n] + t[n]) * w[m, k])      is  sum[k](x[k, n] * w[m, k]) * s[n] + t[n] * b'[m], with b' = sum[k](w[m, k]),
 *                      where nothing else is left to compute before the sum
 * whether s and t are batch normalisation, a norm's own scale and shift, layer scale or what brings an input to mean 0. Values before
 * a sum change only where every reader is such a sum.
 * In: folded, fused equations.  Out: the same values from fewer run-time operations; notes on what was absorbed, and why not. A shift
 * is not taken past zeros that lie outside; nor is anything into weights that something else reads, or that would grow. */
#include "equation/index.h"
#include "equation/node_map.h"
#include "passes/affine.h"
#include "passes/pass_functions.h"
#include "passes/rewrite.h"

#include <math.h>

/* A known shift this many times the scaled value cancels: the sum's rounding errors would grow with it. */
static const double LARGEST_SHIFT = 4;

typedef struct {
    Module *module;
    Links *links;
    int64_t *asked;            /* by tensor id: elements that run-time equations ask for, again and again */
    int tensor_count;          /* of `asked` */
    LIST(Equation *) ordered;
    LIST(Equation *) exposed;  /* readers of what became a view */
    NodeMap taken;             /* equations that took over something from before their sum */
} Absorber;

static void note(Absorber *a, const Equation *equation, const char *text)
{
    list_push(a->module->arena, &a->module->notes, ((EquationNote){text, equation, NULL}));
}

/* --- indices and uses ------------------------------------------------------------------------------------------------- */
typedef struct {
    Arena *arena;
    LIST(Index *) indices; /* free ones, then those of reductions of data */
} Scope;

static void add_scope(Expr *node, void *context)
{
    Scope *scope = context;
    if (node->kind != EXPR_REDUCE || is_weight_only(node)) return;
    for (int i = 0; i < node->index_count; i++) list_push(scope->arena, &scope->indices, node->indices[i]);
}

static Scope scope_of(const Absorber *a, const Equation *equation)
{
    Scope scope = {.arena = a->module->arena};
    for (int i = 0; i < equation->free_count; i++) list_push(scope.arena, &scope.indices, equation->free[i]);
    expr_walk(equation->value, add_scope, &scope);
    return scope;
}

typedef struct {
    Absorber *a;
    Scope scope;
} UseCount;

static void count_uses(Expr *node, void *context)
{
    UseCount *count = context;
    if (node->kind != EXPR_READ) return;
    bool gathers = false;
    for (int axis = 0; axis < node->count; axis++) gathers = gathers || expr_is_data_dependent(node->args[axis]);
    int64_t points = points_of(node, count->scope.indices.data, count->scope.indices.count);
    count->a->asked[node->tensor->id] += gathers ? points + tensor_count(node->tensor) : points;
}

static void find_uses(Absorber *a)
{
    for (int i = 0; i < a->module->equations.count; i++) {
        Equation *equation = a->module->equations.data[i];
        UseCount count = {a, scope_of(a, equation)};
        if (!equation->packed) expr_walk(equation->value, count_uses, &count);
    }
}

typedef struct {
    const Absorber *a;
    bool weights, used_elsewhere;
} WeightSearch;

static void search_weights(Expr *node, void *context)
{
    WeightSearch *search = context;
    if (node->kind != EXPR_READ) return;
    search->weights |= node->tensor->kind != TENSOR_CONSTANT;
    if (node->tensor->id >= search->a->tensor_count) return;
    search->used_elsewhere |= search->a->asked[node->tensor->id] > tensor_count(node->tensor);
}

static WeightSearch weights_in(const Absorber *a, const Expr *expr)
{
    WeightSearch search = {a, false, false};
    if (expr) expr_walk((Expr *)expr, search_weights, &search);
    return search;
}

/* --- sums of data times weights --------------------------------------------------------------------------------------- */
typedef struct {
    Expr *sum;
    Expr *data, *weights; /* products of its factors */
} WeightedSum;

typedef struct {
    Expr *sum;
    int count;
} SumSearch;

static void search_sums(Expr *node, void *context)
{
    SumSearch *search = context;
    if (node->kind != EXPR_REDUCE || is_weight_only(node)) return;
    search->sum = node;
    search->count++;
}

static void split_factors(Module *module, Expr *expr, WeightedSum *sum)
{
    if (expr->kind == EXPR_APPLY && expr->function == FN_MUL && !is_weight_only(expr)) {
        split_factors(module, expr->args[0], sum);
        split_factors(module, expr->args[1], sum);
        return;
    }
    Expr **product = is_weight_only(expr) ? &sum->weights : &sum->data;
    *product = *product ? expr_apply(module, FN_MUL, *product, expr, NULL, expr->place) : expr;
}

static bool weighted_sum(Module *module, const Equation *equation, WeightedSum *sum)
{
    SumSearch search = {0};
    expr_walk(equation->value, search_sums, &search);
    *sum = (WeightedSum){.sum = search.sum};
    if (search.count != 1 || search.sum->reduction != REDUCE_SUM || search.sum->integer) return false;
    split_factors(module, search.sum->args[0], sum);
    return sum->data && sum->weights;
}

typedef struct {
    const Expr *old;
    Expr *new;
} Replacement;

static Expr *replace_node(Module *module, Expr *node, void *context)
{
    (void)module;
    const Replacement *replacement = context;
    return node == replacement->old ? replacement->new : node;
}

static Expr *replaced(Module *module, Expr *value, const Expr *old, Expr *new)
{
    return expr_rewrite(module, value, replace_node, &(Replacement){old, new});
}

/* --- behind a sum ----------------------------------------------------------------------------------------------------- */
/* A tensor of its own for what weights alone make; reads and numbers are that already. NULL: it can't have one. */
static Expr *packed(Absorber *a, const Equation *equation, const Scope *scope, Expr *part)
{
    if (part->kind == EXPR_READ || part->kind == EXPR_NUMBER) return part;
    Part made = part_packed(a->module, equation, part, scope->indices.data, scope->indices.count);
    if (made.read) list_push(a->module->arena, &a->ordered, made.equation);
    return made.read;
}

/* Scales and shifts around the equation's sum go into its weights and one bias, with what was taken over from before it. */
static void finish(Absorber *a, Equation *equation)
{
    Module *module = a->module;
    WeightedSum sum;
    if (!weighted_sum(module, equation, &sum)) return;
    Scope scope = scope_of(a, equation);
    bool taken = node_map_get(&a->taken, equation, NULL) != NULL;
    Around around = affine_around(module, equation->value, sum.sum, sum.weights, scope.indices.data, scope.indices.count);
    bool scales = weights_in(a, around.affine.scale).weights;
    if (scales && !taken && weights_in(a, sum.weights).used_elsewhere) {
        note(a, equation, "the scale behind its sum stays there: its weights are used elsewhere too");
        scales = false;
    }
    if (around.stopped && weights_in(a, around.stopped).weights)
        note(a, equation, "a scale behind its sum stays there: it varies with more than the weights do");
    if (!scales && !taken) around = affine_around(module, equation->value, sum.sum, NULL, scope.indices.data, scope.indices.count);
    if (!scales && !taken && (around.shift_count < 2 || weights_in(a, around.affine.shift).used_elsewhere)) return;
    Expr *weights = around.affine.scale ? expr_apply(module, FN_MUL, sum.weights, around.affine.scale, NULL, sum.weights->place) : sum.weights;
    if (scales || taken) weights = packed(a, equation, &scope, weights);
    Expr *shift = around.affine.shift ? packed(a, equation, &scope, around.affine.shift) : NULL;
    if (!weights || (around.affine.shift && !shift)) return;
    Expr *body = expr_apply(module, FN_MUL, sum.data, weights, NULL, sum.sum->args[0]->place);
    Expr *value = expr_reduce(module, REDUCE_SUM, sum.sum->index_count, sum.sum->indices, body, sum.sum->place);
    if (shift) value = expr_apply(module, FN_ADD, value, shift, NULL, sum.sum->place);
    equation->value = replaced(module, equation->value, around.top, value);
    if (scales) note(a, equation, "scale behind its sum taken into its weights");
}

/* --- before a sum ----------------------------------------------------------------------------------------------------- */
/* A reader of the value whose scale and shift are to go, in the reader's terms. */
typedef struct {
    WeightedSum sum;
    Scope scope;
    const Expr *read;
    Expr *scale, *shift;
    bool past;             /* the same for all that is summed: they go behind the sum */
} Taker;

typedef struct {
    const Tensor *tensor;
    const Expr *read;
    int count;
} ReadSearch;

static void search_reads(Expr *node, void *context)
{
    ReadSearch *search = context;
    if (node->kind != EXPR_READ || node->tensor != search->tensor) return;
    search->read = node;
    search->count++;
}

static void search_outside(Expr *node, void *context)
{
    bool *inside = context;
    for (int axis = 0; node->kind == EXPR_READ && axis < node->count; axis++) {
        int64_t low, high;
        *inside = *inside && index_range(node->args[axis], &low, &high) && low >= 0 && high < node->tensor->extents[axis];
    }
}

/* The part at the place where the reader reads; NULL where it can't be asked for there. */
static Expr *part_there(Module *module, Expr *part, const Substitution *map, int count)
{
    Expr *there = index_simplify(module, expr_substitute(module, part, map, count));
    bool inside = true;
    expr_walk(there, search_outside, &inside);
    return inside && is_weight_only(there) ? there : NULL;
}

static int index_count(const Expr *expr, const Scope *scope)
{
    int count = 0;
    for (int i = 0; i < scope->indices.count; i++) count += expr_uses(expr, scope->indices.data[i]);
    return count;
}

typedef struct {
    double least, most;
} Magnitudes;

/* Of what numbers and tables make; up to infinity where there are weights. */
static Magnitudes magnitudes(const Expr *expr)
{
    Magnitudes all = {INFINITY, 0};
    if (expr->kind == EXPR_NUMBER) return (Magnitudes){fabs(expr->number), fabs(expr->number)};
    if (expr->kind == EXPR_READ && expr->tensor->kind == TENSOR_CONSTANT) {
        for (int64_t i = 0; i < tensor_count(expr->tensor); i++) {
            all.least = fmin(all.least, fabs(expr->tensor->values[i]));
            all.most = fmax(all.most, fabs(expr->tensor->values[i]));
        }
        return all;
    }
    if (expr->kind != EXPR_APPLY || expr->count > 2) return (Magnitudes){0, INFINITY};
    Magnitudes a = magnitudes(expr->args[0]), b = expr->count == 2 ? magnitudes(expr->args[1]) : a;
    if (expr->function == FN_NEG) return a;
    if (expr->function == FN_ADD || expr->function == FN_SUB) return (Magnitudes){0, a.most + b.most};
    if (expr->function == FN_MUL) return (Magnitudes){a.least * b.least, a.most * b.most};
    return (Magnitudes){0, expr->function == FN_DIV ? a.most / b.least : INFINITY};
}

/* Whether a part differs between what is summed. */
static bool uses_any(const Expr *part, const Expr *sum)
{
    for (int i = 0; part && i < sum->index_count; i++)
        if (expr_uses(part, sum->indices[i])) return true;
    return false;
}

/* NULL, or why the reader can't take them. */
static const char *why_not(Absorber *a, const Equation *producer, Equation *reader, const Affine *affine, Taker *taker)
{
    Module *module = a->module;
    Substitution map[MAX_RANK * 2];
    int count;
    ReadSearch search = {producer->result, NULL, 0};
    expr_walk(reader->value, search_reads, &search);
    if (!weighted_sum(module, reader, &taker->sum) || taker->sum.data != search.read) return "it is not read by a sum of it times weights alone";
    if (search.count != 1) return "it is read beside the sum too";
    taker->read = search.read;
    taker->scope = scope_of(a, reader);
    if (!read_indices(module, producer, search.read, map, &count)) return "its place can't be expressed there";
    if (affine->scale && !(taker->scale = part_there(module, affine->scale, map, count))) return "its scale can't be read there";
    if (affine->shift && !(taker->shift = part_there(module, affine->shift, map, count))) return "its shift can't be read there";
    const Expr *zero = search.read->otherwise;
    if (zero && (affine->shift || zero->kind != EXPR_NUMBER || zero->number != 0)) return "what lies outside would be shifted too";
    Index *const *indices = taker->scope.indices.data;
    int index_total = taker->scope.indices.count;
    if (index_count(taker->sum.weights, &taker->scope) > MAX_RANK) return "the weights have too many indices";
    bool scale = !taker->scale || uses_no_more(taker->scale, taker->sum.weights, indices, index_total);
    bool shift = !taker->shift || uses_no_more(taker->shift, taker->sum.weights, indices, index_total);
    taker->past = !(scale && shift) && affine->base->kind == EXPR_READ && !uses_any(taker->scale, taker->sum.sum) && !uses_any(taker->shift, taker->sum.sum);
    if (taker->past) return NULL;
    if (!scale) return "its scale doesn't run along the weights";
    if (!shift) return "its shift doesn't run along the weights";
    if (weights_in(a, taker->sum.weights).used_elsewhere) return "the weights are used elsewhere too";
    if (!weights_in(a, taker->sum.weights).weights && !weights_in(a, taker->scale).weights) return "there are only tables";
    return NULL;
}

/* The sum over the reader's own base, its weights scaled, plus what the shift adds to it: `finish` gives both tensors. */
static void take_over(Absorber *a, Tensor *base, Equation *reader, const Taker *taker)
{
    Module *module = a->module;
    const WeightedSum *sum = &taker->sum;
    Place place = sum->sum->place;
    Expr *read = expr_read(module, base, taker->read->count, taker->read->args, taker->read->otherwise, taker->read->place);
    Expr *weights = taker->scale ? expr_apply(module, FN_MUL, sum->weights, taker->scale, NULL, place) : sum->weights;
    Expr *value = expr_reduce(module, REDUCE_SUM, sum->sum->index_count, sum->sum->indices, expr_apply(module, FN_MUL, read, weights, NULL, place), place);
    if (taker->shift) {
        Expr *product = expr_apply(module, FN_MUL, taker->shift, sum->weights, NULL, place);
        Expr *added = expr_reduce(module, REDUCE_SUM, sum->sum->index_count, sum->sum->indices, product, place);
        value = expr_apply(module, FN_ADD, value, expr_substitute(module, added, NULL, 0), NULL, place);
    }
    reader->value = replaced(module, reader->value, sum->sum, value);
    node_map_put(&a->taken, reader, (void *)1);
}

/* The sum over the reader's own base, then scale and shift: that as often as weights were added. */
static void take_past(Absorber *a, Tensor *base, Equation *reader, const Taker *taker)
{
    Module *module = a->module;
    const WeightedSum *sum = &taker->sum;
    const Expr *old = sum->sum;
    Place place = old->place;
    Expr *read = expr_read(module, base, taker->read->count, taker->read->args, taker->read->otherwise, taker->read->place);
    Expr *value = expr_reduce(module, REDUCE_SUM, old->index_count, old->indices, expr_apply(module, FN_MUL, read, sum->weights, NULL, place), place);
    if (taker->scale) value = expr_apply(module, FN_MUL, value, taker->scale, NULL, place);
    if (taker->shift) {
        Expr *all = expr_reduce(module, REDUCE_SUM, old->index_count, old->indices, sum->weights, place);
        all = packed(a, reader, &taker->scope, expr_substitute(module, all, NULL, 0));
        value = expr_apply(module, FN_ADD, value, expr_apply(module, FN_MUL, taker->shift, all, NULL, place), NULL, place);
    }
    reader->value = replaced(module, reader->value, old, value);
}

/* Hands scale and shift of what the equation computes to its readers; NULL, or why not. */
static const char *hand_over(Absorber *a, Equation *producer, const Affine *affine)
{
    Module *module = a->module;
    Tensor *old = producer->result;
    const TensorLinks *links = &a->links->tensors[old->id];
    double largest = affine->shift ? magnitudes(affine->shift).most : 0;
    if (isfinite(largest) && largest > LARGEST_SHIFT) return "its shift would cancel";
    Taker *takers = arena_new_array(module->arena, Taker, links->readers.count + 1);
    for (int i = 0; i < links->readers.count; i++) {
        const char *why = why_not(a, producer, links->readers.data[i], affine, &takers[i]);
        if (why) return arena_printf(module->arena, "%s (%s)", why, links->readers.data[i]->result->name);
    }
    Tensor *base = tensor_new(module, TENSOR_LOCAL, tensor_name(module, old, "base"), TYPE_F32, old->rank, old->extents, old->origin);
    producer->result = base;
    producer->value = expr_real(module, affine->base);
    bool view = affine->base->kind == EXPR_READ;
    const char *what = !affine->shift ? "scale" : !affine->scale ? "shift" : "scale and shift";
    for (int i = 0; i < links->readers.count; i++) {
        Equation *reader = links->readers.data[i];
        (takers[i].past ? take_past : take_over)(a, base, reader, &takers[i]);
        if (!view) continue;
        note(a, reader, arena_printf(module->arena, "%s of %s taken %s", what, old->name, takers[i].past ? "past its sum" : "into its weights"));
        list_push(module->arena, &a->exposed, reader);
    }
    if (!view) note(a, producer, arena_printf(module->arena, "%s of %s taken into its readers' weights", what, old->name));
    return NULL;
}

/* A number alone is only worth it where nothing else remains to compute. */
static bool worthwhile(const Absorber *a, const Affine *affine)
{
    return affine->base->kind == EXPR_READ ? affine->scale || affine->shift
                                           : weights_in(a, affine->scale).weights || weights_in(a, affine->shift).weights;
}

static void open_up(Absorber *a, Equation *equation)
{
    Tensor *tensor = equation->result;
    if (tensor->type != TYPE_F32 || sole_producer(a->links, tensor) != equation || !a->links->tensors[tensor->id].readers.count) return;
    Affine whole = affine_of(a->module, equation->value, true), factors = affine_of(a->module, equation->value, false);
    if (!worthwhile(a, &whole)) return;
    const char *why = hand_over(a, equation, &whole);
    if (why && whole.shift && worthwhile(a, &factors) && !hand_over(a, equation, &factors)) return;
    if (why && (whole.scale || whole.base->kind == EXPR_READ)) note(a, equation, arena_printf(a->module->arena, "its scale and shift stay: %s", why));
}

void pass_absorb(Module *module, Diagnostics *diags)
{
    (void)diags;
    Arena *arena = arena_new();
    Absorber a = {.module = module, .links = links_new(arena, module), .tensor_count = module->tensors.count};
    a.asked = arena_new_array(arena, int64_t, a.tensor_count + 1);
    node_map_init(&a.taken);
    find_uses(&a);
    for (int i = 0; i < module->equations.count; i++) {
        Equation *equation = module->equations.data[i];
        if (!equation->packed) finish(&a, equation);
        if (!equation->packed) open_up(&a, equation);
        list_push(module->arena, &a.ordered, equation);
    }
    module->equations.count = 0;
    for (int i = 0; i < a.ordered.count; i++) list_push(module->arena, &module->equations, a.ordered.data[i]);
    node_map_free(&a.taken);
    Links *links = links_new(arena, module);
    for (int i = 0; i < a.exposed.count; i++) read_through(module, links, a.exposed.data[i]);
    arena_free(arena);
    remove_dead(module);
}
