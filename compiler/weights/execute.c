/* The executor of packed equations: an equation's graph becomes nodes, and every node is evaluated for a run of lanes at a time.
 * A lane is one value of the inner index, the free index that moves through neighbouring results; the other free indices form the
 * outer loops. A node remembers its lanes until an index that it depends on moves. See execute.h. */
#include "weights/execute.h"

#include "equation/index.h"
#include "equation/node_map.h"
#include "support/bug.h"

#include <math.h>
#include <string.h>

enum { LANES = 512, MAX_INDICES = 64, MAX_SCOPES = 64 };

typedef struct {
    int64_t constant;
    int count;
    int64_t coefficients[MAX_TERMS];
    int slots[MAX_TERMS];
} Affine; /* constant + sum of coefficients * index values */

typedef struct Node Node;
typedef struct {
    Affine affine;
    Node *computed;      /* not NULL: the subscript is no affine form */
    bool clamped;        /* data-dependent: moved to the nearest end, as at run time */
    int64_t extent, stride;
} Subscript;

struct Node {
    const Expr *expr;
    uint64_t scopes;     /* the reductions whose indices it depends on; bit 0: the free ones */
    bool uniform;        /* the same in all lanes */
    uint64_t stamp;      /* clock when `lanes` was computed; 0: never */
    double *lanes;
    Node **args;
    int slot;            /* INDEX, and each of REDUCE's from here on */
    int scope;           /* REDUCE */
    const View *view;    /* READ */
    Subscript *subscripts;
    bool affine;         /* READ: all subscripts are */
    Affine position;     /* READ, affine: of the element */
    Node *otherwise;
};

typedef struct {
    Arena *arena;
    const Equation *equation;
    const View *views;
    NodeMap nodes;
    int slot_count, scope_count, inner; /* inner: slot of the lanes' index, or -1 */
    const Index *indices[MAX_INDICES];
    int slot_scope[MAX_INDICES];
    int64_t at[MAX_INDICES];            /* current values; of the inner one its first lane's */
    uint64_t clock, moved[MAX_SCOPES];
    int lanes;                          /* of this run */
} Run;

/* --- views -------------------------------------------------------------------------------------------------------- */

int view_type_size(ViewType type)
{
    static const int sizes[] = {0, 4, 8, 4, 8, 1};
    return sizes[type];
}

ViewType view_type_of(ElementType type)
{
    static const ViewType types[] = {[TYPE_F32] = VIEW_F32, [TYPE_I32] = VIEW_I32, [TYPE_I64] = VIEW_I64, [TYPE_U8] = VIEW_U8};
    return types[type];
}

View view_dense(ViewType type, void *base, const Tensor *tensor)
{
    View view = {base, type, {0}};
    int64_t stride = 1;
    for (int d = tensor->rank - 1; d >= 0; d--) {
        view.strides[d] = stride;
        stride *= tensor->extents[d];
    }
    return view;
}

static double view_get(const View *view, int64_t at)
{
    switch (view->type) {
    case VIEW_F32: return ((const float *)view->base)[at];
    case VIEW_F64: return ((const double *)view->base)[at];
    case VIEW_I32: return ((const int32_t *)view->base)[at];
    case VIEW_I64: return (double)((const int64_t *)view->base)[at];
    case VIEW_U8: return ((const uint8_t *)view->base)[at];
    case VIEW_NONE: break;
    }
    return 0;
}

static void load_lanes(const View *view, int64_t at, int64_t step, int count, double *out)
{
    if (view->type == VIEW_F32) {
        const float *from = (const float *)view->base + at;
        if (step == 1)
            for (int i = 0; i < count; i++) out[i] = from[i];
        else
            for (int i = 0; i < count; i++) out[i] = from[i * step];
        return;
    }
    for (int i = 0; i < count; i++) out[i] = view_get(view, at + i * step);
}

