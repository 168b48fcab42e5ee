/* The grammar of .gm: LALR(1), no conflicts, no precedence declarations; line ends mean nothing.
 * In: the tokens of tokens.c.  Out: ast_* calls, one a rule.  Leaves to others: what anything means.
 *
 * What the lexer settles, so that the parser need not:
 *   NAME    x  Conv_1          DOTTED  proj.weight  proj_in.0.bias  (letters first, dots inside, one token)
 *   TAIL    .norm  .0.fn       (a dot and what follows it, after a bracket: blocks[i].0.fn)
 *   DOTS    ..                 NUMBER never starts or ends with a dot; STRING "..." on one line
 * Keywords are reserved only as whole tokens, and a path may start with one (`@ output`).
 * SYNC is no word of the language: after an error the token source gives it and goes on at the next statement. */
%define api.pure full
%define api.prefix {gm_}
%define api.token.prefix {GM_TOKEN_}
%define api.location.type {Place}
%define parse.error custom
%define parse.lac full
%locations
%parse-param {ParseState *state}
%lex-param {ParseState *state}

%code requires {
#include "dsl/ast_build.h"
}

%code {
#define YYMAXDEPTH 20000
/* From the first piece that is not empty to the last. */
#define YYLLOC_DEFAULT(Current, Rhs, N)                                                          \
    do {                                                                                         \
        (Current) = YYRHSLOC(Rhs, (N) ? 1 : 0);                                                  \
        for (int piece_ = 2; piece_ <= (N) && (Current).begin == (Current).end; piece_++)        \
            (Current) = YYRHSLOC(Rhs, piece_);                                                   \
        if (N) (Current).end = YYRHSLOC(Rhs, N).end;                                             \
        else (Current).begin = (Current).end;                                                    \
    } while (0)
static void gm_error(Place *place, ParseState *state, const char *message);
}

%initial-action { @$ = (Place){state->source, 0, 0}; }

%union {
    const char *text;
    AstOperator op;
    AstExpr *expr;
    ExprList *exprs;
    Reads reads;
    AstArgument argument;
    ArgumentList *arguments;
    AstPath *path;
    PieceList *pieces;
    Word word;
    WordList *words;
    AstShape shape;
    ShapeList *shapes;
    AstInitial initial;
    AstParameter parameter;
    ParameterList *parameters;
    AstBound bound;
    BoundList *bounds;
    AstAssignment *assignment;
    AstStatement *statement;
    AstBody *body;
    AstCallable *callable;
    AstBindLine *line;
    LineList *lines;
}

%token <text> NAME "name" DOTTED "dotted name" TAIL "path component" DOTS ".." NUMBER "number" STRING "string"
%token <text> IMPORT "import" MODEL "model" BLOCK "block" INPUT "input" OUTPUT "output" PARAM "param" CONST "const" RETURN "return"
%token <text> REPEAT "repeat" IF "if" ELSE "else" FOR "for" OR "or" BIND "bind" IGNORE "ignore" TRUE "true" FALSE "false" SHARED "shared"
%token FLOOR "//" PIPE "|>" ARROW "->" LE "<=" GE ">=" EQ "==" NE "!=" AND "&&" OROR "||"
%token ONE_EXPRESSION SYNC END 0 "end of file"

%type <callable> callable
%type <parameters> parameters parameter_list
%type <parameter> parameter
%type <word> type
%type <shapes> results result_list
%type <shape> result shape
%type <exprs> dims dim_list values
%type <expr> dim expr conjunction comparison sum term unary chain primary plain
%type <body> body statements
%type <statement> statement conditional
%type <assignment> assignment
%type <words> names globs
%type <text> tensor word
%type <initial> initial
%type <bounds> bounds bound_list
%type <bound> bound
%type <lines> lines
%type <line> line
%type <op> relation
%type <reads> reads
%type <arguments> arguments argument_list
%type <argument> argument
%type <path> at path
%type <pieces> pieces

%start start
%%
start: file
    | ONE_EXPRESSION expr                                { state->expression = $2; } ;
