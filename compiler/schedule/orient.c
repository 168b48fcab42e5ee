/* Which axis of a tensor is the fastest. Feature maps are written [channels, rows, columns]; where windows run over rows and columns,
 * neighbours in memory should be channels: vectors and sums then run along them whatever the stride of the windows is.
 * In: run-time equations.  Out: the same values in tensors whose axes may be permuted; free indices in the order of the result's axes;
 * weights that vectors would cross rearranged when they are packed. Inputs and outputs keep their shape.
 *
 * It starts where a window moves along the last axis, and spreads to the tensors that are computed from those or that those are
 * computed from, as far as they can follow. */
#include "schedule/schedule.h"

#include "equation/index.h"

#include <string.h>

enum { LEAST_CHANNELS = 8, KEEP = -1 };

typedef struct {
    Scheduler *s;
    int count;       /* tensors */
    int *fastest;    /* by tensor: the axis that becomes the last one, or KEEP */
    bool changed;
    LIST(Equation *) ordered;
} Orienter;

static bool is_run_time(const Tensor *tensor)
{
    return tensor->kind == TENSOR_INPUT || (tensor->kind == TENSOR_LOCAL && !tensor->packed);
}

static bool is_free(const Equation *equation, const Index *index)
{
    for (int i = 0; i < equation->free_count; i++)
        if (equation->free[i] == index) return true;
    return false;
}

/* The index along which neighbouring positions are neighbours, where the others take steps over all of its extent. */
static const Index *innermost(const Expr *subscript)
{
    Linear linear;
    const Index *inner = NULL;
    if (!index_linear(subscript, &linear)) return NULL;
    for (int i = 0; i < linear.count; i++)
        if (linear.coefficients[i] == 1 && (!inner || inner->extent == 1)) inner = linear.indices[i];
    for (int i = 0; inner && i < linear.count; i++)
        if (linear.indices[i] != inner && linear.coefficients[i] < inner->extent) return NULL;
    return inner;
}

/* Windows move along the subscript, or single positions in steps: vectors can't follow. */
static bool moves_in_windows(const Equation *equation, const Expr *subscript)
{
    Linear linear;
    bool free = false, reduced = false, steps = false;
    const Index *inner = innermost(subscript);
    if (!index_linear(subscript, &linear) || (inner && is_free(equation, inner))) return false;
    for (int i = 0; i < linear.count; i++) {
        if (linear.indices[i]->extent == 1) continue;
        bool own = is_free(equation, linear.indices[i]);
        free |= own;
        reduced |= !own;
        steps |= own && linear.coefficients[i] != 1;
    }
    return free && (reduced || steps);
}

static int axis_along(Expr *const *subscripts, int rank, const Index *index)
{
    for (int axis = 0; axis < rank; axis++)
        if (innermost(subscripts[axis]) == index) return axis;
    return KEEP;
}

static bool uses_index(const Expr *read, const Index *index)
{
    for (int axis = 0; axis < read->count; axis++)
        if (expr_uses(read->args[axis], index)) return true;
    return false;
}

/* --- decisions ----------------------------------------------------------------------------------------------------- */
static bool may_turn(const Orienter *o, const Tensor *tensor)
{
    return is_run_time(tensor) && tensor->kind == TENSOR_LOCAL && !tensor->output_name && tensor->rank > 1 && tensor->id < o->count &&
           tensor->type == TYPE_F32 && o->fastest[tensor->id] == KEEP;
}

static void turn(Orienter *o, const Tensor *tensor, int axis)
{
    if (axis == KEEP || axis == tensor->rank - 1 || !may_turn(o, tensor)) return;
    o->fastest[tensor->id] = axis;
    o->changed = true;
}

typedef struct {
    Orienter *o;
    Equation *equation;
    const Index *wanted;   /* the fastest index of the result, as far as something says so */
    bool columns;          /* weights alone bring it to a sum: they will be columns of a contraction */
} Search;

/* The axis of a read that windows leave alone and that is long enough; where there is none, one that they cut into whole blocks. */
static int still_axis(const Equation *equation, const Expr *read, bool reduced)
{
    for (int blocks = 0; blocks < 2; blocks++)
        for (int axis = read->count - 1; axis >= 0; axis--) {
            const Index *index = innermost(read->args[axis]);
            if (!index || read->tensor->extents[axis] < LEAST_CHANNELS || (is_free(equation, index) && (reduced || blocks))) continue;
            if (blocks || !moves_in_windows(equation, read->args[axis])) return axis;
        }
    return KEEP;
}

