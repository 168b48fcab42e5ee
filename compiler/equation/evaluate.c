/* The reference evaluator's entries: one element, one module. The work is in program.c and program_run.c. */
#include "equation/evaluate.h"

#include "equation/index.h"
#include "equation/node_map.h"
#include "equation/program.h"
#include "support/bug.h"

double equation_evaluate_at(const Equation *equation, const int64_t *free_values, TensorReader *reader, void *context, bool *clamped)
{
    Arena *arena = arena_new();
    static const int64_t none[1] = {0};
    Program *program = program_compile(arena, equation, NULL, free_values ? free_values : none);
    program->reader = reader;
    program->context = context;
    program_run(program);
    if (clamped && program->clamped) *clamped = true;
    double value = program->single;
    arena_free(arena);
    return value;
}

int64_t equation_element_at(const Equation *equation, const int64_t *free_values)
{
    int64_t element = 0;
    for (int axis = 0; axis < equation->rank; axis++) {
        Linear linear;
        if (!index_linear(equation->subscripts[axis], &linear)) bug("the left side of %s is not linear", equation->result->name);
        int64_t at = linear.constant;
        for (int i = 0; i < equation->free_count; i++) at += linear_coefficient(&linear, equation->free[i]) * free_values[i];
        element = element * equation->result->extents[axis] + at;
    }
    return element;
}

/* --- modules ------------------------------------------------------------------------------------------------------ */
typedef struct {
    const Module *module;
    NodeMap seen;   /* tensors and nodes looked at */
    const Tensor *input;
} InputSearch;

static void search_tensor(InputSearch *search, const Tensor *tensor);

static void search_read(Expr *node, void *context)
{
    if (node->kind == EXPR_READ) search_tensor(context, node->tensor);
}

static void search_tensor(InputSearch *search, const Tensor *tensor)
{
    if (search->input || !node_map_put(&search->seen, tensor, NULL)) return;
    if (tensor->kind == TENSOR_INPUT) search->input = tensor;
    if (tensor->kind != TENSOR_LOCAL) return;
    for (int i = 0; i < search->module->equations.count && !search->input; i++)
        if (search->module->equations.data[i]->result == tensor) expr_walk(search->module->equations.data[i]->value, search_read, search);
}

static void search_subscripts(Expr *node, void *context)
{
    if (node->kind != EXPR_READ) return;
    for (int axis = 0; axis < node->count; axis++) expr_walk(node->args[axis], search_read, context);
}

/* 1 + the input whose values an equation uses as subscripts, directly or through locals; 0: none. */
static int subscript_input(const Module *module, const Equation *equation)
{
    InputSearch search = {.module = module};
    node_map_init(&search.seen);
    expr_walk(equation->value, search_subscripts, &search);
    node_map_free(&search.seen);
    for (int i = 0; i < module->inputs.count; i++)
        if (module->inputs.data[i].tensor == search.input) return i + 1;
    return 0;
}

Evaluation *evaluation_new(Arena *arena, Module *module)
{
    Evaluation *evaluation = arena_new_object(arena, Evaluation);
    evaluation->arena = arena;
    evaluation->module = module;
    evaluation->values = arena_new_array(arena, double *, module->tensors.count + 1);
    return evaluation;
}

/* Memory of locals that nothing reads any more. */
typedef struct {
    int *last_reader; /* by tensor id: position of an equation, or -1 */
    int at;           /* of the equation visited */
    LIST(double *) buffers;
    LIST(int64_t) counts;
} Pool;

static void visit_reader(Expr *node, void *context)
{
    Pool *pool = context;
    if (node->kind == EXPR_READ) pool->last_reader[node->tensor->id] = pool->at;
}

static void find_readers(Pool *pool, Arena *arena, const Module *module)
{
    pool->last_reader = arena_new_array(arena, int, module->tensors.count + 1);
    for (int i = 0; i < module->tensors.count; i++) pool->last_reader[i] = -1;
    for (pool->at = 0; pool->at < module->equations.count; pool->at++) expr_walk(module->equations.data[pool->at]->value, visit_reader, pool);
    for (int i = 0; i < module->outputs.count; i++) pool->last_reader[module->outputs.data[i].tensor->id] = -1; /* never released */
}

static double *take_buffer(Pool *pool, Arena *arena, int64_t count)
{
    for (int i = 0; i < pool->buffers.count; i++) {
        if (pool->counts.data[i] != count) continue;
        double *buffer = pool->buffers.data[i];
        pool->buffers.data[i] = pool->buffers.data[--pool->buffers.count];
        pool->counts.data[i] = pool->counts.data[--pool->counts.count];
        return buffer;
    }
    return arena_new_array(arena, double, count);
}

typedef struct {
    Evaluation *evaluation;
    Pool *pool;
    int at;
} Release;

static void release_read(Expr *node, void *context)
{
    Release *release = context;
    if (node->kind != EXPR_READ || node->tensor->kind != TENSOR_LOCAL || node->tensor->output_name) return;
    double **values = &release->evaluation->values[node->tensor->id];
    if (!*values || release->pool->last_reader[node->tensor->id] != release->at) return;
    list_push(release->evaluation->arena, &release->pool->buffers, *values);
    list_push(release->evaluation->arena, &release->pool->counts, tensor_count(node->tensor));
    *values = NULL;
}

int evaluation_run(Evaluation *evaluation)
{
    const Module *module = evaluation->module;
    int status = 0;
    for (int i = 0; i < module->tensors.count; i++)
        if (module->tensors.data[i]->kind == TENSOR_CONSTANT) evaluation->values[i] = module->tensors.data[i]->values;
    Arena *scratch = arena_new();
    Pool pool = {0};
    if (evaluation->outputs_only) find_readers(&pool, evaluation->arena, module);
    for (int i = 0; i < module->equations.count; i++) {
        const Equation *equation = module->equations.data[i];
        double **result = &evaluation->values[equation->result->id];
        if (evaluation->progress) evaluation->progress(evaluation->progress_context, i, module->equations.count);
        if (!*result) *result = take_buffer(&pool, evaluation->arena, tensor_count(equation->result));
        Program *program = program_compile(scratch, equation, evaluation->values, NULL);
        program->result = *result;
        program_run(program);
        if (program->clamped && status == 0) status = subscript_input(module, equation);
        arena_reset(scratch);
        if (!evaluation->outputs_only) continue;
        Release release = {evaluation, &pool, i};
        expr_walk(equation->value, release_read, &release);
    }
    if (evaluation->progress) evaluation->progress(evaluation->progress_context, module->equations.count, module->equations.count);
    arena_free(scratch);
    return status;
}
