/* A model put together by hand, down to its loops, for tests of the C back end: every operation, every kind of storage, a rolled loop, a
 * static table with infinities, a data-dependent read, and names that C has taken.
 *
 *   double [20, 37] f32, ids [4] i32, bytes [4] u8  →  y [2, 20, 37], ops [OPS, 16], g [4], n [4] i32
 */
#ifndef GM_TESTS_EMIT_MODEL_H
#define GM_TESTS_EMIT_MODEL_H

#include "emit_c/blob.h"
#include "emit_c/emit_c.h"
#include "loop/build.h"

#include <math.h>
#include <string.h>

enum { ROWS = 20, COLUMNS = 37, IDS = 4 };
enum {
    TEST_ADD, TEST_SUB, TEST_MUL, TEST_DIV, TEST_FMA, TEST_NEG, TEST_MIN, TEST_MAX, TEST_MIN_ABS, TEST_POSITIVE, TEST_ABS, TEST_SQRT, TEST_FLOOR, TEST_ROUND, TEST_LT,
    TEST_LE, TEST_EQ, TEST_NE, TEST_AND, TEST_OR, TEST_NOT, TEST_FLAG, TEST_LANES, TEST_BITS, TEST_SHIFTS, TEST_INTEGERS, TEST_SUM,
    TEST_PRODUCT, TEST_ZIP_LOW, TEST_ZIP_HIGH, TEST_LEAST, TEST_GREATEST, TEST_SCALARS, TEST_WHOLE, TEST_CALL, OPS
};

typedef struct {
    Arena *arena;
    Module *module;
    Plan *plan;
    LoopProgram *program;
    Tensor *x, *ids, *bytes, *w, *table, *scratch, *y, *ops, *g, *n;
    Kernel *scale, *operators, *copy, *gather;
} EmitModel;

static inline Tensor *emit_tensor(EmitModel *m, TensorKind kind, const char *name, ElementType type, Storage storage, int port, int64_t offset, int rank,
                                  int64_t a, int64_t b, int64_t c)
{
    int64_t extents[] = {a, b, c};
    Tensor *tensor = tensor_new(m->module, kind, name, type, rank, extents, (Place){0});
    Layout *layout = arena_new_object(m->arena, Layout);
    *layout = (Layout){.storage = storage, .port = port, .offset_bytes = offset};
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) layout->strides[i] = stride, stride *= extents[i];
    layout->bytes = stride * element_type_size(type);
    tensor->extra = layout;
    return tensor;
}

static inline Kernel *emit_kernel(EmitModel *m, const char *name, int count, Tensor *const *tensors, const bool *written)
{
    Kernel *kernel = arena_new_object(m->arena, Kernel);
    kernel->id = m->plan->kernels.count;
    kernel->name = name;
    kernel->form = KERNEL_ROWS;
    for (int i = 0; i < count; i++) list_push(m->arena, &kernel->parameters, (KernelParameter){.tensor = tensors[i], .written = written[i]});
    list_push(m->arena, &m->plan->kernels, kernel);
    return kernel;
}

static inline Step *emit_step(EmitModel *m, Kernel *kernel)
{
    Step *step = arena_new_object(m->arena, Step);
    step->kind = STEP_CALL;
    step->kernel = kernel;
    for (int i = 0; i < kernel->parameters.count; i++) list_push(m->arena, &step->arguments, (CallArgument){.tensor = kernel->parameters.data[i].tensor});
    return step;
}

/* --- loops of one form -------------------------------------------------------------------------------------------- */
typedef struct {
    Builder *b;
    LoopKernel *kernel;
} KernelBuilder;

static inline KernelBuilder emit_loops(EmitModel *m, LoopForm *form, const Kernel *kernel, int64_t tasks)
{
    LoopKernel *loops = arena_new_object(m->arena, LoopKernel);
    loops->kernel = kernel;
    loops->target = form->target;
    loops->tasks = tasks;
    Builder *b = builder_new(m->arena, form->target->lanes, loops, &loops->body);
    for (int i = 0; i < kernel->parameters.count; i++) {
        Buffer *buffer = arena_new_object(m->arena, Buffer);
        const Tensor *tensor = kernel->parameters.data[i].tensor;
        *buffer = (Buffer){.id = b->next_buffer++, .name = builder_identifier(b, tensor->name), .type = tensor->type,
                           .written = kernel->parameters.data[i].written, .parameter = i};
        list_push(m->arena, &loops->buffers, buffer);
    }
    loops->task = build_name(b, VALUE_INT, "task");
    list_push(m->arena, &form->kernels, loops);
    return (KernelBuilder){b, loops};
}