/* The result's innermost index that the read does not use: output channels. */
static const Index *other_index(const Equation *equation, const Expr *read)
{
    for (int axis = equation->rank - 1; axis >= 0; axis--) {
        const Index *index = innermost(equation->subscripts[axis]);
        if (index && equation->result->extents[axis] >= LEAST_CHANNELS && !uses_index(read, index)) return index;
    }
    return NULL;
}

/* The result follows the read: the same index is the fastest, or, where that one is summed over, one that only weights bring. */
static const Index *followed(const Equation *equation, const Expr *read, int axis)
{
    const Index *index = innermost(read->args[axis]);
    if (!index) return NULL;
    return is_free(equation, index) ? index : other_index(equation, read);
}

/* The read's axis that should be its fastest, and in *wanted the result's index that should be the fastest: where windows move along
 * the read's last axis, unless the sum runs over long blocks of it. */
static int axis_beside_windows(const Equation *equation, const Expr *read, const Index **wanted)
{
    if (!is_run_time(read->tensor) || read->count < 2 || read->otherwise) return KEEP;
    const Expr *last = read->args[read->count - 1];
    if (!moves_in_windows(equation, last)) return KEEP;
    const Index *run = innermost(last);
    bool blocks = run && !is_free(equation, run) && run->extent >= LEAST_CHANNELS;
    bool crossing = expr_uses(last, equation->free[equation->free_count - 1]);
    int axis = still_axis(equation, read, false);
    if (crossing && !*wanted) *wanted = axis == KEEP ? other_index(equation, read) : followed(equation, read, axis);
    return blocks || axis == KEEP || (!crossing && is_free(equation, innermost(read->args[axis]))) ? KEEP : axis;
}

static void visit_windows(Expr *read, bool inside, void *context)
{
    Search *search = context;
    if (inside) turn(search->o, read->tensor, axis_beside_windows(search->equation, read, &search->wanted));
}

static void visit_followers(Expr *read, bool inside, void *context)
{
    (void)inside;
    Search *search = context;
    const Tensor *tensor = read->tensor;
    if (search->wanted || !is_run_time(tensor) || tensor->id >= search->o->count || search->o->fastest[tensor->id] == KEEP) return;
    search->wanted = followed(search->equation, read, search->o->fastest[tensor->id]);
}

static void visit_leaders(Expr *read, bool inside, void *context)
{
    Search *search = context;
    if (!is_run_time(read->tensor) || read->count < 2) return;
    if (uses_index(read, search->wanted)) turn(search->o, read->tensor, axis_along(read->args, read->count, search->wanted));
    else if (inside && innermost(read->args[read->count - 1]) && is_free(search->equation, innermost(read->args[read->count - 1])))
        turn(search->o, read->tensor, still_axis(search->equation, read, true));
}

/* One round over all equations: results follow what they read, operands follow results. */
static void spread(Orienter *o)
{
    Module *module = o->s->module;
    for (int i = 0; i < module->equations.count; i++) {
        Equation *equation = module->equations.data[i];
        Tensor *result = equation->result;
        Search search = {.o = o, .equation = equation};
        if (equation->packed || equation->free_count < 2) continue;
        const Expr *reduce = equation_reduce(equation);
        if (reduce) expr_reads(equation->value, reduce, visit_windows, &search);
        if (!search.wanted) expr_reads(equation->value, reduce, visit_followers, &search);
        if (search.wanted) turn(o, result, axis_along(equation->subscripts, equation->rank, search.wanted));
        if (o->fastest[result->id] == KEEP) continue;
        search.wanted = innermost(equation->subscripts[o->fastest[result->id]]);
        if (search.wanted) expr_reads(equation->value, reduce, visit_leaders, &search);
    }
}

/* --- outputs ------------------------------------------------------------------------------------------------------- */
static Expr *read_instead(Module *module, Tensor *tensor, const Expr *read)
{
    return expr_read(module, tensor, read->count, read->args, read->otherwise, read->place);
}

typedef struct {
    const Tensor *old;
    Tensor *fresh;
} Renaming;