file: %empty
    | file declaration ;
declaration: IMPORT STRING                               { ast_declare_import(state, $2, @$); }
    | CONST assignment                                   { ast_declare_const(state, $2, @$); }
    | callable                                           { ast_declare_callable(state, $1, @$); }
    | BIND NAME FOR NAME '{' lines '}'                   { ast_declare_bind(state, $2, @2, $4, @4, $6, @$); }
    | error SYNC                                         { yyerrok; } ;

callable: BLOCK NAME '(' parameters ')' results body     { $$ = ast_callable(state, false, $2, @2, $4, $6, $7, @$); }
    | MODEL NAME '(' parameters ')' body                 { $$ = ast_callable(state, true, $2, @2, $4, NULL, $6, @$); } ;
parameters: %empty                                       { $$ = NULL; }
    | parameter_list ;
parameter_list: parameter                                { $$ = ast_parameters(state, NULL, $1); }
    | parameter_list ',' parameter                       { $$ = ast_parameters(state, $1, $3); } ;
parameter: NAME                                          { $$ = ast_value_parameter($1, @1, NULL); }
    | NAME '=' expr                                      { $$ = ast_value_parameter($1, @1, $3); }
    | NAME type '[' dims ']'                             { $$ = ast_tensor_parameter($1, @1, ast_shape(state, $2.text, $2.place, $4, @$)); } ;
type: %empty                                             { $$ = (Word){NULL, @$}; }
    | ':' NAME                                           { $$ = (Word){$2, @2}; } ;
results: %empty                                          { $$ = NULL; }
    | "->" result_list                                   { $$ = $2; } ;
result_list: result                                      { $$ = ast_shapes(state, NULL, $1); }
    | result_list ',' result                             { $$ = ast_shapes(state, $1, $3); } ;
result: '[' dims ']'                                     { $$ = ast_shape(state, NULL, @1, $2, @$); }
    | NAME '[' dims ']'                                  { $$ = ast_shape(state, $1, @1, $3, @$); } ;
dims: %empty                                             { $$ = NULL; }
    | dim_list ;
dim_list: dim                                            { $$ = ast_exprs(state, NULL, $1); }
    | dim_list ',' dim                                   { $$ = ast_exprs(state, $1, $3); } ;
dim: DOTS                                                { $$ = ast_dots(state, @1); }
    | sum ;

body: '{' statements '}'                                 { $$ = $2; } ;
statements: %empty                                       { $$ = NULL; }
    | statements statement                               { $$ = ast_body(state, $1, $2); } ;
statement: INPUT NAME type shape initial                 { $$ = ast_tensor(state, AST_INPUT, $2, @2, $3, $4, $5, @$); }
    | PARAM tensor shape initial                         { $$ = ast_tensor(state, AST_PARAM, $2, @2, (Word){0}, $3, $4, @$); }
    | CONST assignment                                   { $$ = ast_assign(state, AST_CONST, $2, (AstInitial){0}, @$); }
    | OUTPUT assignment initial                          { $$ = ast_assign(state, AST_OUTPUT, $2, $3, @$); }
    | assignment                                         { $$ = ast_assign(state, AST_ASSIGN, $1, (AstInitial){0}, @$); }
    | NAME ',' names '=' expr                            { $$ = ast_destruct(state, ast_words(state, $3, $1, @1), $5, @$); }
    | RETURN values                                      { $$ = ast_return(state, $2, @$); }
    | REPEAT NAME '<' sum body                           { $$ = ast_repeat(state, $2, @2, $4, $5, @$); }
    | conditional
    | error SYNC                                         { yyerrok; $$ = NULL; } ;
assignment: NAME '=' expr                                { $$ = ast_assignment(state, $1, @1, false, NULL, $3, NULL); }
    | NAME '[' dims ']' '=' expr bounds                  { $$ = ast_assignment(state, $1, @1, true, $3, $6, $7); } ;
names: NAME                                              { $$ = ast_words(state, NULL, $1, @1); }
    | names ',' NAME                                     { $$ = ast_words(state, $1, $3, @3); } ;
