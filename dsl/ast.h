/* The syntax tree of a .gm file: exactly what was written, in order; nothing is resolved or computed here.
 * In: constructor calls from parser.y.  Out: an AstFile.  Every node knows its place in the source. */
#ifndef GM_DSL_AST_H
#define GM_DSL_AST_H

#include "support/arena.h"
#include "support/list.h"
#include "support/source.h"

#include <stdbool.h>
#include <stdint.h>

/* Recursion over a tree is safe: the parser refuses what is deeper. */
enum { AST_DEEPEST_EXPR = 1000, AST_DEEPEST_STATEMENT = 400, AST_DEEPEST_BRACKETS = 200, AST_LARGEST_SOURCE = 16 * 1000 * 1000 };

typedef struct AstExpr AstExpr;
typedef struct AstStatement AstStatement;
typedef LIST(AstStatement *) AstBody;

typedef enum {
    AST_NUMBER,    /* 6, 1e-5 */
    AST_FLAG,      /* true, false */
    AST_STRING,    /* "labels.txt"; in bind lines also a foreign tensor read whole */
    AST_NAME,      /* x, DEPTH, proj.weight (a dotted name is one name) */
    AST_LIST,      /* [a, b, c] */
    AST_UNARY,     /* -a, !a */
    AST_BINARY,    /* a + b ... */
    AST_CALL,      /* f(a, N = b) @ path; also x |> f(...) with chained set and x as first argument */
    AST_READ,      /* x[i, j or v]; also a list element DEPTHS[s], and "name"[k, m] with string_name set in bind lines */
    AST_REDUCE,    /* sum[j, k](body) */
    AST_PARENS,    /* (a): kept for the formatter; means a */
    AST_DOTS       /* .. as an index */
} AstExprKind;

typedef enum {
    AST_ADD, AST_SUB, AST_MUL, AST_DIV, AST_FLOORDIV, AST_MOD,
    AST_LT, AST_GT, AST_LE, AST_GE, AST_EQ, AST_NE, AST_AND, AST_OR,
    AST_NEG, AST_NOT
} AstOperator;

typedef struct {
    const char *name; /* NULL: positional */
    AstExpr *value;
    Place place;
} AstArgument;

/* One component of a path after `@` or on a bind line's left: "blocks[l].0.fn" is
 * {name blocks} {index l} {name 0} {name fn}. Dotted words are split; a string is one component list, split at its dots too. */
typedef struct {
    const char *name; /* NULL: an index */
    AstExpr *index;
    bool quoted;
    Place place;
} AstPathPart;
typedef struct {
    LIST(AstPathPart) parts;
    bool here;   /* `@ .` */
    bool shared; /* `@ shared path` */
    Place place;
} AstPath;

struct AstExpr {
    AstExprKind kind;
    Place place;
    double number;       /* NUMBER */
    bool integer;        /* NUMBER: written without point or exponent, and exact in int64 */
    int64_t whole;       /* NUMBER with integer */
    bool flag;           /* FLAG */
    const char *text;    /* NUMBER as written; STRING decoded; NAME; CALL, READ, REDUCE: the name called, read or reducing */
    bool string_name;    /* READ: the name was a string */
    Place name_place;    /* CALL, READ, REDUCE: of the name alone */
    AstOperator op;      /* UNARY, BINARY */
    Place op_place;      /* UNARY, BINARY */
    AstExpr *left, *right; /* BINARY; UNARY and PARENS use left; REDUCE: left is the body */
    LIST(AstExpr *) items; /* LIST elements; READ and REDUCE subscripts (DOTS allowed) */
    AstExpr *otherwise;    /* READ: the VALUE of `or VALUE`, or NULL */
    LIST(AstArgument) arguments; /* CALL */
    AstPath *path;         /* CALL: `@ path`, or NULL */
    bool chained;          /* CALL written as a |> f(...): a is arguments.data[0] */
    int depth;             /* levels of expressions below and with this one, at most AST_DEEPEST_EXPR */
};

/* ELEMENT[SIZES]: of a parameter, an input, a result. */
typedef struct {
    bool present;          /* false: no brackets (a scalar `input s`, `param t`) */
    LIST(AstExpr *) dims;  /* DOTS allowed, once */
    const char *type;      /* element type as written, or NULL */
    Place place, type_place;
} AstShape;

/* ~ NAME(arguments) */
typedef struct {
    const char *name; /* NULL: none */
    LIST(AstArgument) arguments;
    bool parens;
    Place place;
} AstInitial;

typedef struct {
    const char *name;
    Place place;
    bool is_tensor;   /* x[N, C]: a shape pattern; else a compile-time value */
    AstShape shape;
    AstExpr *value;   /* the default of a compile-time value, or NULL */
} AstParameter;