/* y[task, c] = squash(x[task, c] * w[c] + table[c]), the tail in part; through a local array. */
static inline void emit_scale(EmitModel *m, LoopForm *form)
{
    KernelBuilder k = emit_loops(m, form, m->scale, ROWS);
    Builder *b = k.b;
    Buffer **p = k.kernel->buffers.data;
    int lanes = form->target->lanes;
    Value *row = build_scaled(b, build_variable(b, k.kernel->task), COLUMNS, 0);
    build_let(b, "never_read", build_load(b, p[0], build_int(b, 0)));
    Buffer *line = build_array(b, "line", TYPE_F32, 48);
    for (int tail = 0; tail < 2; tail++) {
        int64_t whole = COLUMNS / lanes * lanes, left = COLUMNS - whole;
        if (tail && !left) continue;
        Value *part = tail ? build_int(b, left) : NULL;
        Statement *loop = build_for(b, "c", build_int(b, tail ? whole : 0), build_int(b, tail ? COLUMNS : whole), lanes);
        Block *outer = b->block;
        b->block = &loop->body;
        Value *c = build_variable(b, loop->variable);
        Value *v = build_op(b, OP_FMA, build_load_vector(b, p[0], build_add(b, row, c), part), build_load_vector(b, p[1], c, part),
                            build_load_vector(b, p[2], c, part));
        build_store(b, line, c, build_call(b, FN_SIGMOID, v, NULL), part);
        build_store(b, p[3], build_add(b, row, c), build_load_vector(b, line, c, part), part);
        b->block = outer;
        build_append(b, loop);
    }
}

static inline void emit_result(Builder *b, Buffer *out, int test, Value *i, Value *value)
{
    build_store(b, out, build_add(b, i, build_int(b, 16 * test)), value, NULL);
}