static void store_lanes(const View *view, int64_t at, int64_t step, int count, const double *in, int in_step)
{
    switch (view->type) {
    case VIEW_F32:
        for (int i = 0; i < count; i++) ((float *)view->base)[at + i * step] = (float)in[i * in_step];
        break;
    case VIEW_F64:
        for (int i = 0; i < count; i++) ((double *)view->base)[at + i * step] = in[i * in_step];
        break;
    case VIEW_I32:
        for (int i = 0; i < count; i++) ((int32_t *)view->base)[at + i * step] = (int32_t)in[i * in_step];
        break;
    case VIEW_I64:
        for (int i = 0; i < count; i++) ((int64_t *)view->base)[at + i * step] = (int64_t)in[i * in_step];
        break;
    case VIEW_U8:
        for (int i = 0; i < count; i++) ((uint8_t *)view->base)[at + i * step] = (uint8_t)in[i * in_step];
        break;
    case VIEW_NONE:
        break;
    }
}

/* --- from exprs to nodes ------------------------------------------------------------------------------------------ */

static int slot_of(Run *run, const Index *index)
{
    for (int i = run->slot_count - 1; i >= 0; i--)
        if (run->indices[i] == index) return i;
    bug("execute: index %s of %s is not bound", index->name, run->equation->result->name);
}

static int add_slot(Run *run, const Index *index, int scope)
{
    if (run->slot_count == MAX_INDICES) bug("execute: more than %d indices in %s", MAX_INDICES, run->equation->result->name);
    run->indices[run->slot_count] = index;
    run->slot_scope[run->slot_count] = scope;
    return run->slot_count++;
}

static void affine_add(Affine *sum, int slot, int64_t coefficient)
{
    for (int i = 0; i < sum->count; i++)
        if (sum->slots[i] == slot) {
            sum->coefficients[i] += coefficient;
            return;
        }
    if (sum->count == MAX_TERMS) bug("execute: more than %d indices in one read", MAX_TERMS);
    sum->slots[sum->count] = slot;
    sum->coefficients[sum->count++] = coefficient;
}

static bool affine_of(Run *run, const Expr *expr, Affine *affine)
{
    Linear linear;
    if (!index_linear(expr, &linear)) return false;
    *affine = (Affine){.constant = linear.constant};
    for (int i = 0; i < linear.count; i++) affine_add(affine, slot_of(run, linear.indices[i]), linear.coefficients[i]);
    return true;
}

static int64_t affine_value(const Run *run, const Affine *affine)
{
    int64_t value = affine->constant;
    for (int i = 0; i < affine->count; i++) value += affine->coefficients[i] * run->at[affine->slots[i]];
    return value;
}

static int64_t affine_step(const Affine *affine, int slot)
{
    for (int i = 0; i < affine->count; i++)
        if (affine->slots[i] == slot) return affine->coefficients[i];
    return 0;
}

static Node *compile(Run *run, const Expr *expr);

static void depend(Node *node, const Node *on)
{
    node->scopes |= on->scopes;
    node->uniform = node->uniform && on->uniform;
}

static void depend_on_affine(const Run *run, Node *node, const Affine *affine)
{
    for (int i = 0; i < affine->count; i++) {
        node->scopes |= UINT64_C(1) << run->slot_scope[affine->slots[i]];
        if (affine->slots[i] == run->inner) node->uniform = false;
    }
}

static void find_unknown_read(Expr *node, void *context)
{
    if (node->kind == EXPR_READ && node->tensor->kind != TENSOR_CONSTANT) *(bool *)context = true;
}

