/* Calls to kernels: calls of equal structure share one kernel.
 * In: calls with layouts.  Out: kernels with parameters, calls with arguments, and a class for roll.c: calls of one class differ in
 * their arguments' addresses alone. What the constant subscripts of a tensor have in common is part of its address there.
 *
 * The structure is written out as a text with indices, nodes and tensors numbered in order of appearance; equal texts, equal kernels. */
#include "schedule/schedule.h"

#include "equation/index.h"
#include "equation/node_map.h"

#include <stdio.h>

typedef struct {
    Scheduler *s;
    Call *call;
    Text key;
    bool relative; /* leave the constants of plain tensors out */
    NodeMap nodes, indices;
    int node_count, index_count;
    int stamp;
} Writer;

/* --- words --------------------------------------------------------------------------------------------------------- */
static void put_int(Writer *w, char tag, int64_t value)
{
    char buffer[24], *at = buffer + sizeof buffer;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0) *--at = '-';
    *--at = tag;
    text_add_bytes(&w->key, at, (size_t)(buffer + sizeof buffer - at));
}

static int64_t index_number(Writer *w, const Index *index)
{
    intptr_t number = (intptr_t)node_map_get(&w->indices, index, NULL);
    if (!number) {
        number = ++w->index_count;
        node_map_put(&w->indices, index, (void *)number);
        put_int(w, 'x', index->extent);
    }
    return number;
}

/* --- tensors ------------------------------------------------------------------------------------------------------- */
static Argument *argument_new(Writer *w, Tensor *tensor)
{
    const TensorPlan *plan = tensor_plan(tensor);
    Argument *argument = arena_new_object(w->s->arena, Argument);
    argument->tensor = tensor;
    argument->region = plan->region;
    argument->shift_bytes = plan->shift_bytes;
    list_push(w->s->arena, &w->call->arguments, argument);
    list_push(w->s->arena, &w->call->kernel->parameters, (KernelParameter){.tensor = tensor});
    return argument;
}

static void put_tensor(Writer *w, Tensor *tensor, Expr *const *subscripts)
{
    TensorPlan *plan = tensor_plan(tensor);
    const Layout *layout = &plan->layout;
    if (plan->stamp == w->stamp) {
        put_int(w, 't', plan->parameter);
        return;
    }
    plan->stamp = w->stamp;
    plan->parameter = w->node_count + 1; /* unique in the key is enough */
    w->node_count++;
    bool caller = layout->storage == STORE_INPUT || layout->storage == STORE_OUTPUT;
    put_int(w, plan->in_row ? 'S' : caller ? 'C' : 'T', plan->parameter);
    put_int(w, ':', (int)tensor->type);
    for (int axis = 0; axis < tensor->rank; axis++) {
        put_int(w, 'e', tensor->extents[axis]);
        put_int(w, 's', layout->strides[axis]);
    }
    for (int axis = 0; axis < tensor->rank; axis++) {
        Linear linear;
        plan->constants[axis] = plan->plain && index_linear(subscripts[axis], &linear) ? linear.constant : 0;
    }
    if (plan->in_row || w->relative) return; /* the relative text comes first, the absolute one makes the arguments */
    Argument *argument = argument_new(w, tensor);
    for (int axis = 0; axis < tensor->rank; axis++)
        argument->constant_bytes += plan->constants[axis] * layout->strides[axis] * element_type_size(tensor->type);
}

/* A linear subscript as its terms in order of index numbers, so that ways of writing it don't matter. */
static void put_linear(Writer *w, const Linear *linear, int64_t common)
{
    int64_t numbers[MAX_TERMS], coefficients[MAX_TERMS];
    for (int i = 0; i < linear->count; i++) {
        int64_t number = index_number(w, linear->indices[i]);
        int at = i;
        for (; at > 0 && numbers[at - 1] > number; at--) numbers[at] = numbers[at - 1], coefficients[at] = coefficients[at - 1];
        numbers[at] = number;
        coefficients[at] = linear->coefficients[i];
    }
    put_int(w, '[', linear->constant - common);
    for (int i = 0; i < linear->count; i++) {
        put_int(w, '+', coefficients[i]);
        put_int(w, 'i', numbers[i]);
    }
}

static void put_expr(Writer *w, Expr *expr);

static void put_subscripts(Writer *w, Tensor *tensor, int rank, Expr *const *subscripts)
{
    const TensorPlan *plan = tensor_plan(tensor);
    put_tensor(w, tensor, subscripts);
    for (int axis = 0; axis < rank; axis++) {
        Linear linear;
        if (index_linear(subscripts[axis], &linear))
            put_linear(w, &linear, w->relative && plan->plain ? plan->constants[axis] : 0);
        else
            put_expr(w, subscripts[axis]);
    }
}

/* --- expressions --------------------------------------------------------------------------------------------------- */
static void put_number(Writer *w, const Expr *expr)
{
    char buffer[48];
    int length = snprintf(buffer, sizeof buffer, "%c%a", expr->integer ? '#' : '.', expr->number);
    text_add_bytes(&w->key, buffer, (size_t)length);
}

