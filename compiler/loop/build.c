/* Constructors of loop IR: see build.h. */
#include "loop/build.h"

#include "support/bug.h"

#include <ctype.h>

static const struct {
    const char *name;
    int operands;
} op_table[OP_COUNT] = {
#define OP(enumerator, name, operands, meaning) [enumerator] = {name, operands},
#include "loop/ops.def"
};

const char *op_name(Op op)
{
    return op_table[op].name;
}

int op_operands(Op op)
{
    return op_table[op].operands;
}

int function_arity(int function)
{
    return function < FUNCTION_COUNT ? function_table[function].arity : 1;
}

const char *value_type_name(ValueType type)
{
    static const char *const names[] = {"int", "flag", "float", "vector", "ivector", "i32", "mask"};
    return names[type];
}

Builder *builder_new(Arena *arena, int lanes, LoopKernel *kernel, Block *block)
{
    Builder *builder = arena_new_object(arena, Builder);
    builder->arena = arena;
    builder->lanes = lanes;
    builder->kernel = kernel;
    builder->block = block;
    return builder;
}

ValueType builder_vector_type(const Builder *builder)
{
    return builder->lanes == 1 ? VALUE_FLOAT : VALUE_VECTOR;
}

/* --- values -------------------------------------------------------------------------------------------------------- */
static Value *value_new(Builder *builder, Op op, ValueType type)
{
    Value *value = arena_new_object(builder->arena, Value);
    value->op = op;
    value->type = type;
    return value;
}

Value *build_whole(Builder *builder, ValueType type, int64_t whole)
{
    Value *value = value_new(builder, OP_INT, type);
    value->whole = whole;
    return value;
}

Value *build_int(Builder *builder, int64_t whole)
{
    return build_whole(builder, VALUE_INT, whole);
}

Value *build_number(Builder *builder, ValueType type, double number)
{
    Value *value = value_new(builder, OP_NUMBER, type);
    value->number = (double)(float)number;
    return value;
}

Value *build_variable(Builder *builder, Variable *variable)
{
    Value *value = value_new(builder, OP_VARIABLE, variable->type);
    value->variable = variable;
    return value;
}

bool value_is_int(const Value *value, int64_t *whole)
{
    if (value->op != OP_INT || value->type != VALUE_INT) return false;
    *whole = value->whole;
    return true;
}

bool value_is_leaf(const Value *value)
{
    return value->op == OP_NUMBER || value->op == OP_INT || value->op == OP_VARIABLE || value->op == OP_LANES;
}

bool value_equal(const Value *a, const Value *b)
{
    if (a == b) return true;
    if (a->op != b->op || a->type != b->type || a->whole != b->whole || a->variable != b->variable || a->buffer != b->buffer ||
        a->first != b->first)
        return false;
    if (a->op == OP_NUMBER && memcmp(&a->number, &b->number, sizeof a->number) != 0) return false;
    if (a->op == OP_CALL && a->function != b->function) return false;
    for (int k = 0; k < 4; k++) {
        if (!a->operands[k] != !b->operands[k]) return false;
        if (a->operands[k] && !value_equal(a->operands[k], b->operands[k])) return false;
    }
    return true;
}