static void compile_read(Run *run, Node *node, const Expr *expr)
{
    node->view = &run->views[expr->tensor->id];
    if (node->view->type == VIEW_NONE) bug("execute: %s reads %s, which has no values", run->equation->result->name, expr->tensor->name);
    node->subscripts = arena_new_array(run->arena, Subscript, expr->count + 1);
    node->affine = true;
    for (int d = 0; d < expr->count; d++) {
        Subscript *subscript = &node->subscripts[d];
        subscript->extent = expr->tensor->extents[d];
        subscript->stride = node->view->strides[d];
        if (affine_of(run, expr->args[d], &subscript->affine)) {
            depend_on_affine(run, node, &subscript->affine);
            node->position.constant += subscript->affine.constant * subscript->stride;
            for (int i = 0; i < subscript->affine.count; i++)
                affine_add(&node->position, subscript->affine.slots[i], subscript->affine.coefficients[i] * subscript->stride);
        } else {
            node->affine = false;
            expr_walk(expr->args[d], find_unknown_read, &subscript->clamped);
            subscript->computed = compile(run, expr->args[d]);
            depend(node, subscript->computed);
        }
    }
    if (expr->otherwise) {
        node->otherwise = compile(run, expr->otherwise);
        depend(node, node->otherwise);
    }
}

static void compile_reduce(Run *run, Node *node, const Expr *expr)
{
    if (run->scope_count == MAX_SCOPES) bug("execute: more than %d reductions in %s", MAX_SCOPES, run->equation->result->name);
    node->scope = run->scope_count++;
    node->slot = run->slot_count;
    for (int i = 0; i < expr->index_count; i++) add_slot(run, expr->indices[i], node->scope);
    node->args = arena_new_array(run->arena, Node *, 1);
    node->args[0] = compile(run, expr->args[0]);
    depend(node, node->args[0]);
    node->scopes &= ~(UINT64_C(1) << node->scope);
}

static Node *compile(Run *run, const Expr *expr)
{
    bool found;
    Node *node = node_map_get(&run->nodes, expr, &found);
    if (found) return node;
    node = arena_new_object(run->arena, Node);
    node->expr = expr;
    node->uniform = true;
    switch (expr->kind) {
    case EXPR_NUMBER:
        break;
    case EXPR_INDEX:
        node->slot = slot_of(run, expr->index);
        node->scopes = UINT64_C(1) << run->slot_scope[node->slot];
        node->uniform = node->slot != run->inner;
        break;
    case EXPR_READ:
        compile_read(run, node, expr);
        break;
    case EXPR_APPLY:
        node->args = arena_new_array(run->arena, Node *, expr->count);
        for (int i = 0; i < expr->count; i++) depend(node, node->args[i] = compile(run, expr->args[i]));
        break;
    case EXPR_REDUCE:
        compile_reduce(run, node, expr);
        break;
    }
    node->lanes = arena_new_array(run->arena, double, node->uniform ? 1 : LANES);
    node_map_put(&run->nodes, expr, node);
    return node;
}

/* --- evaluation --------------------------------------------------------------------------------------------------- */

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* The lanes [*first, *end) in which every affine subscript is inside. */
static void lanes_inside(const Run *run, const Node *node, int rank, int count, int *first, int *end)
{
    int64_t low = 0, high = count;
    for (int d = 0; d < rank; d++) {
        const Subscript *subscript = &node->subscripts[d];
        if (subscript->computed) continue;
        int64_t at = affine_value(run, &subscript->affine), step = run->inner < 0 ? 0 : affine_step(&subscript->affine, run->inner);
        int64_t last = subscript->extent - 1, from = 0, to = count; /* 0 <= at + step * lane <= last */
        if (step == 0) {
            if (at < 0 || at > last) to = 0;
        } else if (step > 0) {
            from = -floor_divide(at, step);
            to = floor_divide(last - at, step) + 1;
        } else {
            from = -floor_divide(last - at, -step);
            to = floor_divide(at, -step) + 1;
        }
        if (from > low) low = from;
        if (to < high) high = to;
    }
    if (high < low) high = low = 0;
    *first = (int)low;
    *end = (int)high;
}

static const double *evaluate(Run *run, Node *node);

static void fill_outside(Run *run, Node *node, int from, int to)
{
    if (from >= to) return;
    if (!node->otherwise) {
        for (int i = from; i < to; i++) node->lanes[i] = 0;
        return;
    }
    const double *values = evaluate(run, node->otherwise);
    int step = node->otherwise->uniform ? 0 : 1;
    for (int i = from; i < to; i++) node->lanes[i] = values[i * step];
}