tensor: NAME | DOTTED ;
shape: %empty                                            { $$ = ast_no_shape(@$); }
    | '[' dims ']'                                       { $$ = ast_shape(state, NULL, @1, $2, @$); } ;
initial: %empty                                          { $$ = (AstInitial){0}; }
    | '~' NAME                                           { $$ = ast_initial($2, NULL, false, @$); }
    | '~' NAME '(' arguments ')'                         { $$ = ast_initial($2, $4, true, @$); } ;
values: expr                                             { $$ = ast_exprs(state, NULL, $1); }
    | values ',' expr                                    { $$ = ast_exprs(state, $1, $3); } ;
conditional: IF expr body                                { $$ = ast_if(state, $2, $3, @$); }
    | IF expr body ELSE body                             { $$ = ast_if_else(state, $2, $3, $5, false, @$); }
    | IF expr body ELSE conditional                      { $$ = ast_if_else(state, $2, $3, ast_body(state, NULL, $5), true, @$); } ;
bounds: %empty                                           { $$ = NULL; }
    | FOR bound_list                                     { $$ = $2; } ;
bound_list: bound                                        { $$ = ast_bounds(state, NULL, $1); }
    | bound_list ',' bound                               { $$ = ast_bounds(state, $1, $3); } ;
bound: NAME '<' sum                                      { $$ = ast_bound($1, @1, $3); } ;

lines: %empty                                            { $$ = NULL; }
    | lines line                                         { $$ = ast_lines(state, $1, $2); } ;
line: plain pieces '=' expr bounds                       { $$ = ast_bind_tensor(state, $1, $2, $4, $5, @$); }
    | plain pieces '.' '*' '=' STRING                    { $$ = ast_bind_subtree(state, $1, $2, $6, @$); }
    | IGNORE globs                                       { $$ = ast_bind_ignore(state, $2, @$); }
    | IF expr '{' lines '}'                              { $$ = ast_bind_if(state, $2, $4, @$); }
    | error SYNC                                         { yyerrok; $$ = NULL; } ;   /* `for` as a first word would be ambiguous: quote it */
globs: STRING                                            { $$ = ast_words(state, NULL, $1, @1); }
    | globs ',' STRING                                   { $$ = ast_words(state, $1, $3, @3); } ;

expr: conjunction
    | expr "||" conjunction                              { $$ = ast_binary(state, AST_OR, @2, $1, $3, @$); } ;
conjunction: comparison
    | conjunction "&&" comparison                        { $$ = ast_binary(state, AST_AND, @2, $1, $3, @$); } ;
comparison: sum
    | sum relation sum                                   { $$ = ast_binary(state, $2, @2, $1, $3, @$); } ;
relation: '<'                                            { $$ = AST_LT; }
    | '>'                                                { $$ = AST_GT; }
    | "<="                                               { $$ = AST_LE; }
    | ">="                                               { $$ = AST_GE; }
    | "=="                                               { $$ = AST_EQ; }
    | "!="                                               { $$ = AST_NE; } ;
sum: term
    | sum '+' term                                       { $$ = ast_binary(state, AST_ADD, @2, $1, $3, @$); }
    | sum '-' term                                       { $$ = ast_binary(state, AST_SUB, @2, $1, $3, @$); } ;
term: unary
    | term '*' unary                                     { $$ = ast_binary(state, AST_MUL, @2, $1, $3, @$); }
    | term '/' unary                                     { $$ = ast_binary(state, AST_DIV, @2, $1, $3, @$); }
    | term "//" unary                                    { $$ = ast_binary(state, AST_FLOORDIV, @2, $1, $3, @$); }
    | term '%' unary                                     { $$ = ast_binary(state, AST_MOD, @2, $1, $3, @$); } ;
unary: chain
    | '-' unary                                          { $$ = ast_unary(state, AST_NEG, @1, $2, @$); }
    | '!' unary                                          { $$ = ast_unary(state, AST_NOT, @1, $2, @$); } ;