/* Every operation on a = x[0, 0 …], b = x[0, 16 …]. */
static inline void emit_operators(EmitModel *m, LoopForm *form)
{
    KernelBuilder k = emit_loops(m, form, m->operators, 1);
    Builder *b = k.b;
    Buffer *x = k.kernel->buffers.data[0], *o = k.kernel->buffers.data[1];
    ValueType vector = builder_vector_type(b), ivector = b->lanes > 1 ? VALUE_IVECTOR : VALUE_I32;
    build_comment(b, "every operation once */ and a comment that tries to end ?" "?/");
    Statement *loop = build_for(b, "int", build_int(b, 0), build_int(b, 16), form->target->lanes);
    loop->unrolled = true;
    b->block = &loop->body;
    Value *i = build_variable(b, loop->variable);
    Value *p = build_let(b, "p", build_load_vector(b, x, i, NULL)), *q = build_let(b, "q", build_load_vector(b, x, build_add(b, i, build_int(b, 16)), NULL));
    Value *one = build_number(b, vector, 1), *zero = build_number(b, vector, 0);
    emit_result(b, o, TEST_ADD, i, build_op(b, OP_ADD, p, q, NULL));
    emit_result(b, o, TEST_SUB, i, build_op(b, OP_SUB, p, build_op(b, OP_SUB, q, p, NULL), NULL));
    emit_result(b, o, TEST_MUL, i, build_op(b, OP_MUL, p, build_op(b, OP_ADD, q, one, NULL), NULL));
    emit_result(b, o, TEST_DIV, i, build_op(b, OP_DIV, p, build_op(b, OP_MUL, q, q, NULL), NULL));
    emit_result(b, o, TEST_FMA, i, build_op(b, OP_FMA, p, q, one));
    emit_result(b, o, TEST_NEG, i, build_op(b, OP_NEG, build_op(b, OP_NEG, build_op(b, OP_ADD, p, q, NULL), NULL, NULL), NULL, NULL));
    emit_result(b, o, TEST_MIN, i, build_op(b, OP_MIN, p, q, NULL));
    emit_result(b, o, TEST_MAX, i, build_op(b, OP_MAX, p, q, NULL));
    emit_result(b, o, TEST_MIN_ABS, i, build_op(b, OP_MIN_ABS, p, build_op(b, OP_ABS, q, NULL, NULL), NULL));
    emit_result(b, o, TEST_POSITIVE, i, build_op(b, OP_POSITIVE, p, NULL, NULL));
    emit_result(b, o, TEST_ABS, i, build_op(b, OP_ABS, p, NULL, NULL));
    emit_result(b, o, TEST_SQRT, i, build_op(b, OP_SQRT, build_op(b, OP_MUL, p, p, NULL), NULL, NULL));
    emit_result(b, o, TEST_FLOOR, i, build_op(b, OP_FLOOR, p, NULL, NULL));
    emit_result(b, o, TEST_ROUND, i, build_op(b, OP_ROUND, p, NULL, NULL));
    Value *lt = build_op(b, OP_LT, p, q, NULL), *pos = build_op(b, OP_LT, zero, p, NULL);
    emit_result(b, o, TEST_LT, i, build_op(b, OP_SELECT, lt, one, zero));
    emit_result(b, o, TEST_LE, i, build_op(b, OP_SELECT, build_op(b, OP_LE, p, p, NULL), q, zero));
    emit_result(b, o, TEST_EQ, i, build_op(b, OP_SELECT, build_op(b, OP_EQ, p, p, NULL), one, zero));
    emit_result(b, o, TEST_NE, i, build_op(b, OP_SELECT, build_op(b, OP_NE, p, p, NULL), one, zero));
    emit_result(b, o, TEST_AND, i, build_op(b, OP_SELECT, build_op(b, OP_AND, lt, pos, NULL), one, zero));
    emit_result(b, o, TEST_OR, i, build_op(b, OP_SELECT, build_op(b, OP_OR, build_op(b, OP_AND, lt, pos, NULL), build_op(b, OP_NE, q, q, NULL), NULL), one, zero));
    emit_result(b, o, TEST_NOT, i, build_op(b, OP_SELECT, build_op(b, OP_NOT, lt, NULL, NULL), one, zero));
    Value *first = build_op(b, OP_LT, i, build_int(b, 8), NULL);
    Value *flag = b->lanes > 1 ? build_op(b, OP_SPLAT_FLAG, first, NULL, NULL) : first;
    emit_result(b, o, TEST_FLAG, i, build_op(b, OP_SELECT, flag, p, q));
    emit_result(b, o, TEST_LANES, i, build_op(b, OP_ADD, build_op(b, OP_LANES, NULL, NULL, NULL), build_splat(b, build_op(b, OP_TO_FLOAT, i, NULL, NULL)), NULL));
    emit_result(b, o, TEST_BITS, i, build_op(b, OP_BITS_TO_FLOAT, build_op(b, OP_AND, build_op(b, OP_FLOAT_TO_BITS, p, NULL, NULL),
                                                                          build_whole(b, ivector, 0x7fffffff), NULL), NULL, NULL));
    Value *whole = build_op(b, OP_TO_INT, build_op(b, OP_FLOOR, p, NULL, NULL), NULL, NULL);
    emit_result(b, o, TEST_SHIFTS, i, build_op(b, OP_TO_FLOAT, build_shift(b, OP_SHIFT_RIGHT, build_shift(b, OP_SHIFT_LEFT, whole, 4), 2), NULL, NULL));
    emit_result(b, o, TEST_INTEGERS, i, build_op(b, OP_TO_FLOAT, build_op(b, OP_SUB, build_op(b, OP_OR, build_op(b, OP_ADD, whole, build_whole(b, ivector, -3), NULL),
                                                                                            build_whole(b, ivector, 1), NULL), whole, NULL), NULL, NULL));
    emit_result(b, o, TEST_SUM, i, b->lanes > 1 ? build_splat(b, build_op(b, OP_REDUCE_ADD, p, NULL, NULL)) : p);
    emit_result(b, o, TEST_PRODUCT, i, b->lanes > 1 ? build_splat(b, build_op(b, OP_REDUCE_MUL, p, NULL, NULL)) : p);
    emit_result(b, o, TEST_ZIP_LOW, i, b->lanes > 1 ? build_op(b, OP_ZIP_LOW, p, q, NULL) : p);
    emit_result(b, o, TEST_ZIP_HIGH, i, b->lanes > 1 ? build_op(b, OP_ZIP_HIGH, p, q, NULL) : p);
    emit_result(b, o, TEST_LEAST, i, b->lanes > 1 ? build_splat(b, build_op(b, OP_REDUCE_MIN, p, NULL, NULL)) : p);
    emit_result(b, o, TEST_GREATEST, i, b->lanes > 1 ? build_splat(b, build_op(b, OP_REDUCE_MAX, p, NULL, NULL)) : p);
    /* Scalars beside vectors. */
    Value *s = build_let(b, "s", build_load(b, x, i)), *t = build_let(b, "short", build_load(b, x, build_add(b, i, build_int(b, 1))));
    Value *scalar = build_op(b, OP_MAX, build_op(b, OP_FMA, s, t, build_op(b, OP_SQRT, build_op(b, OP_ABS, s, NULL, NULL), NULL, NULL)),
                             build_op(b, OP_MIN, build_op(b, OP_FLOOR, s, NULL, NULL), build_op(b, OP_ROUND, t, NULL, NULL), NULL), NULL);
    scalar = build_op(b, OP_SELECT, build_op(b, OP_AND, build_op(b, OP_LT, s, t, NULL), build_op(b, OP_NOT, first, NULL, NULL), NULL), scalar,
                      build_op(b, OP_ADD, scalar, build_number(b, VALUE_FLOAT, -2.5), NULL));
    emit_result(b, o, TEST_SCALARS, i, build_splat(b, build_call(b, FN_SIGMOID, scalar, NULL)));
    /* Subscript arithmetic: mod, floordiv, min, max, abs, select of INT. */
    Value *n = build_sub(b, i, build_int(b, 5));
    Value *w = build_add(b, build_op(b, OP_MOD, n, build_int(b, 7), NULL), build_op(b, OP_FLOORDIV, n, build_int(b, 3), NULL));
    w = build_op(b, OP_MAX, build_op(b, OP_MIN, w, build_op(b, OP_ABS, n, NULL, NULL), NULL), build_op(b, OP_NEG, i, NULL, NULL), NULL);
    w = build_op(b, OP_SELECT, build_op(b, OP_OR, build_op(b, OP_EQ, n, build_int(b, 3), NULL), first, NULL), w, build_mul(b, w, build_int(b, 2)));
    emit_result(b, o, TEST_WHOLE, i, build_splat(b, build_op(b, OP_TO_FLOAT, w, NULL, NULL)));
    emit_result(b, o, TEST_CALL, i, build_call(b, FN_EXP, p, NULL));
    b->block = &k.kernel->body;
    build_append(b, loop);
}

