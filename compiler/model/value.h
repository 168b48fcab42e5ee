/* Values that names stand for while a model is expanded: numbers and flags known now, lists, blocks, tensors, and
 * elements of tensors inside an equation.
 * Numbers are exact rationals as long as they fit into 64 bits (0.5 and 1e-5 too), then doubles. */
#ifndef GM_MODEL_VALUE_H
#define GM_MODEL_VALUE_H

#include "dsl/ast.h"
#include "equation/equation.h"

typedef struct {
    bool exact;
    int64_t numerator, denominator; /* exact: in lowest terms, denominator > 0 */
    double real;                    /* not exact */
    bool decimal;                   /* made from a number with a point, an exponent, or a real function: f32 in an equation */
} Number;

/* How a size came about, for messages: "TOKENS = 16 * 16 given at 2:24", "from x[N, C] at 4:20". */
typedef enum { ORIGIN_GIVEN, ORIGIN_SET, ORIGIN_PATTERN, ORIGIN_DECLARED, ORIGIN_FOR } OriginKind;
typedef struct Origin {
    OriginKind kind;
    const char *size;    /* the name of the size ("TOKENS"), or NULL */
    const char *text;    /* what stands at the place: "x[N, C]", "[N, N]"; GIVEN, SET: the name; FOR: the index */
    const AstExpr *expr; /* GIVEN, FOR: its value; SET: NULL, text says all */
    Place place;
    const struct Origin *from;   /* how the size named in the text came about, or NULL */
    const struct Origin *caller; /* PATTERN: the same axis in the words of the caller, or NULL */
    int depth;                   /* of the call that it belongs to */
} Origin;

typedef struct Block Block;
typedef struct Value Value;

/* An argument given to a block before it is called: attention(HEADS = 8), masked(bias = b). */
typedef struct {
    const char *name;
    Value *value;
    Place place;
} GivenArgument;

/* A block or an element function, maybe with some arguments given. */
typedef struct {
    const char *name;
    Block *block; /* NULL: the element function */
    Function function;
    int given_count;
    GivenArgument *given;
    bool partial; /* written as a call that leaves a tensor for later */
    Place place;
} Callable;

typedef enum {
    VALUE_POISON, /* an error was reported: silences follow-ups */
    VALUE_NUMBER,
    VALUE_FLAG,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_CALLABLE,
    VALUE_TENSOR,
    VALUE_ELEMENT, /* an expr: one element of an equation, or of a whole-tensor expression over `indices` */
    VALUE_TUPLE    /* several results of a block */
} ValueKind;

struct Value {
    ValueKind kind;
    Number number;
    bool flag;
    const char *text;
    int count; /* LIST, TUPLE */
    Value *items;
    const Callable *callable;
    Tensor *tensor;       /* TENSOR */
    Expr *expr;           /* ELEMENT */
    bool condition;       /* ELEMENT: a flag known at run time only */
    bool indexed;         /* ELEMENT: an integer made of index values */
    int rank;             /* ELEMENT: axes of the whole-tensor expression; 0 inside an equation */
    Index **indices;      /* ELEMENT: rank of them */
    const Origin **axes;  /* TENSOR, ELEMENT: how each extent came about; entries may be NULL */
    int size, depth;      /* ELEMENT: nodes (as a tree) and height of expr */
    const Origin *origin; /* NUMBER: or NULL */
};

Number number_int(int64_t value);
Number number_real(double value);
double number_double(Number number);
bool number_is_integer(Number number, int64_t *value); /* has no fraction and fits */
bool number_is_typed_integer(Number number);           /* also i32 in an equation: no decimal in it */
/* A number as written: "0.5" is 1/2 with decimal set. */
Number number_parse(const AstExpr *expr);

Value value_poison(void);
Value value_number(Number number);
Value value_int(int64_t value);
Value value_flag(bool flag);
bool value_is_constant(const Value *value);      /* number, flag, string or list */
const char *value_kind_name(const Value *value); /* "a number", "a tensor" */
void value_print(const Value *value, Text *out); /* 256, 1e-05, true, [2, 2], attention(HEADS = 8), x[196, 256] */
void number_print(Number number, Text *out);

/* ", from x[N, C] at 4:20", "" when unknown. `near`: the source whose file name is left out. */
const char *origin_story(Arena *arena, const Origin *origin, const Source *near);
const char *expr_text(Arena *arena, const AstExpr *expr);
const char *extents_text(Arena *arena, const Tensor *tensor); /* "[196, 768]" */

/* Compile-time arithmetic. On failure returns false and *error says why ("division by zero"). */
bool value_binary(AstOperator op, const Value *a, const Value *b, Value *result, const char **error);
bool value_unary(AstOperator op, const Value *a, Value *result, const char **error);
bool value_apply(Function function, int count, const Value *arguments, Value *result, const char **error);
/* items[k] of a list. */
bool value_element(Arena *arena, const Value *list, const Value *index, Value *result, const char **error);

#endif