static void evaluate_read(Run *run, Node *node, int count)
{
    int rank = node->expr->count, first, end;
    lanes_inside(run, node, rank, count, &first, &end);
    if (node->affine) {
        int64_t step = run->inner < 0 ? 0 : affine_step(&node->position, run->inner);
        load_lanes(node->view, affine_value(run, &node->position) + first * step, step, end - first, node->lanes + first);
        fill_outside(run, node, 0, first);
        fill_outside(run, node, end, count);
        return;
    }
    int64_t position[LANES];
    bool outside[LANES];
    for (int i = 0; i < count; i++) {
        position[i] = 0;
        outside[i] = i < first || i >= end;
    }
    for (int d = 0; d < rank; d++) {
        const Subscript *subscript = &node->subscripts[d];
        if (!subscript->computed) {
            int64_t at = affine_value(run, &subscript->affine), step = run->inner < 0 ? 0 : affine_step(&subscript->affine, run->inner);
            for (int i = 0; i < count; i++) position[i] += (at + i * step) * subscript->stride;
            continue;
        }
        const double *values = evaluate(run, subscript->computed);
        int step = subscript->computed->uniform ? 0 : 1;
        for (int i = 0; i < count; i++) {
            double value = values[i * step], last = (double)(subscript->extent - 1);
            if (!(value >= 0 && value <= last)) {
                if (!subscript->clamped) outside[i] = true;
                value = value > last ? last : 0;
            }
            position[i] += (int64_t)value * subscript->stride;
        }
    }
    const double *other = node->otherwise ? evaluate(run, node->otherwise) : NULL;
    int other_step = node->otherwise && node->otherwise->uniform ? 0 : 1;
    for (int i = 0; i < count; i++) node->lanes[i] = outside[i] ? other ? other[i * other_step] : 0 : view_get(node->view, position[i]);
}

static void evaluate_apply(Run *run, Node *node, int count)
{
    const double *a = evaluate(run, node->args[0]), *b = a, *c = a;
    int sa = node->args[0]->uniform ? 0 : 1, sb = sa, sc = sa;
    if (node->expr->count > 1) {
        b = evaluate(run, node->args[1]);
        sb = node->args[1]->uniform ? 0 : 1;
    }
    if (node->expr->count > 2) {
        c = evaluate(run, node->args[2]);
        sc = node->args[2]->uniform ? 0 : 1;
    }
    double *out = node->lanes;
    Function function = node->expr->function;
    if (function == FN_MUL)
        for (int i = 0; i < count; i++) out[i] = a[i * sa] * b[i * sb];
    else if (function == FN_ADD)
        for (int i = 0; i < count; i++) out[i] = a[i * sa] + b[i * sb];
    else if (function == FN_SUB)
        for (int i = 0; i < count; i++) out[i] = a[i * sa] - b[i * sb];
    else
        for (int i = 0; i < count; i++) out[i] = function_evaluate(function, a[i * sa], b[i * sb], c[i * sc]);
}

static void combine(Reduction reduction, double *into, const double *more, int step, int count, double *best, double turn)
{
    switch (reduction) {
    case REDUCE_SUM:
    case REDUCE_MEAN:
        for (int i = 0; i < count; i++) into[i] += more[i * step];
        break;
    case REDUCE_PROD:
        for (int i = 0; i < count; i++) into[i] *= more[i * step];
        break;
    case REDUCE_MAX:
        for (int i = 0; i < count; i++) into[i] = function_evaluate(FN_MAX, into[i], more[i * step], 0);
        break;
    case REDUCE_MIN:
        for (int i = 0; i < count; i++) into[i] = function_evaluate(FN_MIN, into[i], more[i * step], 0);
        break;
    case REDUCE_ARGMAX:
        for (int i = 0; i < count; i++)
            if (turn == 0 || more[i * step] > best[i]) {
                best[i] = more[i * step];
                into[i] = turn;
            }
        break;
    }
}

