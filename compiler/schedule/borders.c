/* Windows whose lines lowering copies close together need no copy with a border before: theirs gets one.
 * In: run-time equations in order, those that are no contractions with reads of copies that pad.c made.  Out: the same with reads
 * x[.., i + u - P, ..] or number where lines.c says that lines are copied; copies that nothing reads any more are gone. */
#include "schedule/schedule.h"

#include "equation/index.h"
#include "schedule/lines.h"

typedef struct {
    Scheduler *s;
    int count;
    Expr *reads[MOST_LINE_READS];
    Expr before[MOST_LINE_READS]; /* what they were */
    bool possible;
} Sparing;

/* What the copy's reader reads of the tensor itself: subscripts, or NULL. */
static Expr **inner_subscripts(Scheduler *s, const Expr *read)
{
    Module *module = s->module;
    const Equation *inside = tensor_plan(read->tensor)->inside;
    const Expr *x = inside->value;
    Substitution map[MAX_RANK];
    int count = 0;
    for (int axis = 0; axis < read->count; axis++) {
        Linear linear;
        if (!index_linear(inside->subscripts[axis], &linear) || linear.count > 1) return NULL;
        if (linear.count == 0 && read->tensor->extents[axis] > 1) return NULL;
        if (linear.count == 0) continue;
        Expr *moved = expr_apply(module, FN_SUB, read->args[axis], expr_int(module, linear.constant), NULL, read->place);
        map[count++] = (Substitution){linear.indices[0], index_simplify(module, moved)};
    }
    Expr **args = arena_new_array(module->arena, Expr *, x->count);
    for (int axis = 0; axis < x->count; axis++) args[axis] = index_simplify(module, expr_substitute(module, x->args[axis], map, count));
    return args;
}

static void visit_read(Expr *read, bool inside, void *context)
{
    Sparing *sparing = context;
    const Equation *copy = inside ? tensor_plan(read->tensor)->inside : NULL;
    if (!copy || !sparing->possible) return;
    Expr **args = sparing->count < MOST_LINE_READS && copy->value->kind == EXPR_READ ? inner_subscripts(sparing->s, read) : NULL;
    if (!args) {
        sparing->possible = false;
        return;
    }
    sparing->reads[sparing->count] = read;
    sparing->before[sparing->count++] = *read;
    read->otherwise = expr_number(sparing->s->module, tensor_plan(read->tensor)->outside, false, read->place);
    read->args = args;
    read->count = copy->value->count;
    read->tensor = copy->value->tensor;
}

static void spare_equation(Scheduler *s, Equation *equation)
{
    Sparing sparing = {.s = s, .possible = true};
    Expr *reduce = equation_reduce(equation);
    if (!reduce || !is_windows(s, equation)) return;
    expr_reads(equation->value, reduce, visit_read, &sparing);
    if (sparing.count == 0 || (sparing.possible && is_windows(s, equation))) return;
    for (int i = 0; i < sparing.count; i++) *sparing.reads[i] = sparing.before[i];
}

static void count_read(Expr *read, bool inside, void *context)
{
    (void)inside;
    (void)context;
    if (tensor_plan(read->tensor)->inside) tensor_plan(read->tensor)->used = true;
}

/* Copies that nothing reads. */
static void drop_copies(Scheduler *s)
{
    int kept = 0;
    for (int i = 0; i < s->order.count; i++) expr_reads(s->order.data[i]->value, NULL, count_read, NULL);
    for (int i = 0; i < s->order.count; i++) {
        TensorPlan *plan = tensor_plan(s->order.data[i]->result);
        if (plan->inside && !plan->used) {
            plan_note(s, s->order.data[i], "not needed: the windows' own copies have the border");
            continue;
        }
        s->order.data[kept] = s->order.data[i];
        s->contractions.data[kept++] = s->contractions.data[i];
    }
    s->order.count = s->contractions.count = kept;
    for (int i = 0; i < s->order.count; i++) tensor_plan(s->order.data[i]->result)->used = false;
}

void spare_borders(Scheduler *s)
{
    if (s->family != FAMILY_VECTOR) return;
    for (int i = 0; i < s->order.count; i++)
        if (!s->contractions.data[i]) spare_equation(s, s->order.data[i]);
    drop_copies(s);
}