typedef struct {
    const char *name;
    AstExpr *extent;
    Place place;
} AstBound; /* for name < extent */

typedef struct {
    const char *name;
    Place place;
    bool subscripted;            /* y[i, j] = …: an index equation; else y = … */
    LIST(AstExpr *) subscripts;  /* DOTS allowed */
    AstExpr *value;
    LIST(AstBound) bounds;
} AstAssignment;

typedef enum {
    AST_ASSIGN,   /* assignment */
    AST_OUTPUT,   /* output assignment ~ initial */
    AST_CONST,    /* const assignment */
    AST_DESTRUCT, /* u, v = expr: names, value */
    AST_INPUT,    /* input NAME: type[shape] ~ initial */
    AST_PARAM,    /* param NAME[shape] ~ initial */
    AST_RETURN,   /* values */
    AST_REPEAT,   /* repeat counter < extent body */
    AST_IF        /* condition, body, else_body (an `else if` is an else_body of one AST_IF with chained_if) */
} AstStatementKind;

struct AstStatement {
    AstStatementKind kind;
    Place place;
    AstAssignment assignment;   /* ASSIGN, OUTPUT, CONST */
    AstInitial initial;         /* OUTPUT, INPUT, PARAM */
    const char *name;           /* INPUT, PARAM (dotted allowed), REPEAT: the counter */
    Place name_place;
    AstShape shape;             /* INPUT, PARAM */
    LIST(const char *) names;   /* DESTRUCT */
    LIST(Place) name_places;
    AstExpr *value;             /* DESTRUCT */
    LIST(AstExpr *) values;     /* RETURN */
    AstExpr *extent;            /* REPEAT */
    AstExpr *condition;         /* IF */
    AstBody body;               /* REPEAT, IF */
    bool has_else, else_if;
    AstBody else_body;
    int depth;                  /* levels of statements below and with this one, at most AST_DEEPEST_STATEMENT */
};

typedef struct {
    bool is_model;
    const char *name;
    Place name_place, place;      /* place: of the whole declaration */
    LIST(AstParameter) parameters;
    bool has_results;
    LIST(AstShape) results;       /* compulsory for blocks */
    AstBody body;
} AstCallable;

typedef enum { BIND_TENSOR, BIND_SUBTREE, BIND_IGNORE, BIND_IF } AstBindKind;
typedef struct AstBindLine AstBindLine;
struct AstBindLine {
    AstBindKind kind;
    Place place;
    AstPath path;                 /* TENSOR, SUBTREE: the left side without its subscripts */
    bool subscripted;             /* TENSOR: the last brackets of the left side are subscripts, when the right side has subscripts */
    LIST(AstExpr *) subscripts;
    AstExpr *value;               /* TENSOR: a STRING, or an expression over "name"[...] reads */
    const char *pattern;          /* SUBTREE: "network.{2*i}.*" */
    LIST(AstBound) bounds;        /* TENSOR */
    LIST(const char *) globs;     /* IGNORE */
    AstExpr *condition;           /* IF */
    LIST(AstBindLine *) lines;    /* IF */
};

typedef struct {
    const char *name, *target;    /* bind NAME for TARGET */
    Place place, name_place, target_place;
    LIST(AstBindLine *) lines;
} AstBind;

typedef enum { DECLARE_IMPORT, DECLARE_CONST, DECLARE_CALLABLE, DECLARE_BIND } AstDeclarationKind;
typedef struct {
    AstDeclarationKind kind;
    Place place;
    const char *import;           /* IMPORT: the path as written */
    AstAssignment constant;       /* CONST */
    AstCallable *callable;        /* CALLABLE */
    AstBind *bind;                /* BIND */
    const char *doc;              /* the ## lines before it, without their marks; NULL: none */
} AstDeclaration;

typedef struct {
    Source *source;
    LIST(AstDeclaration *) declarations;
    LIST(Place) comments;         /* every comment from # to the end of its line, in order */
} AstFile;

struct Diagnostics;
/* Runs flex and bison over a source. Syntax errors go to `diags`; the tree holds what could be read. NULL when nothing could. */
AstFile *ast_parse(Arena *arena, Source *source, struct Diagnostics *diags);
/* The same for one expression (a --set value); NULL and a diagnostic when it is none. */
AstExpr *ast_parse_expression(Arena *arena, Source *source, struct Diagnostics *diags);

struct Text;
/* An expression in the notation of the language, as the formatter writes it. */
void ast_print_expr(const AstExpr *expr, struct Text *out);
/* The tree as indented text (--emit=ast). */
void ast_print(const AstFile *file, struct Text *out);

#endif