chain: primary
    | chain "|>" NAME '(' arguments ')' at               { $$ = ast_chain(state, $1, $3, @3, $5, $7, @$); } ;   /* tighter than arithmetic */
primary: NUMBER                                          { $$ = ast_number(state, $1, @1); }
    | TRUE                                               { $$ = ast_flag(state, true, @1); }
    | FALSE                                              { $$ = ast_flag(state, false, @1); }
    | STRING                                             { $$ = ast_string(state, $1, @1); }
    | STRING '[' reads ']'                               { $$ = ast_read(state, $1, @1, true, $3, @$); }
    | NAME                                               { $$ = ast_name(state, $1, @1); }
    | DOTTED                                             { $$ = ast_name(state, $1, @1); }
    | '(' expr ')'                                       { $$ = ast_parens(state, $2, @$); }
    | '[' values ']'                                     { $$ = ast_list(state, $2, @$); }
    | NAME '(' arguments ')' at                          { $$ = ast_call(state, $1, @1, $3, $5, @$); }
    | NAME '[' reads ']'                                 { $$ = ast_read(state, $1, @1, false, $3, @$); }
    | DOTTED '[' reads ']'                               { $$ = ast_read(state, $1, @1, false, $3, @$); }
    | NAME '[' reads ']' '(' expr ')'                    { $$ = ast_reduce(state, $1, @1, $3, $6, @$); } ;
reads: dims                                              { $$ = (Reads){$1, NULL}; }
    | dims OR expr                                       { $$ = (Reads){$1, $3}; } ;
arguments: %empty                                        { $$ = NULL; }
    | argument_list ;
argument_list: argument                                  { $$ = ast_arguments(state, NULL, $1); }
    | argument_list ',' argument                         { $$ = ast_arguments(state, $1, $3); } ;
argument: expr                                           { $$ = ast_argument(NULL, $1, @1); }
    | NAME '=' expr                                      { $$ = ast_argument($1, $3, @1); } ;

at: %empty                                               { $$ = NULL; }
    | '@' path                                           { $$ = $2; }
    | '@' '.'                                            { $$ = ast_path_here(state, @2); }
    | '@' SHARED path                                    { $$ = ast_path_shared($3, @$); } ;
path: STRING pieces                                      { $$ = ast_path(state, $1, true, @1, $2, @$); }
    | word pieces                                        { $$ = ast_path(state, $1, false, @1, $2, @$); } ;
pieces: %empty                                           { $$ = NULL; }
    | pieces TAIL                                        { $$ = ast_pieces(state, $1, $2, NULL, @2); }
    | pieces '[' dims ']'                                { Place brackets = place_join(@2, @4); $$ = ast_pieces(state, $1, NULL, $3, brackets); } ;
plain: NAME                                              { $$ = ast_name(state, $1, @1); }
    | DOTTED                                             { $$ = ast_name(state, $1, @1); }
    | STRING                                             { $$ = ast_string(state, $1, @1); } ;
word: NAME | DOTTED | NUMBER | IMPORT | MODEL | BLOCK | INPUT | OUTPUT | PARAM | CONST | RETURN | REPEAT | IF | ELSE | FOR | OR
    | BIND | IGNORE | TRUE | FALSE ;
%%

/* Only what the parser itself cannot go on from: its stack is full. */
static void gm_error(Place *place, ParseState *state, const char *message)
{
    (void)message;
    if (!state->stopped) diag_error(state->diags, GM006, *place, "this is nested too deeply to be read");
    state->stopped = true;
}

static int yyreport_syntax_error(const yypcontext_t *context, ParseState *state)
{
    enum { MOST = 80 };
    yysymbol_kind_t kinds[MOST];
    const char *names[MOST];
    int count = yypcontext_expected_tokens(context, kinds, MOST);
    for (int i = 0; i < count; i++) names[i] = yysymbol_name(kinds[i]);
    yysymbol_kind_t found = yypcontext_token(context);
    Place place = *yypcontext_location(context);
    parse_report(state, place, found == YYSYMBOL_YYEMPTY ? "" : yysymbol_name(found), names, count < 0 ? 0 : count);
    return 0;
}
