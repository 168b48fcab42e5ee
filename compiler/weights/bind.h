/* What the files of this folder share about bind declarations.
 *
 *   bind_match.c     which line of which declaration names a parameter, and what foreign name it gives
 *   bind_equation.c  a line with subscripts → an equation over foreign tensors
 *   load.c           every parameter's source, all complaints at once, values
 */
#ifndef GM_WEIGHTS_BIND_H
#define GM_WEIGHTS_BIND_H

#include "weights/archive.h"
#include "weights/execute.h"
#include "weights/weights.h"

enum { MAX_BIND_VARIABLES = 8 };

/* One bind declaration at one call: paths are relative to the call's. */
typedef struct {
    Arena *arena;
    const AstBind *bind;
    const Frame *frame;  /* whose compile-time values its expressions may use */
    const char *prefix;  /* path of the call, "" for the model */
    int depth;
    LIST(const AstBindLine *) lines; /* those of taken `if`s */
} BindScope;
typedef LIST(BindScope *) BindScopes;

/* A line that matches a parameter, with the values of its index variables. */
typedef struct {
    const AstBindLine *line;
    const BindScope *scope;
    int variable_count;
    struct {
        const char *name;
        int64_t value;
    } variables[MAX_BIND_VARIABLES];
} BoundLine;

typedef struct {
    const char *name;             /* the foreign tensor that it is, whole; NULL: equations */
    const AstBindLine *line;      /* the line that says so; NULL: its own path */
    const BindScope *scope;
    LIST(BoundLine) equations;
} WeightSource;

/* Declarations called `name` that apply to the model or to blocks it calls, outermost calls first. */
BindScopes bind_scopes(Arena *arena, const Model *model, const char *name, Diagnostics *diags);
/* The names of all that apply, each once. */
typedef LIST(const char *) BindNames;
BindNames bind_names(Arena *arena, const Model *model);
/* What the declaration says about a parameter; false: nothing. */
bool bind_source(BindScope *scope, const Archive *archive, const Tensor *weight, WeightSource *source, Diagnostics *diags);
bool bind_line_matches(BindScope *scope, const AstBindLine *line, const char *path, Diagnostics *diags);
bool bind_ignores(const BindScope *scope, const char *foreign);
/* A name as a line wrote it, braces replaced; the spelling under which the archive has it (relative to the call, or as it is). */
const char *bind_expand(const BoundLine *line, const char *text, Place place, Diagnostics *diags);
const char *bind_foreign(const BindScope *scope, const Archive *archive, const char *name);
ConstantLookup bound_line_lookup; /* context: a BoundLine */

/* An equation that fills (a part of) `weight`. */
typedef struct {
    Module *module;          /* scratch: foreign tensors, the weight, one equation */
    Tensor *result;
    Equation *equation;
    LIST(const ForeignTensor *) foreign; /* by tensor id; NULL for the result */
} BoundEquation;

/* Complaints about one checkpoint, each a list that becomes one diagnostic. */
typedef struct {
    const char *text;
    Place place;
    const char *help;
} Complaint;
typedef struct {
    LIST(Complaint) missing, misshapen, mistyped;
    LIST(const ForeignTensor *) used;
} Complaints;

/* NULL after a complaint or an error. */
BoundEquation *bind_equation(Arena *arena, const BoundLine *line, const Archive *archive, const Tensor *weight, Complaints *complaints, Diagnostics *diags);

#endif
