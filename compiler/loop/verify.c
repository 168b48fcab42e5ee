/* Invariants of loop programs: types fit ops.def, every variable and local array is used inside the block that declares it and only
 * DECLAREd ones are set, parameters are those of the plan, vectors agree with the form's lanes.
 * In: a program.  Out: nothing, or bug() that names the kernel. */
#include "loop/build.h"
#include "support/bug.h"

enum { NOT_SEEN, CONSTANT, CHANGEABLE };

typedef struct {
    Arena *arena;
    const char *where;    /* kernel or function */
    const LoopKernel *kernel; /* NULL: an element function */
    int table_count;          /* of an element function */
    int lanes;
    unsigned char *variables; /* by id: in scope? */
    int variable_room;
    unsigned char *buffers;
    int buffer_room;
} Verifier;

#define CHECK(condition, ...) ((condition) ? (void)0 : bug(__VA_ARGS__))

static unsigned char *grow(Verifier *verifier, unsigned char *old, int *room, int wanted)
{
    if (wanted < *room) return old;
    int bigger = *room ? *room * 2 : 256;
    while (bigger <= wanted) bigger *= 2;
    unsigned char *grown = arena_alloc(verifier->arena, (size_t)bigger);
    if (*room) memcpy(grown, old, (size_t)*room);
    *room = bigger;
    return grown;
}

static bool is_real(ValueType type)
{
    return type == VALUE_FLOAT || type == VALUE_VECTOR;
}

static bool is_bits(ValueType type)
{
    return type == VALUE_I32 || type == VALUE_IVECTOR;
}

static bool is_condition(ValueType type)
{
    return type == VALUE_FLAG || type == VALUE_MASK;
}

static void verify_value(Verifier *verifier, const Value *value);

static void verify_load(Verifier *verifier, const Value *value)
{
    const Buffer *buffer = value->buffer;
    CHECK(buffer, "loops of %s: a load without a buffer", verifier->where);
    if (buffer->local)
        CHECK(buffer->id < verifier->buffer_room && verifier->buffers[buffer->id], "loops of %s: array %s used before its declaration",
              verifier->where, buffer->name);
    CHECK(value->operands[0]->type == VALUE_INT, "loops of %s: subscript of %s is no int", verifier->where, buffer->name);
    if (value->op == OP_LOAD) {
        CHECK(value->type == (element_type_is_integer(buffer->type) ? VALUE_INT : VALUE_FLOAT), "loops of %s: type of a load of %s",
              verifier->where, buffer->name);
        return;
    }
    CHECK(buffer->type == TYPE_F32 && value->type == VALUE_VECTOR, "loops of %s: vector load of %s", verifier->where, buffer->name);
    if (value->op == OP_LOAD_PART)
        CHECK(value->operands[1]->type == VALUE_INT, "loops of %s: part of a load of %s", verifier->where, buffer->name);
}

/* What the operands and the result of an operation may be. */
static bool types_fit(const Value *v)
{
    const ValueType type = v->type, a = v->operands[0] ? v->operands[0]->type : type, b = v->operands[1] ? v->operands[1]->type : a,
                    c = v->operands[2] ? v->operands[2]->type : b;
    switch (v->op) {
    case OP_NUMBER: return is_real(type);
    case OP_INT: return type == VALUE_INT || is_bits(type);
    case OP_VARIABLE: return v->variable && v->variable->type == type;
    case OP_LOAD: case OP_LOAD_VECTOR: case OP_LOAD_PART: return true;
    case OP_SPLAT: return a == VALUE_FLOAT && type == VALUE_VECTOR;
    case OP_LANES: return type == VALUE_VECTOR;
    case OP_ADD: case OP_SUB: return a == type && b == type && !is_condition(type);
    case OP_MUL: return a == type && b == type && (is_real(type) || type == VALUE_INT);
    case OP_DIV: return a == type && b == type && is_real(type);
    case OP_FMA: return a == type && b == type && c == type && is_real(type);
    case OP_NEG: case OP_ABS: return a == type && (is_real(type) || type == VALUE_INT);
    case OP_MIN: case OP_MAX: return a == type && b == type && (is_real(type) || type == VALUE_INT);
    case OP_MIN_ABS: return a == type && b == type && is_real(type);
    case OP_POSITIVE: case OP_SQRT: case OP_FLOOR: case OP_ROUND: return a == type && is_real(type);
    case OP_FLOORDIV: case OP_MOD: return a == VALUE_INT && b == VALUE_INT && type == VALUE_INT;
    case OP_LT: case OP_LE: case OP_EQ: case OP_NE:
        return a == b && (is_real(a) || a == VALUE_INT) && type == (a == VALUE_VECTOR ? VALUE_MASK : VALUE_FLAG);
    case OP_AND: case OP_OR: return a == type && b == type && (is_condition(type) || is_bits(type));
    case OP_NOT: return a == type && is_condition(type);
    case OP_SELECT:
        if (b != type || c != type) return false;
        return a == VALUE_MASK ? type == VALUE_VECTOR : a == VALUE_FLAG && (type == VALUE_FLOAT || type == VALUE_INT);
    case OP_SPLAT_FLAG: return a == VALUE_FLAG && type == VALUE_MASK;
    case OP_TO_FLOAT: return a == VALUE_IVECTOR ? type == VALUE_VECTOR : (a == VALUE_INT || a == VALUE_I32) && type == VALUE_FLOAT;
    case OP_TO_INT: case OP_FLOAT_TO_BITS:
        return (a == VALUE_VECTOR && type == VALUE_IVECTOR) || (a == VALUE_FLOAT && type == VALUE_I32);
    case OP_SHIFT_LEFT: case OP_SHIFT_RIGHT: return a == type && is_bits(type) && v->whole > 0 && v->whole < 32;
    case OP_BITS_TO_FLOAT: return (a == VALUE_IVECTOR && type == VALUE_VECTOR) || (a == VALUE_I32 && type == VALUE_FLOAT);
    case OP_ZIP_LOW: case OP_ZIP_HIGH: return a == VALUE_VECTOR && b == a && type == a;
    case OP_SCALE: return a == type && b == type && is_real(type);
    case OP_LOOKUP:
        return (v->whole == 8 || v->whole == 16 || v->whole == 32) &&
               ((a == VALUE_IVECTOR && type == VALUE_VECTOR) || (a == VALUE_I32 && type == VALUE_FLOAT));
    case OP_CALL: return a == type && b == type && is_real(type);
    case OP_REDUCE_ADD: case OP_REDUCE_MUL: case OP_REDUCE_MIN: case OP_REDUCE_MAX: return a == VALUE_VECTOR && type == VALUE_FLOAT;
    case OP_COUNT: break;
    }
    return false;
}