/* ops[task] = scratch[task] */
static inline void emit_copy(EmitModel *m, LoopForm *form)
{
    KernelBuilder k = emit_loops(m, form, m->copy, OPS);
    Builder *b = k.b;
    Statement *loop = build_for(b, "i", build_int(b, 0), build_int(b, 16), form->target->lanes);
    b->block = &loop->body;
    Value *at = build_add(b, build_scaled(b, build_variable(b, k.kernel->task), 16, 0), build_variable(b, loop->variable));
    Statement *prefetch = build_statement(b, LOOP_PREFETCH);
    prefetch->buffer = k.kernel->buffers.data[0];
    prefetch->subscript = at;
    build_store(b, k.kernel->buffers.data[1], at, build_load_vector(b, k.kernel->buffers.data[0], at, NULL), NULL);
    b->block = &k.kernel->body;
    build_append(b, loop);
}

/* g[i] = w[clamp(ids[i])] + bytes[i], n[i] = ids[i] / 2 rounded down */
static inline void emit_gather(EmitModel *m, LoopForm *form)
{
    KernelBuilder k = emit_loops(m, form, m->gather, 1);
    Builder *b = k.b;
    Buffer **p = k.kernel->buffers.data;
    Statement *loop = build_for(b, "i", build_int(b, 0), build_int(b, IDS), 1);
    b->block = &loop->body;
    Value *i = build_variable(b, loop->variable);
    Value *id = build_let(b, "id", build_load(b, p[0], i));
    Statement *outside = build_if(b, build_op(b, OP_OR, build_op(b, OP_LT, id, build_int(b, 0), NULL), build_op(b, OP_LE, build_int(b, COLUMNS), id, NULL), NULL));
    b->block = &outside->body;
    build_statement(b, LOOP_STATUS);
    b->block = &loop->body;
    build_append(b, outside);
    Variable *clamped = build_declare(b, "clamped", id);
    build_set(b, clamped, build_op(b, OP_MIN, build_op(b, OP_MAX, build_variable(b, clamped), build_int(b, 0), NULL), build_int(b, COLUMNS - 1), NULL));
    Statement *store = build_statement(b, LOOP_STORE);
    store->buffer = p[3], store->subscript = i;
    store->value = build_op(b, OP_ADD, build_load(b, p[1], build_variable(b, clamped)), build_op(b, OP_TO_FLOAT, build_load(b, p[2], i), NULL, NULL), NULL);
    store = build_statement(b, LOOP_STORE);
    store->buffer = p[4], store->subscript = i, store->value = build_op(b, OP_FLOORDIV, id, build_int(b, 2), NULL);
    b->block = &k.kernel->body;
    build_append(b, loop);
}

