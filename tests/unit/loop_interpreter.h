/* Runs loop IR as it stands, one value at a time: the oracle of what lowering means, without a back end.
 * Every access is checked against the size of its buffer; reading an array element never written is an error too. */
#ifndef GM_TESTS_LOOP_INTERPRETER_H
#define GM_TESTS_LOOP_INTERPRETER_H

#include "loop/loop.h"
#include "support/bug.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_LANES = 16 };

typedef struct {
    int64_t whole;             /* INT, FLAG */
    float real[MOST_LANES];    /* FLOAT, VECTOR */
    int32_t bits[MOST_LANES];  /* I32, IVECTOR */
    bool mask[MOST_LANES];     /* MASK */
} Datum;

typedef struct {
    double *data;        /* every element type, one double each */
    unsigned char *set;  /* local arrays: element written? NULL: all are */
    int64_t count;       /* elements */
    int64_t pitch;       /* doubles from one element to the next; 0: 1 */
    int *fetched;        /* how often each element was prefetched; NULL: not counted */
} Memory;

typedef struct {
    Arena *arena;
    int lanes;
    Datum *variables;    /* by id */
    Memory *memories;    /* by buffer id */
    const LoopForm *form; /* element functions */
    const float *table;   /* of the function being called */
    bool status;
    int64_t operations;
} Interpreter;

static Datum interpret_value(Interpreter *in, const Value *value);
static void interpret_block(Interpreter *in, const Block *block);

static int interpret_width(Interpreter *in, ValueType type)
{
    return type == VALUE_VECTOR || type == VALUE_IVECTOR || type == VALUE_MASK ? in->lanes : 1;
}

static float interpret_read(Interpreter *in, const Buffer *buffer, int64_t at, int64_t *whole)
{
    Memory *memory = &in->memories[buffer->id];
    if (at < 0 || at >= memory->count) bug("interpreter: read of %s[%lld] of %lld", buffer->name, (long long)at, (long long)memory->count);
    if (memory->set && !memory->set[at]) bug("interpreter: %s[%lld] read before it is written", buffer->name, (long long)at);
    double number = memory->data[memory->pitch ? at * memory->pitch : at];
    *whole = element_type_is_integer(buffer->type) ? (int64_t)number : 0;
    return (float)number;
}

static void interpret_write(Interpreter *in, const Buffer *buffer, int64_t at, double number)
{
    Memory *memory = &in->memories[buffer->id];
    if (at < 0 || at >= memory->count) bug("interpreter: store to %s[%lld] of %lld", buffer->name, (long long)at, (long long)memory->count);
    if (memory->set) memory->set[at] = 1;
    memory->data[memory->pitch ? at * memory->pitch : at] = element_type_is_integer(buffer->type) ? number : (double)(float)number;
}

static Datum interpret_call(Interpreter *in, const Value *value, const Datum *arguments)
{
    const LoopFunction *function = NULL;
    int lanes = value->type == VALUE_VECTOR ? in->lanes : 1;
    for (int k = 0; k < in->form->functions.count; k++)
        if (in->form->functions.data[k]->function == value->function && in->form->functions.data[k]->lanes == lanes)
            function = in->form->functions.data[k];
    for (int k = 0; k < in->form->scalar_functions.count; k++)
        if (in->form->scalar_functions.data[k]->function == value->function && lanes == 1) function = in->form->scalar_functions.data[k];
    if (!function) bug("interpreter: no function %d of %d lanes", value->function, lanes);
    Datum room[512];
    Interpreter inner = *in;
    inner.lanes = lanes;
    inner.variables = room;
    inner.table = function->table;
    for (int k = 0; k < function->parameter_count; k++) room[function->parameters[k]->id] = arguments[k];
    interpret_block(&inner, &function->body);
    return interpret_value(&inner, function->result);
}