static void verify_value(Verifier *verifier, const Value *value)
{
    CHECK(value, "loops of %s: a value is missing", verifier->where);
    int wanted = value->op == OP_CALL ? function_arity(value->function) : op_operands(value->op);
    for (int k = 0; k < 4; k++) {
        CHECK(!value->operands[k] == (k >= wanted), "loops of %s: %s with the wrong number of operands", verifier->where,
              op_name(value->op));
        if (value->operands[k]) verify_value(verifier, value->operands[k]);
    }
    CHECK(types_fit(value), "loops of %s: types of %s", verifier->where, op_name(value->op));
    CHECK(verifier->lanes > 1 || (value->type != VALUE_VECTOR && value->type != VALUE_IVECTOR && value->type != VALUE_MASK),
          "loops of %s: a vector in a form of one lane", verifier->where);
    if (value->op == OP_LOAD || value->op == OP_LOAD_VECTOR || value->op == OP_LOAD_PART) verify_load(verifier, value);
    if (value->op == OP_LOOKUP)
        CHECK(value->first >= 0 && value->first + value->whole <= verifier->table_count, "loops of %s: a lookup outside the table",
              verifier->where);
    if (value->op == OP_VARIABLE)
        CHECK(value->variable->id < verifier->variable_room && verifier->variables[value->variable->id] != NOT_SEEN,
              "loops of %s: variable %s used outside its block", verifier->where, value->variable->name);
}

static void define(Verifier *verifier, const Variable *variable, int how)
{
    verifier->variables = grow(verifier, verifier->variables, &verifier->variable_room, variable->id);
    CHECK(verifier->variables[variable->id] == NOT_SEEN, "loops of %s: variable %s defined twice", verifier->where, variable->name);
    verifier->variables[variable->id] = (unsigned char)how;
}

static void verify_block(Verifier *verifier, const Block *block);

static void verify_for(Verifier *verifier, const Statement *statement)
{
    verify_value(verifier, statement->from);
    verify_value(verifier, statement->to);
    int64_t step = 0;
    CHECK(statement->from->type == VALUE_INT && statement->to->type == VALUE_INT && value_is_int(statement->step, &step) && step > 0,
          "loops of %s: bounds of loop %s", verifier->where, statement->variable->name);
    define(verifier, statement->variable, CONSTANT);
    verify_block(verifier, &statement->body);
    verifier->variables[statement->variable->id] = NOT_SEEN;
}

static void verify_store(Verifier *verifier, const Statement *statement)
{
    const Buffer *buffer = statement->buffer;
    CHECK(buffer->written, "loops of %s: %s is stored to but not marked written", verifier->where, buffer->name);
    CHECK(!buffer->local || (buffer->id < verifier->buffer_room && verifier->buffers[buffer->id]),
          "loops of %s: array %s used before its declaration", verifier->where, buffer->name);
    verify_value(verifier, statement->subscript);
    verify_value(verifier, statement->value);
    if (statement->part) verify_value(verifier, statement->part);
    CHECK(statement->subscript->type == VALUE_INT && (!statement->part || statement->part->type == VALUE_INT),
          "loops of %s: subscript of a store to %s", verifier->where, buffer->name);
    ValueType type = statement->value->type;
    CHECK(element_type_is_integer(buffer->type) ? type == VALUE_INT : is_real(type), "loops of %s: type of a store to %s", verifier->where,
          buffer->name);
    CHECK(!statement->part || type == VALUE_VECTOR, "loops of %s: part of a scalar store to %s", verifier->where, buffer->name);
}

