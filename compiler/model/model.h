/* From text to equations: imports, names, compile-time values, blocks expanded, shapes and bounds checked.
 * In: the path of a .gm file and what the command line sets.  Out: a Module (unfused, one equation as written or per whole-tensor
 * operation), or diagnostics.  Leaves to others: checkpoints, fusion, everything about machines. */
#ifndef GM_MODEL_MODEL_H
#define GM_MODEL_MODEL_H

#include "dsl/ast.h"
#include "equation/equation.h"
#include "support/diagnostics.h"

/* Trees of files, shared by the requests that name it (variants of one model): a file is read and parsed once. */
typedef struct {
    Arena *arena; /* outlives what is loaded */
    Map files;    /* identity of a file → AstFile */
} ParsedFiles;

/* Told what happens while a model is expanded, for tools that explain it. Every pointer but the Value's lives as long as the arena. */
struct Value;
typedef struct {
    const AstCallable *block; /* in whose body the name stands; NULL: a constant of a file */
    const Frame *frame;       /* of the call, or the turn of a repeat; for an element function that of its caller. Only while told */
    const char *name;
    Place place;              /* where it was bound; an index: where it is first named */
    bool index;               /* an index of an equation; its value is its extent */
    const struct Value *value;
} BoundName;
typedef struct {
    void *context;
    void (*bound)(void *context, const BoundName *bound);
    /* A call of `block` at `place` was expanded; element functions have no frame. */
    void (*called)(void *context, const AstCallable *block, const Frame *frame, Place place, const struct Value *result);
} ModelObserver;

typedef struct {
    const char *path;        /* the .gm file; "-" is standard input */
    const char *text;        /* not NULL: the text itself, `path` is then only its name */
    const char *model;       /* --model NAME, or NULL */
    LIST(const char *) sets; /* "DEPTH=12" in order of the command line */
    int64_t batch;           /* inputs of one run: a leading axis of everything that depends on one; 0 or 1: none */
    ParsedFiles *parsed;     /* or NULL */
    const ModelObserver *observer; /* or NULL */
    /* Texts that stand for files (an editor's unsaved ones): the text of the file of that real path, which must live as long as the arena,
     * or NULL. Itself NULL: there are none. */
    const char *(*unsaved)(void *context, const char *path, size_t *size);
    void *unsaved_context;
} ModelRequest;

/* A bind declaration that applies to the model, with the file it stands in. */
typedef struct {
    const AstBind *bind;
    const AstFile *file;
} BindSource;

/* An import that was followed. */
typedef struct {
    const AstDeclaration *declaration;
    const AstFile *from;
    const AstFile *to; /* NULL: it is no text at all */
} ModelImport;

typedef struct {
    LIST(AstFile *) files;  /* the file, then every import once, in order of first mention */
    LIST(BindSource) binds; /* all of them; Frame.block and Module.name say where they apply */
    LIST(ModelImport) imports;
    Module *module;         /* NULL when there were errors */
} Model;

/* Parses the file and its imports (beside the importing file, then the embedded library) and expands the chosen model.
 * module is NULL when an error was reported. */
Model *model_load(Arena *arena, const ModelRequest *request, Diagnostics *diags);

/* Compile-time evaluation for others (bind lines, hints): names are looked up by the callback. Errors go to diags. */
typedef struct ConstantValue {
    enum { CONSTANT_NUMBER, CONSTANT_FLAG, CONSTANT_STRING, CONSTANT_LIST } kind;
    double number;
    bool integer; /* NUMBER without fraction, written or computed from integers */
    bool flag;
    const char *text;
    int count; /* LIST */
    struct ConstantValue *items;
} ConstantValue;
typedef bool ConstantLookup(void *context, const char *name, ConstantValue *value);
bool constant_evaluate(Arena *arena, const AstExpr *expr, ConstantLookup *lookup, void *context, ConstantValue *value, Diagnostics *diags);

/* The embedded library: name ("vision.gm") → text, or NULL. */
const char *library_find(const char *name, size_t *size);
int library_count(void);
const char *library_name(int i);

#endif
