/* Small constructors of loop IR.
 * In: a Builder, which says where statements go.  Out: typed values and statements; INT arithmetic on constants is done at once.
 * What belongs where is left to lowering. */
#ifndef GM_LOOP_BUILD_H
#define GM_LOOP_BUILD_H

#include "loop/loop.h"

typedef struct {
    Arena *arena;
    int lanes;
    Block *block;        /* statements are appended here */
    LoopKernel *kernel;  /* NULL in element functions */
    Map names;           /* taken identifiers of the kernel */
    int next_variable, next_buffer;
} Builder;

Builder *builder_new(Arena *arena, int lanes, LoopKernel *kernel, Block *block);

/* VECTOR, or FLOAT where lanes is 1; and what goes with it. */
ValueType builder_vector_type(const Builder *builder);
const char *value_type_name(ValueType type);
const char *op_name(Op op);
int op_operands(Op op);
int function_arity(int function); /* as in Value.function */

/* --- values -------------------------------------------------------------------------------------------------------- */
Value *build_int(Builder *builder, int64_t whole);
Value *build_whole(Builder *builder, ValueType type, int64_t whole); /* INT, I32, IVECTOR */
Value *build_number(Builder *builder, ValueType type, double number); /* rounded to f32 */
Value *build_variable(Builder *builder, Variable *variable);
/* The result's type follows from the operation and its operands. */
Value *build_op(Builder *builder, Op op, Value *a, Value *b, Value *c);
Value *build_shift(Builder *builder, Op op, Value *a, int bits);
Value *build_call(Builder *builder, int function, Value *a, Value *b);
/* Of the table of the function being built; entries 8, 16 or 32. */
Value *build_lookup(Builder *builder, Value *index, int entries, int first);
Value *build_load(Builder *builder, Buffer *buffer, Value *subscript);
/* `lanes` elements, or the first `part` of them when part is not NULL. A plain load where lanes is 1. */
Value *build_load_vector(Builder *builder, Buffer *buffer, Value *subscript, Value *part);
/* Does nothing to a VECTOR, or where lanes is 1. */
Value *build_splat(Builder *builder, Value *a);
Value *build_add(Builder *builder, Value *a, Value *b);
Value *build_sub(Builder *builder, Value *a, Value *b);
Value *build_mul(Builder *builder, Value *a, Value *b);
/* a * factor + offset, of INT. */
Value *build_scaled(Builder *builder, Value *a, int64_t factor, int64_t offset);
bool value_is_int(const Value *value, int64_t *whole); /* a constant INT */
bool value_is_leaf(const Value *value);                /* a constant or a variable: nothing to compute */
bool value_equal(const Value *a, const Value *b);      /* the same tree */

/* --- statements ---------------------------------------------------------------------------------------------------- */
/* A new variable; its name is `name` made a free C identifier. */
Variable *build_name(Builder *builder, ValueType type, const char *name);
Value *build_let(Builder *builder, const char *name, Value *value); /* the variable */
Variable *build_declare(Builder *builder, const char *name, Value *value);
Variable *build_accumulator(Builder *builder, const char *name, Value *value); /* Variable says what that is */
void build_set(Builder *builder, Variable *variable, Value *value);
void build_store(Builder *builder, Buffer *buffer, Value *subscript, Value *value, Value *part);
Buffer *build_array(Builder *builder, const char *name, ElementType type, int64_t count); /* on the stack, declared here */
void build_comment(Builder *builder, const char *text);
/* A new loop, not yet appended anywhere: fill its body, then build_append it. */
Statement *build_for(Builder *builder, const char *name, Value *from, Value *to, int64_t step);
Statement *build_if(Builder *builder, Value *condition);
void build_append(Builder *builder, Statement *statement);
Statement *build_statement(Builder *builder, int kind);   /* LOOP_…: empty, appended */

/* A C identifier made of `name`'s letters, free in the kernel. */
const char *builder_identifier(Builder *builder, const char *name);

#endif
