/* Runs a program of the reference evaluator; see program.h. Everything is done in double, chunk by chunk. */
#include "equation/program.h"

#include "equation/mathematics.h"

#include "support/bug.h"

#include <math.h>
#include <string.h>

static void run_block(Program *program, const Block *block);

static int lanes_of(const Program *program, const Register *reg)
{
    return reg->varies ? program->lanes : 1;
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */
static int64_t address_at(const Address *address, int64_t *stride)
{
    int64_t flat = address->constant;
    *stride = 0;
    for (int i = 0; i < address->count; i++) {
        flat += address->terms[i].coefficient * address->terms[i].loop->at;
        if (address->terms[i].loop->vector) *stride = address->terms[i].coefficient;
    }
    return flat;
}

static double fetch(const Program *program, const Op *op, int64_t element)
{
    return op->values ? op->values[element] : program->reader(program->context, op->tensor, element);
}

static void copy_lanes(const Program *program, const Op *op, int64_t flat, int64_t stride, int first, int end)
{
    double *to = op->result->values;
    if (!op->values) {
        for (int l = first; l < end; l++) to[l] = program->reader(program->context, op->tensor, flat + l * stride);
        return;
    }
    const double *from = op->values + flat;
    if (stride == 1) memcpy(to + first, from + first, (size_t)(end > first ? end - first : 0) * sizeof *to);
    else
        for (int l = first; l < end; l++) to[l] = from[l * stride];
}

/* --- reads -------------------------------------------------------------------------------------------------------- */
static void run_read(Program *program, const Op *op)
{
    int64_t stride, flat = address_at(&op->address, &stride);
    if (op->values && (stride == 1 || !op->result->varies)) op->result->values = (double *)op->values + flat; /* read in place, never written */
    else copy_lanes(program, op, flat, stride, 0, lanes_of(program, op->result));
}

static int64_t ceil_divide(int64_t a, int64_t b)
{
    return a / b + (a % b != 0 && (a < 0) == (b < 0));
}

/* The lanes [*first, *end) on which start + stride * lane lies in [0, extent). */
static void clip(int64_t start, int64_t stride, int64_t extent, int64_t *first, int64_t *end)
{
    if (stride == 0) {
        if (start < 0 || start >= extent) *end = *first;
        return;
    }
    int64_t low = stride > 0 ? ceil_divide(-start, stride) : ceil_divide(extent - 1 - start, stride);
    int64_t high = stride > 0 ? ceil_divide(extent - start, stride) : ceil_divide(-1 - start, stride);
    if (low > *first) *first = low;
    if (high < *end) *end = high;
}

static void outside_lane(const Op *op, int lane)
{
    if (op->otherwise) {
        int from = op->otherwise->varies ? lane : 0;
        op->result->values[lane] = op->otherwise->values[from];
        if (op->result->bad) op->result->bad[lane] = op->otherwise->bad ? op->otherwise->bad[from] : 0;
        return;
    }
    if (!op->guarded) bug("the reference reads outside %s", op->tensor->name);
    op->result->values[lane] = NAN;
}

static void run_read_clipped(Program *program, const Op *op)
{
    int lanes = lanes_of(program, op->result);
    int64_t first = 0, end = lanes, stride;
    for (int axis = 0; axis < op->count; axis++) {
        int64_t start = address_at(&op->axes[axis], &stride);
        clip(start, stride, op->tensor->extents[axis], &first, &end);
    }
    if (end < first) end = first;
    int64_t flat = address_at(&op->address, &stride);
    if (op->result->bad) memset(op->result->bad, 0, (size_t)lanes);
    if (end > first) copy_lanes(program, op, flat, stride, (int)first, (int)end);
    for (int l = 0; l < first && l < lanes; l++) outside_lane(op, l);
    for (int l = (int)end; l < lanes; l++) outside_lane(op, l);
}

/* One lane of a read with computed subscripts. False: outside. */
static bool locate(const Op *op, int lane, int64_t *flat, bool *bad)
{
    *flat = 0;
    for (int axis = 0; axis < op->count; axis++) {
        const Register *subscript = op->args[axis];
        int from = subscript->varies ? lane : 0;
        double value = subscript->values[from];
        double last = (double)(op->tensor->extents[axis] - 1);
        if (subscript->bad && subscript->bad[from]) *bad = true;
        if (!(value >= 0 && value <= last)) {
            if (!op->data[axis] || value != value) return false;
            value = value < 0 ? 0 : last;
            *bad = true;
        }
        *flat = *flat * op->tensor->extents[axis] + (int64_t)value;
    }
    return true;
}

static void run_read_general(Program *program, const Op *op)
{
    int lanes = lanes_of(program, op->result);
    for (int l = 0; l < lanes; l++) {
        int64_t flat;
        bool bad = false;
        if (!locate(op, l, &flat, &bad)) {
            if (op->result->bad) op->result->bad[l] = 0;
            outside_lane(op, l);
            continue;
        }
        op->result->values[l] = fetch(program, op, flat);
        if (op->result->bad) op->result->bad[l] = bad;
    }
}

/* --- functions ---------------------------------------------------------------------------------------------------- */
static unsigned char bad_lane(const Register *reg, int lane)
{
    return reg->bad ? reg->bad[reg->varies ? lane : 0] : 0;
}

static void run_apply_bad(const Program *program, const Op *op)
{
    int lanes = lanes_of(program, op->result);
    for (int l = 0; l < lanes; l++) {
        unsigned char bad = bad_lane(op->args[0], l);
        if (op->function == FN_WHERE) {
            const Register *condition = op->args[0];
            bad |= bad_lane(op->args[condition->values[condition->varies ? l : 0] != 0 ? 1 : 2], l);
        } else {
            for (int i = 1; i < op->count; i++) bad |= bad_lane(op->args[i], l);
        }
        op->result->bad[l] = bad;
    }
}

/* In lanes when every argument varies, so that the C compiler can use vectors for it. */
static void run_apply(const Program *program, const Op *op)
{
    int lanes = lanes_of(program, op->result);
    const Register *ra = op->args[0], *rb = op->args[op->count > 1 ? 1 : 0], *rc = op->args[op->count > 2 ? 2 : 0];
    const double *pa = ra->values, *pb = rb->values, *pc = rc->values;
    double *to = op->result->values;
    int sa = ra->varies, sb = rb->varies, sc = rc->varies;
    if (op->result->bad) run_apply_bad(program, op);
    switch (op->function) {
#define FUNCTION(enumerator, name, arity, kind, meaning, cost, help)                  \
    case enumerator:                                                                  \
        if (sa && sb && sc)                                                           \
            for (int l = 0; l < lanes; l++) {                                         \
                double a = pa[l], b = pb[l], c = pc[l];                               \
                (void)a, (void)b, (void)c;                                            \
                to[l] = (double)(meaning);                                            \
            }                                                                         \
        else                                                                          \
            for (int l = 0; l < lanes; l++) {                                         \
                double a = pa[l * sa], b = pb[l * sb], c = pc[l * sc];                \
                (void)a, (void)b, (void)c;                                            \
                to[l] = (double)(meaning);                                            \
            }                                                                         \
        return;
#include "equation/functions.def"
    case FUNCTION_COUNT: break;
    }
    bug("the reference meets an unknown function");
}

static void run_index(const Program *program, const Op *op)
{
    int lanes = lanes_of(program, op->result);
    for (int l = 0; l < lanes; l++) op->result->values[l] = (double)(op->loop->at + l);
}

/* --- reductions --------------------------------------------------------------------------------------------------- */
typedef struct {
    const Op *op;
    double best[LANES]; /* argmax: the largest value so far */
} Accumulator;

static double identity(Reduction reduction)
{
    switch (reduction) {
    case REDUCE_SUM:
    case REDUCE_MEAN:
    case REDUCE_ARGMAX: return 0;
    case REDUCE_PROD: return 1;
    case REDUCE_MAX: return -INFINITY;
    case REDUCE_MIN: return INFINITY;
    }
    bug("an unknown reduction");
}

static double combine(Reduction reduction, double a, double b)
{
    if (reduction == REDUCE_PROD) return a * b;
    if (reduction == REDUCE_MAX) return function_evaluate(FN_MAX, a, b, 0);
    if (reduction == REDUCE_MIN) return function_evaluate(FN_MIN, a, b, 0);
    return a + b;
}

static void argmax_step(Accumulator *accumulator, int lane, double value, int64_t at)
{
    if (!(value > accumulator->best[lane])) return;
    accumulator->best[lane] = value;
    accumulator->op->result->values[lane] = (double)at;
}

/* A chunk of the reduction's own lanes into one number. */
static void fold_chunk(Accumulator *accumulator, int lanes, int64_t at)
{
    const Op *op = accumulator->op;
    const double *values = op->body->values;
    int step = op->body->varies;
    double *total = op->result->values;
    if (op->reduction == REDUCE_ARGMAX) {
        for (int l = 0; l < lanes; l++) argmax_step(accumulator, 0, values[l * step], at + l);
    } else if (op->reduction == REDUCE_SUM || op->reduction == REDUCE_MEAN) {
        double parts[4] = {0};
        int l = 0;
        for (; l + 4 <= lanes; l += 4)
            for (int k = 0; k < 4; k++) parts[k] += values[(l + k) * step];
        for (; l < lanes; l++) parts[0] += values[l * step];
        total[0] += (parts[0] + parts[1]) + (parts[2] + parts[3]);
    } else {
        for (int l = 0; l < lanes; l++) total[0] = combine(op->reduction, total[0], values[l * step]);
    }
    if (op->result->bad)
        for (int l = 0; l < lanes; l++) op->result->bad[0] |= bad_lane(op->body, l);
}

/* One value for each of the lanes that run around the reduction. */
static void fold_lanes(Accumulator *accumulator, int lanes, int64_t at)
{
    const Op *op = accumulator->op;
    const double *values = op->body->values;
    int step = op->body->varies;
    double *total = op->result->values;
    if (op->reduction == REDUCE_ARGMAX) {
        for (int l = 0; l < lanes; l++) argmax_step(accumulator, l, values[l * step], at);
    } else if (op->reduction == REDUCE_SUM || op->reduction == REDUCE_MEAN) {
        for (int l = 0; l < lanes; l++) total[l] += values[l * step];
    } else {
        for (int l = 0; l < lanes; l++) total[l] = combine(op->reduction, total[l], values[l * step]);
    }
    if (op->result->bad)
        for (int l = 0; l < lanes; l++) op->result->bad[l] |= bad_lane(op->body, l);
}

static void reduce_nest(Program *program, Loop *loop, Accumulator *accumulator)
{
    if (loop->vector) {
        for (loop->at = loop->begin; loop->at < loop->end; loop->at += LANES) {
            int64_t left = loop->end - loop->at;
            program->lanes = left < LANES ? (int)left : LANES;
            run_block(program, &loop->block);
            fold_chunk(accumulator, program->lanes, loop->at);
        }
        program->lanes = 1;
        return;
    }
    for (loop->at = loop->begin; loop->at < loop->end; loop->at++) {
        run_block(program, &loop->block);
        if (loop->inner) reduce_nest(program, loop->inner, accumulator);
        else fold_lanes(accumulator, lanes_of(program, accumulator->op->result), loop->at);
    }
}

static void run_reduce(Program *program, const Op *op)
{
    Accumulator accumulator = {.op = op};
    int lanes = lanes_of(program, op->result);
    for (int l = 0; l < lanes; l++) {
        op->result->values[l] = identity(op->reduction);
        accumulator.best[l] = -INFINITY;
    }
    if (op->result->bad) memset(op->result->bad, 0, (size_t)lanes);
    reduce_nest(program, op->nest, &accumulator);
    if (op->reduction == REDUCE_MEAN)
        for (int l = 0; l < lanes; l++) op->result->values[l] /= (double)op->points;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */
static void run_block(Program *program, const Block *block)
{
    for (int i = 0; i < block->count; i++) {
        const Op *op = block->data[i];
        switch (op->kind) {
        case OP_INDEX: run_index(program, op); break;
        case OP_APPLY: run_apply(program, op); break;
        case OP_READ: run_read(program, op); break;
        case OP_READ_CLIPPED: run_read_clipped(program, op); break;
        case OP_READ_GENERAL: run_read_general(program, op); break;
        case OP_REDUCE: run_reduce(program, op); break;
        }
    }
}

static void store(Program *program, int lanes)
{
    const Register *value = program->value;
    program->single = value->values[0];
    if (value->bad)
        for (int l = 0; l < lanes; l++) program->clamped |= bad_lane(value, l) != 0;
    if (!program->result) return;
    int64_t stride, flat = address_at(&program->store, &stride);
    int step = value->varies;
    for (int l = 0; l < lanes; l++) program->result[flat + l * stride] = value->values[l * step];
}

static void run_nest(Program *program, Loop *loop)
{
    int64_t step = loop->vector ? LANES : 1;
    for (loop->at = loop->begin; loop->at < loop->end; loop->at += step) {
        if (loop->vector) program->lanes = loop->end - loop->at < LANES ? (int)(loop->end - loop->at) : LANES;
        run_block(program, &loop->block);
        if (loop->inner) run_nest(program, loop->inner);
        else store(program, loop->vector ? program->lanes : 1);
    }
    program->lanes = 1;
}

void program_run(Program *program)
{
    program->lanes = 1;
    run_block(program, &program->outer);
    if (program->nest) run_nest(program, program->nest);
    else store(program, 1);
}