/* exp is x * x here and sigmoid calls it: what is computed doesn't matter, how it is printed does. */
static inline LoopFunction *emit_function(EmitModel *m, Function function, const char *name, int lanes)
{
    LoopFunction *f = arena_new_object(m->arena, LoopFunction);
    f->function = function, f->lanes = lanes, f->name = name, f->parameter_count = 1;
    Builder *b = builder_new(m->arena, lanes, NULL, &f->body);
    f->parameters[0] = build_name(b, builder_vector_type(b), "register");
    Value *a = build_variable(b, f->parameters[0]);
    if (function == FN_EXP) f->result = build_let(b, "square", build_op(b, OP_MUL, a, a, NULL));
    else f->result = build_op(b, OP_FMA, a, build_number(b, builder_vector_type(b), 0.1), build_call(b, FN_EXP, a, NULL));
    return f;
}

static inline void emit_form_of(EmitModel *m, const Target *target)
{
    LoopForm *form = arena_new_object(m->arena, LoopForm);
    form->target = target;
    list_push(m->arena, &form->functions, emit_function(m, FN_EXP, "gm_exp", target->lanes));
    list_push(m->arena, &form->functions, emit_function(m, FN_TANH, "gm_tanh", target->lanes)); /* nothing calls it */
    list_push(m->arena, &form->functions, emit_function(m, FN_SIGMOID, "gm_sigmoid", target->lanes));
    if (target->lanes > 1) {
        list_push(m->arena, &form->scalar_functions, emit_function(m, FN_EXP, "gm_exp", 1));
        list_push(m->arena, &form->scalar_functions, emit_function(m, FN_SIGMOID, "gm_sigmoid", 1));
    }
    emit_scale(m, form);
    emit_operators(m, form);
    emit_copy(m, form);
    emit_gather(m, form);
    list_push(m->arena, &m->program->forms, form);
}