static bool plain_read(const Node *node)
{
    return node->expr->kind == EXPR_READ && node->affine && !node->otherwise && node->view->type == VIEW_F32;
}

/* The last reduced index of sum(a * b), both plain reads: the inner loop of a contraction. */
static void multiply_add(Run *run, const Node *node, int count)
{
    const Node *a = node->args[0]->args[0], *b = node->args[0]->args[1];
    if (a->uniform == false && b->uniform) {
        const Node *swap = a;
        a = b;
        b = swap;
    }
    int slot = node->slot + node->expr->index_count - 1, inner = run->inner;
    int64_t turns = run->indices[slot]->extent;
    run->at[slot] = 0;
    const float *pa = (const float *)a->view->base + affine_value(run, &a->position);
    const float *pb = (const float *)b->view->base + affine_value(run, &b->position);
    int64_t ka = affine_step(&a->position, slot), kb = affine_step(&b->position, slot);
    int64_t la = inner < 0 ? 0 : affine_step(&a->position, inner), lb = inner < 0 ? 0 : affine_step(&b->position, inner);
    double *out = node->lanes;
    if (count == 1) {
        double sum = 0;
        for (int64_t k = 0; k < turns; k++) sum += (double)pa[k * ka] * pb[k * kb];
        out[0] += sum;
    } else {
        for (int64_t k = 0; k < turns; k++, pa += ka, pb += kb) {
            if (la == 0 && lb == 1)
                for (int i = 0; i < count; i++) out[i] += (double)pa[0] * pb[i];
            else
                for (int i = 0; i < count; i++) out[i] += (double)pa[i * la] * pb[i * lb];
        }
    }
}

static void evaluate_reduce(Run *run, Node *node, int count)
{
    const Expr *expr = node->expr;
    Reduction reduction = expr->reduction;
    Node *body = node->args[0];
    double start = reduction == REDUCE_PROD ? 1 : reduction == REDUCE_MAX ? -INFINITY : reduction == REDUCE_MIN ? INFINITY : 0;
    double best[LANES];
    for (int i = 0; i < count; i++) node->lanes[i] = start;
    bool contraction = (reduction == REDUCE_SUM || reduction == REDUCE_MEAN) && expr->index_count > 0 && body->expr->kind == EXPR_APPLY
                       && body->expr->function == FN_MUL && plain_read(body->args[0]) && plain_read(body->args[1]);
    int loops = contraction ? expr->index_count - 1 : expr->index_count;
    double turns = 1, turn = 0;
    for (int i = 0; i < expr->index_count; i++) {
        turns *= (double)expr->indices[i]->extent;
        run->at[node->slot + i] = 0;
    }
    for (bool more = turns > 0; more; turn++) {
        run->moved[node->scope] = ++run->clock;
        if (contraction) multiply_add(run, node, count);
        else combine(reduction, node->lanes, evaluate(run, body), body->uniform ? 0 : 1, count, best, turn);
        more = false;
        for (int i = loops - 1; i >= 0 && !more; i--) {
            more = ++run->at[node->slot + i] < expr->indices[i]->extent;
            if (!more) run->at[node->slot + i] = 0;
        }
    }
    if (reduction == REDUCE_MEAN)
        for (int i = 0; i < count; i++) node->lanes[i] /= turns;
}

static const double *evaluate(Run *run, Node *node)
{
    uint64_t moved = run->moved[0];
    for (uint64_t scopes = node->scopes & ~UINT64_C(1); scopes; scopes &= scopes - 1) {
        uint64_t at = run->moved[__builtin_ctzll(scopes)];
        if (at > moved) moved = at;
    }
    if (node->stamp && node->stamp >= moved) return node->lanes;
    int count = node->uniform ? 1 : run->lanes;
    switch (node->expr->kind) {
    case EXPR_NUMBER:
        node->lanes[0] = node->expr->number;
        break;
    case EXPR_INDEX:
        for (int i = 0; i < count; i++) node->lanes[i] = (double)(run->at[node->slot] + i);
        break;
    case EXPR_READ:
        evaluate_read(run, node, count);
        break;
    case EXPR_APPLY:
        evaluate_apply(run, node, count);
        break;
    case EXPR_REDUCE:
        evaluate_reduce(run, node, count);
        break;
    }
    node->stamp = ++run->clock;
    return node->lanes;
}