static void rename_read(Expr *node, void *context)
{
    const Renaming *renaming = context;
    if (node->kind == EXPR_READ && node->tensor == renaming->old) node->tensor = renaming->fresh;
}

/* An output whose windows want another order is computed apart and copied into its place. */
static void detach_output(Orienter *o, Equation *equation)
{
    Scheduler *s = o->s;
    Module *module = s->module;
    Tensor *output = equation->result;
    Tensor *inner = tensor_new(module, TENSOR_LOCAL, arena_printf(s->arena, "%s.turned%d", output->name, module->tensors.count), output->type,
                               output->rank, output->extents, output->origin);
    tensor_plan_new(s, inner);
    Renaming renaming = {output, inner};
    for (int i = 0; i < module->equations.count; i++) expr_walk(module->equations.data[i]->value, rename_read, &renaming);
    equation->result = inner;
    Equation *copy = equation_new(module, output, equation->origin, equation->frame);
    module->equations.count--;
    for (int axis = 0; axis < output->rank; axis++) {
        Index *index = index_new(module, arena_printf(s->arena, "_%d", axis), output->extents[axis], output->origin);
        copy->free[copy->free_count++] = index;
        copy->subscripts[axis] = expr_index(module, index, output->origin);
    }
    Expr read = {.count = output->rank, .args = copy->subscripts, .place = output->origin};
    copy->value = read_instead(module, inner, &read);
    list_push(s->arena, &o->ordered, copy);
    plan_note(s, copy, "%s is computed in another order of axes, then copied", output->name);
}

static void visit_wanted(Expr *read, bool inside, void *context)
{
    Search *search = context;
    if (inside) axis_beside_windows(search->equation, read, &search->wanted);
}

static void detach_outputs(Orienter *o)
{
    Module *module = o->s->module;
    for (int i = 0; i < module->equations.count; i++) {
        Equation *equation = module->equations.data[i];
        list_push(o->s->arena, &o->ordered, equation);
        if (equation->packed || !equation->result->output_name || equation->rank < 2) continue;
        Search search = {.o = o, .equation = equation};
        const Expr *reduce = equation_reduce(equation);
        if (reduce) expr_reads(equation->value, reduce, visit_wanted, &search);
        int axis = search.wanted ? axis_along(equation->subscripts, equation->rank, search.wanted) : KEEP;
        if (axis != KEEP && axis != equation->rank - 1) detach_output(o, equation);
    }
    module->equations.count = 0;
    for (int i = 0; i < o->ordered.count; i++) list_push(o->s->arena, &module->equations, o->ordered.data[i]);
}

/* --- the change ---------------------------------------------------------------------------------------------------- */
/* Moves element `axis` of an array of `rank` pointers behind the others, in a copy. */
static Expr **moved_last(const Orienter *o, Expr *const *args, int rank, int axis)
{
    Expr **moved = arena_new_array(o->s->arena, Expr *, rank);
    int to = 0;
    for (int i = 0; i < rank; i++)
        if (i != axis) moved[to++] = args[i];
    moved[to] = args[axis];
    return moved;
}

static void turn_read(Expr *node, void *context)
{
    const Orienter *o = context;
    if (node->kind != EXPR_READ || node->tensor->id >= o->count || o->fastest[node->tensor->id] == KEEP) return;
    node->args = moved_last(o, node->args, node->count, o->fastest[node->tensor->id]);
}

/* Free indices in the order in which the result's subscripts name them. */
static void order_free(Equation *equation)
{
    Index *ordered[MAX_RANK * 2];
    int count = 0;
    for (int axis = 0; axis < equation->rank; axis++) {
        Linear linear;
        if (!index_linear(equation->subscripts[axis], &linear)) return;
        while (linear.count) {
            int first = 0;
            for (int i = 1; i < linear.count; i++)
                if (linear.coefficients[i] > linear.coefficients[first]) first = i;
            ordered[count++] = linear.indices[first];
            linear.indices[first] = linear.indices[--linear.count];
            linear.coefficients[first] = linear.coefficients[linear.count];
        }
    }
    if (count == equation->free_count) memcpy(equation->free, ordered, (size_t)count * sizeof *ordered);
}