static float interpret_real(const Value *value, float a, float b, float c)
{
    switch ((int)value->op) {
    case OP_ADD: return a + b;
    case OP_SUB: return a - b;
    case OP_MUL: return a * b;
    case OP_DIV: return a / b;
    case OP_FMA: return value->type == VALUE_VECTOR ? fmaf(a, b, c) : a * b + c;
    case OP_NEG: return -a;
    case OP_MIN: return a < b ? a : b;
    case OP_MAX: return a > b ? a : b;
    case OP_SCALE: return isnan(b) ? b : (float)ldexp((double)a, (int)b);
    case OP_POSITIVE: return a - (a < 0 ? a : 0);
    case OP_MIN_ABS: return b < fabsf(a) ? b : fabsf(a);
    case OP_ABS: return fabsf(a);
    case OP_SQRT: return sqrtf(a);
    case OP_FLOOR: return floorf(a);
    case OP_ROUND: return rintf(a);
    default: bug("interpreter: %d on reals", (int)value->op);
    }
}

static int64_t interpret_int(const Value *value, int64_t a, int64_t b)
{
    int64_t quotient = b ? a / b : 0;
    if (b && a % b != 0 && (a < 0) != (b < 0)) quotient--;
    switch ((int)value->op) {
    case OP_ADD: return a + b;
    case OP_SUB: return a - b;
    case OP_MUL: return a * b;
    case OP_NEG: return -a;
    case OP_MIN: return a < b ? a : b;
    case OP_MAX: return a > b ? a : b;
    case OP_ABS: return a < 0 ? -a : a;
    case OP_FLOORDIV: return quotient;
    case OP_MOD: return a - b * quotient;
    default: bug("interpreter: %d on ints", (int)value->op);
    }
}

static int32_t interpret_bits(const Value *value, int32_t a, int32_t b)
{
    switch ((int)value->op) {
    case OP_ADD: return (int32_t)((uint32_t)a + (uint32_t)b);
    case OP_SUB: return (int32_t)((uint32_t)a - (uint32_t)b);
    case OP_AND: return a & b;
    case OP_OR: return a | b;
    case OP_SHIFT_LEFT: return (int32_t)((uint32_t)a << value->whole);
    case OP_SHIFT_RIGHT: return (int32_t)(((int64_t)a) >> value->whole);
    default: bug("interpreter: %d on bits", (int)value->op);
    }
}

static bool interpret_compare(Op op, double a, double b)
{
    return op == OP_LT ? a < b : op == OP_LE ? a <= b : op == OP_EQ ? a == b : a != b;
}

static void interpret_load(Interpreter *in, const Value *value, const Datum *operands, Datum *result)
{
    int64_t count = value->op == OP_LOAD ? 1 : value->op == OP_LOAD_PART ? operands[1].whole : in->lanes;
    if (value->op == OP_LOAD_PART && (count < 1 || count > in->lanes)) bug("interpreter: part of %lld lanes", (long long)count);
    for (int64_t k = 0; k < count; k++) result->real[k] = interpret_read(in, value->buffer, operands[0].whole + k, &result->whole);
}

static float interpret_reduce(Op op, const float *x, int lanes)
{
    float total = x[0];
    for (int k = 1; k < lanes; k++) {
        if (op == OP_REDUCE_ADD) total += x[k];
        else if (op == OP_REDUCE_MUL) total *= x[k];
        else if (total == total && (x[k] != x[k] || (op == OP_REDUCE_MIN ? x[k] < total : x[k] > total))) total = x[k];
    }
    return total;
}

