/* What each name in a text refers to, by the text alone: also where a model has errors, or none uses a block.
 * In: trees of a file and of what it imports.  Out: symbols, and every occurrence of each.  Leaves to others: values (analysis.c). */
#ifndef GM_LSP_NAMES_H
#define GM_LSP_NAMES_H

#include "model/model.h"

typedef enum {
    SYMBOL_BLOCK,
    SYMBOL_MODEL,
    SYMBOL_CONSTANT, /* of a file */
    SYMBOL_OPTION,   /* a parameter known when compiling: EPS = 1e-6 */
    SYMBOL_ARGUMENT, /* a tensor parameter: x[N, C] */
    SYMBOL_SIZE,     /* bound by a pattern */
    SYMBOL_VALUE,    /* assigned */
    SYMBOL_INPUT,
    SYMBOL_OUTPUT,
    SYMBOL_WEIGHT,   /* param */
    SYMBOL_COUNTER,  /* of a repeat */
    SYMBOL_INDEX     /* of an equation or reduction */
} SymbolKind;
const char *symbol_kind_name(SymbolKind kind); /* "block", "tensor" … */

typedef struct {
    Place place;
    size_t visible; /* first byte at which it holds: behind its statement */
} Definition;

typedef struct Symbol {
    SymbolKind kind;
    const char *name;
    const AstFile *file;
    const AstDeclaration *declaration; /* that it is, or in which it stands */
    const AstCallable *callable;       /* BLOCK, MODEL: itself; others: in which it stands; NULL: CONSTANT */
    const AstStatement *statement;     /* WEIGHT, INPUT */
    const AstExpr *value;              /* OPTION: its default; CONSTANT; VALUE: of the first definition */
    LIST(Definition) definitions;
} Symbol;

typedef struct {
    Place place;
    const char *name;
    Symbol *symbol;      /* NULL: a word of the language, or unknown */
    bool defines;
    const AstExpr *call; /* CALL: the expression whose block this names */
    const AstDeclaration *import; /* an import's string */
} Occurrence;

typedef struct FileNames {
    const AstFile *file;
    LIST(struct FileNames *) imports;
    Map symbols; /* blocks, models, constants → Symbol */
    LIST(Symbol *) locals; /* of all its callables */
    LIST(Occurrence) occurrences; /* in order of the text */
    int visit;
} FileNames;

typedef struct {
    Arena *arena;
    LIST(FileNames *) files; /* the first is the text itself */
    int visits;
} Project;

Project *project_new(Arena *arena, const Model *model);
/* A block, model or constant as seen from a file: its own first, then imports, nearer ones first; NULL. */
Symbol *project_find(Project *project, FileNames *from, const char *name);
/* A parameter, size, tensor … of a callable; NULL. */
Symbol *local_find(const FileNames *file, const AstCallable *callable, const char *name);
/* The definition that a use at `offset` of the same file means. */
Place symbol_definition(const Symbol *symbol, size_t offset);

/* For names_walk.c: the bodies. */
void names_walk_file(Project *project, FileNames *file);

#endif