static void turn_equation(Orienter *o, Equation *equation)
{
    Tensor *result = equation->result;
    expr_walk(equation->value, turn_read, o);
    if (o->fastest[result->id] == KEEP) return;
    Expr **subscripts = moved_last(o, equation->subscripts, equation->rank, o->fastest[result->id]);
    memcpy(equation->subscripts, subscripts, (size_t)equation->rank * sizeof *subscripts);
    order_free(equation);
    plan_note(o->s, equation, "the fastest axis of %s is its axis %d", result->name, o->fastest[result->id]);
}

static void turn_tensor(Tensor *tensor, int axis)
{
    int64_t extent = tensor->extents[axis];
    memmove(tensor->extents + axis, tensor->extents + axis + 1, (size_t)(tensor->rank - 1 - axis) * sizeof extent);
    tensor->extents[tensor->rank - 1] = extent;
}

/* --- weights ------------------------------------------------------------------------------------------------------- */
/* Weights whose neighbours along the fastest index are no neighbours in memory. */
static bool crossed(const Equation *equation, const Expr *read)
{
    const Index *last = equation->free[equation->free_count - 1];
    if (read->count < 2 || read->otherwise || is_run_time(read->tensor) || last->extent < LEAST_CHANNELS || !uses_index(read, last)) return false;
    for (int axis = 0; axis < read->count; axis++) {
        Linear linear;
        if (!index_linear(read->args[axis], &linear)) return false;
        if (axis < read->count - 1 && read->tensor->extents[axis] > 1 && linear_coefficient(&linear, last)) return true;
    }
    return false;
}

static void collect_axes(const Expr *read, const Index *last, Axis *axes, int *rank)
{
    for (int axis = 0; axis < read->count; axis++) {
        Linear linear;
        index_linear(read->args[axis], &linear);
        for (int i = 0; i < linear.count; i++) {
            int k = 0;
            while (k < *rank && axes[k].indices[0] != linear.indices[i]) k++;
            if (k < *rank || linear.indices[i] == last || *rank == MAX_RANK - 1) continue;
            axes[(*rank)++] = (Axis){1, 1, {linear.indices[i]}, {linear.indices[i]}};
        }
    }
}

static void visit_columns(Expr *read, bool inside, void *context)
{
    Search *search = context;
    const Index *last = search->equation->free[search->equation->free_count - 1];
    if (inside && is_run_time(read->tensor) && uses_index(read, last)) search->columns = false;
}

static void visit_weights(Expr *read, bool inside, void *context)
{
    Search *search = context;
    if ((inside && search->columns) || !crossed(search->equation, read)) return;
    Index *last = search->equation->free[search->equation->free_count - 1];
    Axis axes[MAX_RANK] = {0};
    int rank = 0;
    int64_t size = last->extent;
    collect_axes(read, last, axes, &rank);
    axes[rank++] = (Axis){1, 1, {last}, {last}};
    for (int i = 0; i < rank - 1; i++) size *= axes[i].indices[0]->extent;
    if (size > tensor_count(read->tensor)) return;
    Expr value = *read;
    Expr *moved = materialise(search->o->s, search->equation, "turned", &value, rank, axes);
    read->tensor = moved->tensor;
    read->count = moved->count;
    read->args = moved->args;
}

/* ------------------------------------------------------------------------------------------------------------------- */
void orient_tensors(Scheduler *s)
{
    Module *module = s->module;
    Orienter o = {.s = s};
    detach_outputs(&o);
    o.count = module->tensors.count;
    o.fastest = arena_new_array(s->scratch, int, o.count + 1);
    for (int i = 0; i < o.count; i++) o.fastest[i] = KEEP;
    do {
        o.changed = false;
        spread(&o);
    } while (o.changed);
    for (int i = 0; i < module->equations.count; i++) turn_equation(&o, module->equations.data[i]);
    for (int i = 0; i < o.count; i++)
        if (o.fastest[i] != KEEP) turn_tensor(module->tensors.data[i], o.fastest[i]);
    int count = module->equations.count;
    for (int i = 0; i < count; i++) {
        Search search = {.o = &o, .equation = module->equations.data[i], .columns = true};
        Expr *reduce = equation_reduce(search.equation);
        if (search.equation->packed || !search.equation->free_count) continue;
        expr_reads(search.equation->value, reduce, visit_columns, &search);
        expr_reads(search.equation->value, reduce, visit_weights, &search);
    }
}