static Datum interpret_value(Interpreter *in, const Value *value)
{
    Datum operands[4], result = {0};
    in->operations++;
    for (int k = 0; k < 4 && value->operands[k]; k++) operands[k] = interpret_value(in, value->operands[k]);
    const Datum *a = &operands[0], *b = &operands[1], *c = &operands[2];
    int width = interpret_width(in, value->type);
    ValueType first = value->operands[0] ? value->operands[0]->type : value->type;
    switch (value->op) {
    case OP_NUMBER: for (int k = 0; k < width; k++) result.real[k] = (float)value->number; break;
    case OP_INT:
        result.whole = value->whole;
        for (int k = 0; k < width; k++) result.bits[k] = (int32_t)value->whole;
        break;
    case OP_VARIABLE: return in->variables[value->variable->id];
    case OP_LOAD: case OP_LOAD_VECTOR: case OP_LOAD_PART: interpret_load(in, value, operands, &result); break;
    case OP_SPLAT: for (int k = 0; k < width; k++) result.real[k] = a->real[0]; break;
    case OP_ZIP_LOW: case OP_ZIP_HIGH:
        for (int k = 0; k < width; k++) result.real[k] = (k % 2 ? b : a)->real[k / 2 + (value->op == OP_ZIP_HIGH ? width / 2 : 0)];
        break;
    case OP_LANES: for (int k = 0; k < width; k++) result.real[k] = (float)k; break;
    case OP_LT: case OP_LE: case OP_EQ: case OP_NE:
        if (first == VALUE_INT) result.whole = interpret_compare(value->op, (double)a->whole, (double)b->whole);
        else if (first == VALUE_FLOAT) result.whole = interpret_compare(value->op, a->real[0], b->real[0]);
        else for (int k = 0; k < width; k++) result.mask[k] = interpret_compare(value->op, a->real[k], b->real[k]);
        break;
    case OP_NOT:
        result.whole = !a->whole;
        for (int k = 0; k < width; k++) result.mask[k] = !a->mask[k];
        break;
    case OP_SELECT:
        if (first == VALUE_FLAG) return a->whole ? *b : *c;
        for (int k = 0; k < width; k++) result.real[k] = a->mask[k] ? b->real[k] : c->real[k];
        break;
    case OP_SPLAT_FLAG: for (int k = 0; k < width; k++) result.mask[k] = a->whole != 0; break;
    case OP_TO_FLOAT:
        if (first == VALUE_INT) result.real[0] = (float)a->whole;
        else for (int k = 0; k < width; k++) result.real[k] = (float)a->bits[k];
        break;
    case OP_TO_INT:
        for (int k = 0; k < width; k++) {
            if (!(fabsf(a->real[k]) < 2147483648.0f) || a->real[k] != floorf(a->real[k]))
                bug("interpreter: toint of %g", (double)a->real[k]);
            result.bits[k] = (int32_t)a->real[k];
        }
        break;
    case OP_BITS_TO_FLOAT: memcpy(result.real, a->bits, sizeof result.real); break;
    case OP_FLOAT_TO_BITS: memcpy(result.bits, a->real, sizeof result.bits); break;
    case OP_LOOKUP:
        for (int k = 0; k < width; k++) result.real[k] = in->table[value->first + (a->bits[k] & ((int32_t)value->whole - 1))];
        break;
    case OP_CALL: return interpret_call(in, value, operands);
    case OP_REDUCE_ADD: case OP_REDUCE_MUL: case OP_REDUCE_MIN: case OP_REDUCE_MAX:
        result.real[0] = interpret_reduce(value->op, a->real, in->lanes);
        break;
    case OP_AND: case OP_OR:
        if (value->type == VALUE_FLAG) result.whole = value->op == OP_AND ? a->whole && b->whole : a->whole || b->whole;
        if (value->type == VALUE_MASK)
            for (int k = 0; k < width; k++) result.mask[k] = value->op == OP_AND ? a->mask[k] && b->mask[k] : a->mask[k] || b->mask[k];
        if (value->type == VALUE_I32 || value->type == VALUE_IVECTOR)
            for (int k = 0; k < width; k++) result.bits[k] = interpret_bits(value, a->bits[k], b->bits[k]);
        break;
    case OP_ADD: case OP_SUB: case OP_MUL: case OP_DIV: case OP_FMA: case OP_SCALE: case OP_NEG: case OP_MIN: case OP_MAX: case OP_MIN_ABS: case OP_POSITIVE: case OP_ABS: case OP_SQRT:
    case OP_FLOOR: case OP_ROUND: case OP_FLOORDIV: case OP_MOD: case OP_SHIFT_LEFT: case OP_SHIFT_RIGHT:
        if (value->type == VALUE_INT) result.whole = interpret_int(value, a->whole, value->operands[1] ? b->whole : 0);
        else if (value->type == VALUE_FLOAT || value->type == VALUE_VECTOR)
            for (int k = 0; k < width; k++)
                result.real[k] =
                    interpret_real(value, a->real[k], value->operands[1] ? b->real[k] : 0, value->operands[2] ? c->real[k] : 0);
        else
            for (int k = 0; k < width; k++) result.bits[k] = interpret_bits(value, a->bits[k], value->operands[1] ? b->bits[k] : 0);
        break;
    case OP_COUNT: bug("interpreter: no operation");
    }
    return result;
}