/* --- the loops over results --------------------------------------------------------------------------------------- */

/* A copy of f32 elements, with numbers outside: no way through double. */
static void copy_lanes(Run *run, Node *node, const View *result, int64_t at, int64_t step)
{
    int first, end;
    lanes_inside(run, node, node->expr->count, run->lanes, &first, &end);
    float outside = node->otherwise ? (float)node->otherwise->expr->number : 0;
    int64_t from_step = run->inner < 0 ? 0 : affine_step(&node->position, run->inner);
    const float *from = (const float *)node->view->base + affine_value(run, &node->position);
    float *to = (float *)result->base + at;
    for (int i = 0; i < first; i++) to[i * step] = outside;
    if (step == 1 && from_step == 1)
        memcpy(to + first, from + first, (size_t)(end - first) * sizeof *to);
    else
        for (int i = first; i < end; i++) to[i * step] = from[i * from_step];
    for (int i = end; i < run->lanes; i++) to[i * step] = outside;
}

static int choose_inner(const Equation *equation)
{
    int best = equation->free_count - 1;
    if (best >= 0 && equation->free[best]->extent < 8)
        for (int i = 0; i < equation->free_count; i++)
            if (equation->free[i]->extent > equation->free[best]->extent) best = i;
    return best;
}

static void run_lanes(Run *run, Node *value, const View *result, const Affine *position, bool copies)
{
    const Index *inner = run->inner < 0 ? NULL : run->indices[run->inner];
    int64_t step = run->inner < 0 ? 0 : affine_step(position, run->inner);
    for (int64_t begin = 0; begin < (inner ? inner->extent : 1); begin += LANES) {
        if (inner) run->at[run->inner] = begin;
        int64_t left = inner ? inner->extent - begin : 1;
        run->lanes = left < LANES ? (int)left : LANES;
        run->moved[0] = ++run->clock;
        int64_t at = affine_value(run, position);
        if (copies) {
            copy_lanes(run, value, result, at, step);
        } else {
            const double *lanes = evaluate(run, value);
            store_lanes(result, at, step, run->lanes, lanes, value->uniform ? 0 : 1);
        }
    }
}

void execute_equation(const Equation *equation, const View *views)
{
    Run *run = &(Run){.equation = equation, .views = views, .arena = arena_new(), .scope_count = 1};
    node_map_init(&run->nodes);
    run->inner = choose_inner(equation);
    for (int i = 0; i < equation->free_count; i++) add_slot(run, equation->free[i], 0);
    const View *result = &views[equation->result->id];
    if (result->type == VIEW_NONE) bug("execute: nowhere to put %s", equation->result->name);
    Affine position = {0};
    for (int d = 0; d < equation->rank; d++) {
        Affine subscript;
        if (!affine_of(run, equation->subscripts[d], &subscript)) bug("execute: a subscript of %s on the left is no sum", equation->result->name);
        position.constant += subscript.constant * result->strides[d];
        for (int i = 0; i < subscript.count; i++) affine_add(&position, subscript.slots[i], subscript.coefficients[i] * result->strides[d]);
    }
    Node *value = compile(run, equation->value);
    bool copies = result->type == VIEW_F32 && value->expr->kind == EXPR_READ && value->affine && value->view->type == VIEW_F32
                  && (!value->otherwise || value->otherwise->expr->kind == EXPR_NUMBER);
    for (bool more = true; more;) {
        run_lanes(run, value, result, &position, copies);
        more = false;
        for (int i = equation->free_count - 1; i >= 0 && !more; i--) {
            if (i == run->inner) continue;
            more = ++run->at[i] < equation->free[i]->extent;
            if (!more) run->at[i] = 0;
        }
    }
    node_map_free(&run->nodes);
    arena_free(run->arena);
}