static int64_t floor_quotient(int64_t a, int64_t b)
{
    int64_t quotient = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

/* INT operations on constants, and those that change nothing. NULL: neither. */
static Value *fold(Builder *builder, Op op, Value *a, Value *b)
{
    int64_t x = 0, y = 0;
    bool x_known = value_is_int(a, &x), y_known = b && value_is_int(b, &y);
    if (op == OP_NEG && x_known) return build_int(builder, -x);
    if (op == OP_ABS && x_known) return build_int(builder, x < 0 ? -x : x);
    if (!b) return NULL;
    if (x_known && y_known && !((op == OP_FLOORDIV || op == OP_MOD) && y == 0)) {
        if (op == OP_ADD) return build_int(builder, x + y);
        if (op == OP_SUB) return build_int(builder, x - y);
        if (op == OP_MUL) return build_int(builder, x * y);
        if (op == OP_MIN) return build_int(builder, x < y ? x : y);
        if (op == OP_MAX) return build_int(builder, x > y ? x : y);
        if (op == OP_FLOORDIV) return build_int(builder, floor_quotient(x, y));
        if (op == OP_MOD) return build_int(builder, x - y * floor_quotient(x, y));
    }
    if ((op == OP_ADD || op == OP_SUB) && y_known && y == 0) return a;
    if (op == OP_ADD && x_known && x == 0) return b;
    if (op == OP_MUL && ((x_known && x == 0) || (y_known && y == 1))) return a;
    if (op == OP_MUL && ((y_known && y == 0) || (x_known && x == 1))) return b;
    if (op == OP_FLOORDIV && y_known && y == 1) return a;
    if (op == OP_MOD && y_known && y == 1) return build_int(builder, 0);
    if (op == OP_ADD && x_known) return build_op(builder, OP_ADD, b, a, NULL);
    if (op == OP_ADD && y_known && y < 0) return build_op(builder, OP_SUB, a, build_int(builder, -y), NULL);
    return NULL;
}

static ValueType result_type(Op op, const Value *a, const Value *b)
{
    switch (op) {
    case OP_LT: case OP_LE: case OP_EQ: case OP_NE: return a->type == VALUE_VECTOR ? VALUE_MASK : VALUE_FLAG;
    case OP_SELECT: return b->type;
    case OP_SPLAT: return VALUE_VECTOR;
    case OP_SPLAT_FLAG: return VALUE_MASK;
    case OP_TO_FLOAT: case OP_BITS_TO_FLOAT: case OP_LOOKUP: return a->type == VALUE_IVECTOR ? VALUE_VECTOR : VALUE_FLOAT;
    case OP_TO_INT: case OP_FLOAT_TO_BITS: return a->type == VALUE_VECTOR ? VALUE_IVECTOR : VALUE_I32;
    case OP_REDUCE_ADD: case OP_REDUCE_MUL: case OP_REDUCE_MIN: case OP_REDUCE_MAX: return VALUE_FLOAT;
    case OP_LANES: return VALUE_VECTOR;
    case OP_NUMBER: case OP_INT: case OP_VARIABLE: case OP_LOAD: case OP_LOAD_VECTOR: case OP_LOAD_PART: case OP_ADD: case OP_SUB:
    case OP_MUL: case OP_DIV: case OP_FMA: case OP_NEG: case OP_MIN: case OP_MAX: case OP_MIN_ABS: case OP_POSITIVE: case OP_ABS: case OP_SQRT: case OP_FLOOR:
    case OP_ROUND: case OP_FLOORDIV: case OP_MOD: case OP_AND: case OP_OR: case OP_NOT: case OP_SHIFT_LEFT: case OP_SHIFT_RIGHT:
    case OP_SCALE: case OP_ZIP_LOW: case OP_ZIP_HIGH: case OP_CALL: case OP_COUNT: break;
    }
    return a->type;
}

Value *build_op(Builder *builder, Op op, Value *a, Value *b, Value *c)
{
    if (a && a->type == VALUE_INT) {
        Value *folded = fold(builder, op, a, b);
        if (folded) return folded;
    }
    if (op == OP_LANES && builder->lanes == 1) return build_number(builder, VALUE_FLOAT, 0);
    Value *value = value_new(builder, op, a ? result_type(op, a, b) : VALUE_VECTOR);
    value->operands[0] = a;
    value->operands[1] = b;
    value->operands[2] = c;
    return value;
}

Value *build_shift(Builder *builder, Op op, Value *a, int bits)
{
    Value *value = build_op(builder, op, a, NULL, NULL);
    value->whole = bits;
    return value;
}

Value *build_call(Builder *builder, int function, Value *a, Value *b)
{
    Value *value = build_op(builder, OP_CALL, a, b, NULL);
    value->function = function;
    if (builder->kernel) {
        bool own = builder->lanes == 1 || a->type == VALUE_VECTOR;
        (own ? builder->kernel->uses : builder->kernel->uses_scalar)[function] = true;
    }
    return value;
}

Value *build_lookup(Builder *builder, Value *index, int entries, int first)
{
    Value *value = build_op(builder, OP_LOOKUP, index, NULL, NULL);
    value->whole = entries;
    value->first = first;
    return value;
}

Value *build_load(Builder *builder, Buffer *buffer, Value *subscript)
{
    Value *value = value_new(builder, OP_LOAD, element_type_is_integer(buffer->type) ? VALUE_INT : VALUE_FLOAT);
    value->operands[0] = subscript;
    value->buffer = buffer;
    return value;
}

Value *build_load_vector(Builder *builder, Buffer *buffer, Value *subscript, Value *part)
{
    if (builder->lanes == 1) return build_load(builder, buffer, subscript);
    Value *value = value_new(builder, part ? OP_LOAD_PART : OP_LOAD_VECTOR, VALUE_VECTOR);
    value->operands[0] = subscript;
    value->operands[1] = part;
    value->buffer = buffer;
    return value;
}

Value *build_splat(Builder *builder, Value *a)
{
    if (builder->lanes == 1 || a->type == VALUE_VECTOR) return a;
    if (a->op == OP_NUMBER) return build_number(builder, VALUE_VECTOR, a->number);
    return build_op(builder, OP_SPLAT, a, NULL, NULL);
}

Value *build_add(Builder *builder, Value *a, Value *b)
{
    return build_op(builder, OP_ADD, a, b, NULL);
}

Value *build_sub(Builder *builder, Value *a, Value *b)
{
    return build_op(builder, OP_SUB, a, b, NULL);
}

Value *build_mul(Builder *builder, Value *a, Value *b)
{
    return build_op(builder, OP_MUL, a, b, NULL);
}

Value *build_scaled(Builder *builder, Value *a, int64_t factor, int64_t offset)
{
    return build_add(builder, build_mul(builder, a, build_int(builder, factor)), build_int(builder, offset));
}

/* --- statements ---------------------------------------------------------------------------------------------------- */
/* What C or C++ reserves, of two letters and more, and what the generated file defines for itself. */
static bool is_reserved(const char *name)
{
    static const char *const reserved[] = {
        "alignas", "alignof", "and", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "class", "compl",
        "const", "constexpr", "continue", "decltype", "default", "delete", "do", "double", "else", "enum", "errno", "explicit",
        "export", "extern", "false", "final", "float", "for", "friend", "goto", "if", "import", "inline", "int", "linux", "long",
        "module", "mutable", "namespace", "new", "noexcept", "not", "nullptr", "operator", "or", "override", "private", "protected",
        "public", "register", "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "template", "this",
        "thread", "throw", "true", "try", "typedef", "typeid", "typename", "typeof", "union", "unix", "unsigned", "using", "virtual",
        "void", "volatile", "while", "xor", "status", "arg", "index", "task"};
    for (size_t k = 0; k < sizeof reserved / sizeof *reserved; k++)
        if (strcmp(reserved[k], name) == 0) return true;
    return strncmp(name, "gm_", 3) == 0 || name[0] == '_' || isupper((unsigned char)name[0]);
}

const char *builder_identifier(Builder *builder, const char *name)
{
    char *plain = arena_strdup(builder->arena, name);
    for (char *c = plain; *c; c++)
        if (!isalnum((unsigned char)*c)) *c = '_';
    if (!*plain || !isalpha((unsigned char)*plain)) plain = arena_printf(builder->arena, "v%s", plain);
    if (is_reserved(plain)) plain = arena_printf(builder->arena, isupper((unsigned char)*plain) ? "v_%s" : "%s_", plain);
    if (strncmp(plain, "gm_", 3) == 0) plain = arena_printf(builder->arena, "v_%s", plain);
    const char *free_name;
    int *count = map_get(&builder->names, plain);
    if (!count) {
        count = arena_new_object(builder->arena, int);
        *count = 1;
        map_put(builder->arena, &builder->names, plain, count);
        return plain;
    }
    do {
        free_name = arena_printf(builder->arena, "%s_%d", plain, ++*count);
    } while (map_get(&builder->names, free_name));
    int *own = arena_new_object(builder->arena, int);
    *own = 1;
    map_put(builder->arena, &builder->names, free_name, own);
    return free_name;
}

Variable *build_name(Builder *builder, ValueType type, const char *name)
{
    Variable *variable = arena_new_object(builder->arena, Variable);
    variable->id = builder->next_variable++;
    variable->name = builder_identifier(builder, name);
    variable->type = type;
    return variable;
}

void build_append(Builder *builder, Statement *statement)
{
    list_push(builder->arena, builder->block, statement);
}

Statement *build_statement(Builder *builder, int kind)
{
    Statement *statement = arena_new_object(builder->arena, Statement);
    statement->kind = kind;
    build_append(builder, statement);
    return statement;
}

Value *build_let(Builder *builder, const char *name, Value *value)
{
    Statement *statement = build_statement(builder, LOOP_LET);
    statement->variable = build_name(builder, value->type, name);
    statement->value = value;
    return build_variable(builder, statement->variable);
}

Variable *build_declare(Builder *builder, const char *name, Value *value)
{
    Statement *statement = build_statement(builder, LOOP_DECLARE);
    statement->variable = build_name(builder, value->type, name);
    statement->value = value;
    return statement->variable;
}

Variable *build_accumulator(Builder *builder, const char *name, Value *value)
{
    Variable *variable = build_declare(builder, name, value);
    variable->accumulator = true;
    return variable;
}

void build_set(Builder *builder, Variable *variable, Value *value)
{
    Statement *statement = build_statement(builder, LOOP_SET);
    statement->variable = variable;
    statement->value = value;
}

void build_store(Builder *builder, Buffer *buffer, Value *subscript, Value *value, Value *part)
{
    Statement *statement = build_statement(builder, LOOP_STORE);
    statement->buffer = buffer;
    statement->subscript = subscript;
    statement->value = value;
    statement->part = builder->lanes == 1 ? NULL : part;
}

Buffer *build_array(Builder *builder, const char *name, ElementType type, int64_t count)
{
    Buffer *buffer = arena_new_object(builder->arena, Buffer);
    buffer->id = builder->next_buffer++;
    buffer->name = builder_identifier(builder, name);
    buffer->type = type;
    buffer->local = buffer->written = buffer->aligned = true;
    buffer->count = count;
    buffer->parameter = -1;
    list_push(builder->arena, &builder->kernel->buffers, buffer);
    builder->kernel->stack_bytes += (count * element_type_size(type) + 63) / 64 * 64;
    build_statement(builder, LOOP_ARRAY)->buffer = buffer;
    return buffer;
}

void build_comment(Builder *builder, const char *text)
{
    build_statement(builder, LOOP_COMMENT)->text = text;
}

Statement *build_for(Builder *builder, const char *name, Value *from, Value *to, int64_t step)
{
    Statement *statement = arena_new_object(builder->arena, Statement);
    statement->kind = LOOP_FOR;
    statement->variable = build_name(builder, VALUE_INT, name);
    statement->from = from;
    statement->to = to;
    statement->step = build_int(builder, step);
    return statement;
}

Statement *build_if(Builder *builder, Value *condition)
{
    Statement *statement = arena_new_object(builder->arena, Statement);
    statement->kind = LOOP_IF;
    statement->value = condition;
    return statement;
}