static void verify_statement(Verifier *verifier, const Statement *statement)
{
    switch (statement->kind) {
    case LOOP_FOR: verify_for(verifier, statement); break;
    case LOOP_LET: case LOOP_DECLARE:
        verify_value(verifier, statement->value);
        CHECK(statement->value->type == statement->variable->type, "loops of %s: type of %s", verifier->where, statement->variable->name);
        define(verifier, statement->variable, statement->kind == LOOP_LET ? CONSTANT : CHANGEABLE);
        break;
    case LOOP_SET:
        verify_value(verifier, statement->value);
        CHECK(statement->variable->id < verifier->variable_room && verifier->variables[statement->variable->id] == CHANGEABLE,
              "loops of %s: %s is set but not declared", verifier->where, statement->variable->name);
        CHECK(statement->value->type == statement->variable->type, "loops of %s: type of %s", verifier->where, statement->variable->name);
        break;
    case LOOP_STORE: verify_store(verifier, statement); break;
    case LOOP_ARRAY:
        verifier->buffers = grow(verifier, verifier->buffers, &verifier->buffer_room, statement->buffer->id);
        CHECK(statement->buffer->local && statement->buffer->count > 0, "loops of %s: array %s", verifier->where, statement->buffer->name);
        verifier->buffers[statement->buffer->id] = 1;
        break;
    case LOOP_IF:
        verify_value(verifier, statement->value);
        CHECK(statement->value->type == VALUE_FLAG, "loops of %s: condition of an if", verifier->where);
        verify_block(verifier, &statement->body);
        verify_block(verifier, &statement->otherwise);
        break;
    case LOOP_PREFETCH: verify_value(verifier, statement->subscript); break;
    case LOOP_STATUS: case LOOP_COMMENT: break;
    }
}

static void verify_block(Verifier *verifier, const Block *block)
{
    for (int k = 0; k < block->count; k++) verify_statement(verifier, block->data[k]);
    for (int k = 0; k < block->count; k++) {
        const Statement *statement = block->data[k];
        if (statement->kind == LOOP_LET || statement->kind == LOOP_DECLARE) verifier->variables[statement->variable->id] = NOT_SEEN;
        if (statement->kind == LOOP_ARRAY) verifier->buffers[statement->buffer->id] = 0;
    }
}

static void verify_function(Arena *arena, const LoopFunction *function)
{
    Verifier verifier = {.arena = arena, .where = function->name, .lanes = function->lanes, .table_count = function->table_count};
    for (int k = 0; k < function->parameter_count; k++) define(&verifier, function->parameters[k], CONSTANT);
    Block body = function->body;
    Statement result = {.kind = LOOP_LET, .value = function->result};
    Variable variable = {.id = 1 << 12, .name = "result", .type = function->result ? function->result->type : VALUE_FLOAT};
    result.variable = &variable;
    Block whole = {0};
    for (int k = 0; k < body.count; k++) list_push(arena, &whole, body.data[k]);
    list_push(arena, &whole, &result);
    verify_block(&verifier, &whole);
    CHECK(variable.type == (function->lanes == 1 ? VALUE_FLOAT : VALUE_VECTOR), "loops of %s: type of the result", function->name);
}

static void verify_kernel(Arena *arena, const LoopKernel *kernel)
{
    Verifier verifier = {.arena = arena, .where = kernel->kernel->name, .kernel = kernel, .lanes = kernel->target->lanes};
    CHECK(kernel->tasks >= 1, "loops of %s: no task", verifier.where);
    CHECK(kernel->stack_bytes <= 64 * 1024, "loops of %s: %lld bytes of stack", verifier.where, (long long)kernel->stack_bytes);
    CHECK(kernel->buffers.count >= kernel->kernel->parameters.count, "loops of %s: parameters", verifier.where);
    for (int k = 0; k < kernel->buffers.count; k++) {
        const Buffer *buffer = kernel->buffers.data[k];
        bool parameter = k < kernel->kernel->parameters.count;
        CHECK(parameter == !buffer->local && (!parameter || buffer->parameter == k), "loops of %s: buffer %s", verifier.where,
              buffer->name);
    }
    define(&verifier, kernel->task, CONSTANT);
    if (kernel->threads) define(&verifier, kernel->threads, CONSTANT);
    verify_block(&verifier, &kernel->body);
}

void loop_verify(const LoopProgram *program)
{
    Arena *arena = arena_new();
    for (int f = 0; f < program->forms.count; f++) {
        const LoopForm *form = program->forms.data[f];
        for (int k = 0; k < form->functions.count; k++) verify_function(arena, form->functions.data[k]);
        for (int k = 0; k < form->scalar_functions.count; k++) verify_function(arena, form->scalar_functions.data[k]);
        for (int k = 0; k < form->kernels.count; k++) verify_kernel(arena, form->kernels.data[k]);
    }
    arena_free(arena);
}