/* The model for a set of targets ("all", "scalar" …). */
static inline EmitModel *emit_model(Arena *arena, const char *name, const char *targets)
{
    EmitModel *m = arena_new_object(arena, EmitModel);
    m->arena = arena;
    m->module = module_new(arena, name);
    m->module->file = "by/hand.gm";
    m->plan = arena_new_object(arena, Plan);
    m->plan->module = m->module;
    m->x = emit_tensor(m, TENSOR_INPUT, "double", TYPE_F32, STORE_INPUT, 0, 0, 2, ROWS, COLUMNS, 0);
    m->ids = emit_tensor(m, TENSOR_INPUT, "ids", TYPE_I32, STORE_INPUT, 1, 0, 1, IDS, 0, 0);
    m->bytes = emit_tensor(m, TENSOR_INPUT, "bytes", TYPE_U8, STORE_INPUT, 2, 0, 1, IDS, 0, 0);
    m->w = emit_tensor(m, TENSOR_WEIGHT, "w", TYPE_F32, STORE_BLOB, 0, 0, 1, COLUMNS, 0, 0);
    m->w->path = "w";
    Tensor *w2 = emit_tensor(m, TENSOR_WEIGHT, "w2", TYPE_F32, STORE_BLOB, 0, 192, 1, COLUMNS, 0, 0);
    w2->path = "w2";
    m->table = emit_tensor(m, TENSOR_CONSTANT, "table", TYPE_F32, STORE_STATIC, 0, 0, 1, COLUMNS, 0, 0);
    m->table->values = arena_new_array(arena, double, COLUMNS);
    for (int i = 0; i < COLUMNS; i++) m->table->values[i] = i == 3 ? INFINITY : i == 4 ? -INFINITY : i == 5 ? NAN : i == 6 ? -0.0 : i == 7 ? 1e-40 : i / 3.0 - 5;
    m->scratch = emit_tensor(m, TENSOR_LOCAL, "scratch", TYPE_F32, STORE_ARENA, 0, 64, 2, OPS, 16, 0);
    m->y = emit_tensor(m, TENSOR_LOCAL, "y", TYPE_F32, STORE_OUTPUT, 0, 0, 3, 2, ROWS, COLUMNS);
    m->ops = emit_tensor(m, TENSOR_LOCAL, "ops", TYPE_F32, STORE_OUTPUT, 1, 0, 2, OPS, 16, 0);
    m->g = emit_tensor(m, TENSOR_LOCAL, "g", TYPE_F32, STORE_OUTPUT, 2, 0, 1, IDS, 0, 0);
    m->n = emit_tensor(m, TENSOR_LOCAL, "n", TYPE_I32, STORE_OUTPUT, 3, 0, 1, IDS, 0, 0);
    Tensor *const inputs[] = {m->x, m->ids, m->bytes}, *const outputs[] = {m->y, m->ops, m->g, m->n};
    for (int i = 0; i < 3; i++) list_push(arena, &m->module->inputs, (Port){.name = inputs[i]->name, .tensor = inputs[i]});
    for (int i = 0; i < 4; i++) list_push(arena, &m->module->outputs, (Port){.name = outputs[i]->name, .tensor = outputs[i]});
    list_push(arena, &m->module->weights, m->w);
    list_push(arena, &m->module->weights, w2);
    list_push(arena, &m->plan->blob, m->w);
    list_push(arena, &m->plan->blob, w2);
    list_push(arena, &m->plan->statics, m->table);
    m->plan->arena_bytes = 64 + 64 * OPS;
    m->plan->blob_bytes = 384;

    m->scale = emit_kernel(m, "scale", 4, (Tensor *const[]){m->x, m->w, m->table, m->y}, (const bool[]){false, false, false, true});
    m->operators = emit_kernel(m, "run", 2, (Tensor *const[]){m->x, m->scratch}, (const bool[]){false, true});
    m->copy = emit_kernel(m, "copy", 2, (Tensor *const[]){m->scratch, m->ops}, (const bool[]){false, true});
    m->gather = emit_kernel(m, "gather", 5, (Tensor *const[]){m->ids, m->w, m->bytes, m->g, m->n}, (const bool[]){false, false, false, true, true});
    m->gather->serial = true;
    m->gather->status_input = 2;
    Step *loop = arena_new_object(arena, Step), *scale = emit_step(m, m->scale);
    scale->arguments.data[1].step_bytes[0] = 192;
    scale->arguments.data[3].step_bytes[0] = 4 * ROWS * COLUMNS;
    loop->kind = STEP_LOOP, loop->count = 2;
    list_push(arena, &loop->steps, scale);
    list_push(arena, &m->plan->steps, loop);
    list_push(arena, &m->plan->steps, emit_step(m, m->operators));
    list_push(arena, &m->plan->steps, emit_step(m, m->copy));
    list_push(arena, &m->plan->steps, emit_step(m, m->gather));

    m->program = arena_new_object(arena, LoopProgram);
    m->program->plan = m->plan;
    if (!target_set_find(targets, &m->program->targets)) return NULL;
    m->plan->family = m->program->targets.family;
    for (int i = 0; i < m->program->targets.count; i++) emit_form_of(m, m->program->targets.forms[i]);
    loop_verify(m->program);
    return m;
}

/* A weight file for it. */
static inline unsigned char *emit_blob_of(const EmitModel *m, const unsigned char *selftest, size_t selftest_bytes, size_t *size)
{
    float payload[96];
    for (int i = 0; i < 96; i++) payload[i] = (float)(i % 48) * 0.25f - 3.0f;
    return blob_build(m->plan, (const unsigned char *)payload, selftest, selftest_bytes, size);
}

#endif