static void interpret_store(Interpreter *in, const Statement *statement)
{
    int64_t at = interpret_value(in, statement->subscript).whole;
    Datum value = interpret_value(in, statement->value);
    ValueType type = statement->value->type;
    int64_t count = type != VALUE_VECTOR ? 1 : statement->part ? interpret_value(in, statement->part).whole : in->lanes;
    for (int64_t k = 0; k < count; k++)
        interpret_write(in, statement->buffer, at + k, type == VALUE_INT ? (double)value.whole : (double)value.real[k]);
}

static void interpret_prefetch(Interpreter *in, const Statement *statement)
{
    const Memory *memory = &in->memories[statement->buffer->id];
    int64_t at = interpret_value(in, statement->subscript).whole;
    if (memory->fetched && at >= 0 && at < memory->count) memory->fetched[at]++;
}

static void interpret_statement(Interpreter *in, const Statement *statement)
{
    switch (statement->kind) {
    case LOOP_FOR: {
        int64_t from = interpret_value(in, statement->from).whole, to = interpret_value(in, statement->to).whole;
        for (int64_t k = from; k < to; k += statement->step->whole) {
            in->variables[statement->variable->id].whole = k;
            interpret_block(in, &statement->body);
        }
        break;
    }
    case LOOP_LET: case LOOP_DECLARE: case LOOP_SET: in->variables[statement->variable->id] = interpret_value(in, statement->value); break;
    case LOOP_STORE: interpret_store(in, statement); break;
    case LOOP_ARRAY: memset(in->memories[statement->buffer->id].set, 0, (size_t)statement->buffer->count); break;
    case LOOP_IF: interpret_block(in, interpret_value(in, statement->value).whole ? &statement->body : &statement->otherwise); break;
    case LOOP_STATUS: in->status = true; break;
    case LOOP_PREFETCH: interpret_prefetch(in, statement); break;
    case LOOP_COMMENT: break;
    }
}

static void interpret_block(Interpreter *in, const Block *block)
{
    for (int k = 0; k < block->count; k++) interpret_statement(in, block->data[k]);
}

static inline int interpret_most_variables(const Block *block)
{
    int most = 0;
    for (int k = 0; k < block->count; k++) {
        const Statement *statement = block->data[k];
        int inner = interpret_most_variables(&statement->body), other = interpret_most_variables(&statement->otherwise);
        if (inner < other) inner = other;
        if (statement->variable && statement->variable->id > inner) inner = statement->variable->id;
        if (inner > most) most = inner;
    }
    return most;
}

/* Runs every task of a kernel, the last first. memories: one for each parameter, in order. Returns whether a status was recorded. */
static inline bool interpret_kernel(Arena *arena, const LoopForm *form, const LoopKernel *kernel, const Memory *parameters)
{
    Interpreter in = {.arena = arena, .lanes = form->target->lanes, .form = form};
    in.variables = arena_new_array(arena, Datum, interpret_most_variables(&kernel->body) + 2);
    in.memories = arena_new_array(arena, Memory, kernel->buffers.count + 16);
    for (int k = 0; k < kernel->buffers.count; k++) {
        const Buffer *buffer = kernel->buffers.data[k];
        if (buffer->parameter >= 0) {
            in.memories[buffer->id] = parameters[buffer->parameter];
            continue;
        }
        in.memories[buffer->id].count = buffer->count;
        in.memories[buffer->id].data = arena_new_array(arena, double, buffer->count);
        in.memories[buffer->id].set = arena_alloc(arena, (size_t)buffer->count);
    }
    for (int64_t task = kernel->tasks - 1; task >= 0; task--) {
        in.variables[kernel->task->id].whole = task;
        interpret_block(&in, &kernel->body);
    }
    return in.status;
}

#endif