static void put_expr(Writer *w, Expr *expr)
{
    if (expr->kind == EXPR_NUMBER) {
        put_number(w, expr);
        return;
    }
    intptr_t known = (intptr_t)node_map_get(&w->nodes, expr, NULL);
    if (known) {
        put_int(w, '@', known);
        return;
    }
    node_map_put(&w->nodes, expr, (void *)(intptr_t)++w->node_count);
    switch (expr->kind) {
    case EXPR_NUMBER:
        break;
    case EXPR_INDEX:
        put_int(w, 'i', index_number(w, expr->index));
        break;
    case EXPR_READ:
        put_subscripts(w, expr->tensor, expr->count, expr->args);
        break;
    case EXPR_APPLY:
        put_int(w, expr->integer ? 'F' : 'f', (int)expr->function);
        for (int i = 0; i < expr->count; i++) put_expr(w, expr->args[i]);
        break;
    case EXPR_REDUCE:
        put_int(w, 'R', (int)expr->reduction);
        for (int i = 0; i < expr->index_count; i++) put_int(w, 'i', index_number(w, expr->indices[i]));
        put_expr(w, expr->args[0]);
        break;
    }
    if (expr->otherwise) {
        text_add_bytes(&w->key, "|", 1);
        put_expr(w, expr->otherwise);
    }
}

static void put_equation(Writer *w, Equation *equation)
{
    put_int(w, 'E', equation->free_count);
    for (int i = 0; i < equation->free_count; i++) put_int(w, 'i', index_number(w, equation->free[i]));
    put_expr(w, equation->value);
    text_add_bytes(&w->key, "=", 1);
    put_subscripts(w, equation->result, equation->rank, equation->subscripts);
}

static void put_group(Writer *w, char tag, Index *const *group, int count)
{
    put_int(w, tag, count);
    for (int i = 0; i < count; i++) put_int(w, 'i', index_number(w, group[i]));
}

static void put_contraction(Writer *w, const Contraction *c)
{
    put_group(w, 'b', c->batch, c->batch_count);
    put_group(w, 'm', c->m, c->m_count);
    put_group(w, 'n', c->n, c->n_count);
    put_group(w, 'k', c->k, c->k_count);
    put_int(w, 'p', c->panels);
}

static const char *call_key(Scheduler *s, Call *call, bool relative)
{
    Writer w = {.s = s, .call = call, .key = text_new(s->scratch), .relative = relative, .stamp = ++s->stamp};
    const Kernel *kernel = call->kernel;
    node_map_init(&w.nodes);
    node_map_init(&w.indices);
    put_int(&w, 'K', (int)kernel->form);
    put_int(&w, 'r', kernel->row_count);
    put_int(&w, 'q', kernel->status_input * 4 + kernel->windows * 2 + kernel->serial);
    for (int i = 0; i < call->equations.count; i++) put_equation(&w, call->equations.data[i]);
    if (kernel->form == KERNEL_CONTRACTION) put_contraction(&w, &kernel->contraction);
    if (kernel->chain) {
        put_contraction(&w, &kernel->chain->first);
        put_contraction(&w, &kernel->chain->second);
    }
    node_map_free(&w.nodes);
    node_map_free(&w.indices);
    return text_string(&w.key);
}

/* --- tensors whose constants may move into their address ----------------------------------------------------------- */
static void check_plain(const Expr *const *subscripts, TensorPlan *plan, int rank, bool otherwise)
{
    for (int axis = 0; axis < rank; axis++) {
        Linear linear;
        if (otherwise || !index_linear(subscripts[axis], &linear)) plan->plain = false;
    }
}

static void visit_plain(Expr *read, bool inside, void *context)
{
    (void)inside, (void)context;
    check_plain((const Expr *const *)read->args, tensor_plan(read->tensor), read->count, read->otherwise != NULL);
}

static void find_plain(Call *call)
{
    for (int i = 0; i < call->reads.count; i++) tensor_plan(call->reads.data[i])->plain = true;
    for (int i = 0; i < call->writes.count; i++) tensor_plan(call->writes.data[i])->plain = true;
    for (int i = 0; i < call->equations.count; i++) {
        Equation *equation = call->equations.data[i];
        expr_reads(equation->value, NULL, visit_plain, NULL);
        check_plain((const Expr *const *)equation->subscripts, tensor_plan(equation->result), equation->rank, false);
    }
}

/* --- parameters ---------------------------------------------------------------------------------------------------- */
static void mark_written(Call *call)
{
    for (int i = 0; i < call->arguments.count; i++) {
        Argument *argument = call->arguments.data[i];
        for (int j = 0; j < call->writes.count; j++) argument->written |= call->writes.data[j] == argument->tensor;
        call->kernel->parameters.data[i].written = argument->written;
    }
}

/* Flags that hold for some call hold for the kernel. */
static void mark_in_place(Call *call)
{
    for (int i = 0; i < call->arguments.count; i++)
        for (int j = 0; j < call->arguments.count; j++) {
            const Argument *written = call->arguments.data[i], *other = call->arguments.data[j];
            if (i == j || !written->written || written->region != other->region) continue;
            call->kernel->parameters.data[i].in_place = true;
            call->kernel->parameters.data[j].in_place = true;
        }
}

void share_kernels(Scheduler *s)
{
    Map kernels = {0}, classes = {0};
    for (int i = 0; i < s->calls.count; i++) {
        Call *call = s->calls.data[i];
        find_plain(call);
        const char *class = call_key(s, call, true), *exact = call_key(s, call, false);
        mark_written(call);
        Kernel *known = map_get(&kernels, exact);
        if (known) {
            call->kernel = known;
        } else {
            map_put(s->scratch, &kernels, exact, call->kernel);
            call->kernel->id = s->plan->kernels.count;
            list_push(s->arena, &s->plan->kernels, call->kernel);
        }
        mark_in_place(call);
        intptr_t number = (intptr_t)map_get(&classes, class);
        if (!number) map_put(s->scratch, &classes, class, (void *)(number = classes.count + 1));
        call->roll_class = (int)number;
    }
}
