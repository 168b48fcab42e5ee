/* Constructors of tree nodes; what the parser's actions call.
 * In: pieces and their places.  Out: nodes of ast.h, in the arena of the state.  Leaves to others: the order of calls (parser.y). */
#ifndef GM_DSL_AST_BUILD_H
#define GM_DSL_AST_BUILD_H

#include "dsl/ast.h"
#include "dsl/tokens.h"
#include "support/diagnostics.h"

typedef LIST(AstExpr *) ExprList;
typedef LIST(AstArgument) ArgumentList;
typedef LIST(AstShape) ShapeList;
typedef LIST(AstParameter) ParameterList;
typedef LIST(AstBound) BoundList;
typedef LIST(AstBindLine *) LineList;
typedef LIST(const char *) StringList;

/* A piece of text with its place: a name, a number, a string as written. */
typedef struct {
    const char *text;
    Place place;
} Word;
typedef LIST(Word) WordList;

/* What stands between the brackets of a read. */
typedef struct {
    ExprList *dims;
    AstExpr *otherwise;
} Reads;

/* What follows the first word of a path: .tails and [indices]. */
typedef struct {
    const char *tail; /* ".0.fn", or NULL */
    ExprList *dims;   /* [i], or NULL */
    Place place;
} Piece;
typedef LIST(Piece) PieceList;

/* One run of the parser. */
typedef struct ParseState {
    Arena *arena;
    Source *source;
    Diagnostics *diags;
    const TokenList *words;
    int next;             /* the token that the parser gets next */
    int start;            /* a token to give first (ONE_EXPRESSION), or 0 */
    bool panic, stopped;  /* an error was just reported: resume elsewhere; give up quietly */
    bool resume_back;     /* the statement to go on with began a token earlier */
    int resume, last_resume;
    int braces;           /* open ones among the tokens given so far */
    int closing;          /* closing braces to give before going on */
    int errors;
    AstFile *file;        /* what is built */
    AstExpr *expression;
} ParseState;

/* Lists: the first call gets NULL. */
ExprList *ast_exprs(ParseState *state, ExprList *list, AstExpr *expr);
ArgumentList *ast_arguments(ParseState *state, ArgumentList *list, AstArgument argument);
ShapeList *ast_shapes(ParseState *state, ShapeList *list, AstShape shape);
ParameterList *ast_parameters(ParseState *state, ParameterList *list, AstParameter parameter);
BoundList *ast_bounds(ParseState *state, BoundList *list, AstBound bound);
LineList *ast_lines(ParseState *state, LineList *list, AstBindLine *line);
WordList *ast_words(ParseState *state, WordList *list, const char *text, Place place);
PieceList *ast_pieces(ParseState *state, PieceList *list, const char *tail, ExprList *dims, Place place);
AstBody *ast_body(ParseState *state, AstBody *list, AstStatement *statement);

/* Expressions. */
AstExpr *ast_number(ParseState *state, const char *text, Place place);
AstExpr *ast_flag(ParseState *state, bool flag, Place place);
AstExpr *ast_string(ParseState *state, const char *written, Place place);
AstExpr *ast_name(ParseState *state, const char *text, Place place);
AstExpr *ast_dots(ParseState *state, Place place);
AstExpr *ast_list(ParseState *state, ExprList *items, Place place);
AstExpr *ast_parens(ParseState *state, AstExpr *inner, Place place);
AstExpr *ast_unary(ParseState *state, AstOperator op, Place op_place, AstExpr *operand, Place place);
AstExpr *ast_binary(ParseState *state, AstOperator op, Place op_place, AstExpr *left, AstExpr *right, Place place);
AstExpr *ast_call(ParseState *state, const char *name, Place name_place, ArgumentList *arguments, AstPath *path, Place place);
AstExpr *ast_chain(ParseState *state, AstExpr *first, const char *name, Place name_place, ArgumentList *arguments, AstPath *path, Place place);
AstExpr *ast_read(ParseState *state, const char *name, Place name_place, bool string_name, Reads reads, Place place);
AstExpr *ast_reduce(ParseState *state, const char *name, Place name_place, Reads reads, AstExpr *body, Place place);
AstArgument ast_argument(const char *name, AstExpr *value, Place place);

/* Paths. `shared` and `here` are set by the caller's choice of function. */
AstPath *ast_path(ParseState *state, const char *head, bool quoted, Place head_place, PieceList *pieces, Place place);
AstPath *ast_path_here(ParseState *state, Place place);
AstPath *ast_path_shared(AstPath *path, Place place);

/* Declarations and statements. */
AstShape ast_shape(ParseState *state, const char *type, Place type_place, ExprList *dims, Place place);
AstShape ast_no_shape(Place place);
AstInitial ast_initial(const char *name, ArgumentList *arguments, bool parens, Place place);
AstParameter ast_value_parameter(const char *name, Place name_place, AstExpr *value);
AstParameter ast_tensor_parameter(const char *name, Place name_place, AstShape shape);
AstBound ast_bound(const char *name, Place name_place, AstExpr *extent);
AstAssignment *ast_assignment(ParseState *state, const char *name, Place name_place, bool subscripted, ExprList *subscripts, AstExpr *value,
                              BoundList *bounds);
AstStatement *ast_assign(ParseState *state, AstStatementKind kind, AstAssignment *assignment, AstInitial initial, Place place);
AstStatement *ast_tensor(ParseState *state, AstStatementKind kind, const char *name, Place name_place, Word type, AstShape shape, AstInitial initial,
                         Place place);
AstStatement *ast_destruct(ParseState *state, WordList *names, AstExpr *value, Place place);
AstStatement *ast_return(ParseState *state, ExprList *values, Place place);
AstStatement *ast_repeat(ParseState *state, const char *counter, Place counter_place, AstExpr *extent, AstBody *body, Place place);
AstStatement *ast_if(ParseState *state, AstExpr *condition, AstBody *body, Place place);
AstStatement *ast_if_else(ParseState *state, AstExpr *condition, AstBody *body, AstBody *else_body, bool else_if, Place place);
AstCallable *ast_callable(ParseState *state, bool is_model, const char *name, Place name_place, ParameterList *parameters, ShapeList *results,
                          AstBody *body, Place place);

/* Bind lines. `left` holds the head of the path. */
AstBindLine *ast_bind_tensor(ParseState *state, AstExpr *left, PieceList *pieces, AstExpr *value, BoundList *bounds, Place place);
AstBindLine *ast_bind_subtree(ParseState *state, AstExpr *left, PieceList *pieces, const char *pattern, Place place);
AstBindLine *ast_bind_ignore(ParseState *state, WordList *globs, Place place);
AstBindLine *ast_bind_if(ParseState *state, AstExpr *condition, LineList *lines, Place place);

/* What a file consists of; added to state->file at once, so that a later error loses nothing. */
void ast_declare_import(ParseState *state, const char *written, Place place);
void ast_declare_const(ParseState *state, AstAssignment *constant, Place place);
void ast_declare_callable(ParseState *state, AstCallable *callable, Place place);
void ast_declare_bind(ParseState *state, const char *name, Place name_place, const char *target, Place target_place, LineList *lines, Place place);

/* A string as written, in quotes, without them and its escapes. */
const char *ast_unquote(Arena *arena, const char *written);

/* The parser's source of tokens, and what a syntax error says and where parsing goes on. */
union GM_STYPE;
int gm_lex(union GM_STYPE *value, Place *place, ParseState *state);
/* `expected`: names of tokens as parser.y writes them. */
void parse_report(ParseState *state, Place place, const char *found, const char *const *expected, int expected_count);

#endif
