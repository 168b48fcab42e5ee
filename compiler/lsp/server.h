/* What the files of this folder share; lsp.h says which is which. */
#ifndef GM_LSP_SERVER_H
#define GM_LSP_SERVER_H

#include "lsp/names.h"
#include "lsp/transport.h"
#include "model/model.h"
#include "model/value.h"

/* --- analysis: a text through the compiler --------------------------------------------------------------------------- */

/* What a name was bound to in some calls of its block. */
typedef struct {
    Value value;
    const char *path, *last; /* parameter paths of the first and the last of these calls */
    int count;
} Variation;

/* A name bound at one place: alike in all calls of the block, or not. */
typedef struct {
    Place place;
    bool index;
    LIST(Variation) variations;
    int others; /* calls with further values, beyond what is kept */
    Value last;
} Fact;
typedef LIST(Fact *) Facts;

/* A call that was expanded. */
typedef struct {
    const Frame *frame; /* NULL: an element function */
    const Value *result;
    Place place;
    int run;
} CallFact;
typedef LIST(CallFact) CallFacts;

typedef struct {
    const Frame *frame;
    const Tensor *tensor;
} WeightFact;

/* One model of the text, expanded. */
typedef struct {
    Model *model;
    Diagnostics *diags;
    LIST(WeightFact) weights;
} Run;

typedef struct {
    Arena *arena;
    Source *source; /* the text that was analysed */
    ParsedFiles parsed;
    LIST(Run) runs; /* one for each model in it; at least one */
    Map facts;      /* block and name → Facts */
    Map calls;      /* block → CallFacts */
    bool right;     /* without errors */
    const char *fault; /* of the compiler itself, or NULL */
    int milliseconds;
    Project *project; /* made when it is first asked for */
} Analysis;

/* --- documents ------------------------------------------------------------------------------------------------------- */

typedef struct {
    Arena *arena;       /* of the document */
    Arena *text_arena;  /* of its present text */
    const char *uri;
    const char *path;   /* the real path of its file, or the URI where it is none */
    const char *shown;  /* the name in diagnostics: a path, or std/… */
    Source *source;
    json_int_t version;
    bool changed;       /* since it was analysed */
    Analysis *now;      /* of the present text unless `changed`; or NULL */
    Analysis *good;     /* the last one without errors, when `now` has some; or NULL */
} Document;

typedef struct Server {
    Arena *arena;   /* of the server: grows only with the number of documents open at once */
    Arena *scratch; /* of the message at hand */
    Transport transport;
    LIST(Document *) documents;
    bool initialized, shut_down, done, silent; /* silent: nobody reads any more */
    bool utf8;               /* positions count bytes; else UTF-16 units */
    bool markdown;           /* the editor shows it */
    const char *library;     /* folder of the embedded library's files, ending in /; NULL: not made yet, "": cannot be made */
    AstFile **library_files; /* parsed when they are first asked for; NULL: not yet */
} Server;

Document *document_find(Server *server, const char *uri);
Document *document_open(Server *server, const char *uri, const char *text, size_t size, json_int_t version);
void document_close(Server *server, Document *document);
/* Applies contentChanges. */
void document_change(Server *server, Document *document, json_t *changes, json_int_t version);
/* The byte of a position, which may lie anywhere; and back. */
size_t position_offset(const Server *server, const Source *source, const json_t *position);
json_t *position_json(const Server *server, const Source *source, size_t offset);
json_t *range_json(const Server *server, Place place);

const char *uri_to_path(Arena *arena, const char *uri); /* NULL: no file: URI */
const char *path_to_uri(Arena *arena, const char *path);
/* The same path without . and .. in it. */
const char *plain_path(Arena *arena, const char *path);
/* A URI under which an editor can open a source: its file, a document, or the embedded library written into a cache. NULL: none. */
const char *source_uri(Server *server, const Source *source);
/* "std/norms.gm" for a file of that cache, else NULL. */
const char *library_source_name(Server *server, Arena *arena, const char *path);
/* The tree of an embedded file, library_name(i). */
AstFile *library_file(Server *server, int i);
json_t *location_json(Server *server, Place place); /* NULL where the source has no URI */

/* The document of this name, or whose file has this real path; NULL. */
const Document *document_of_path(const Server *server, const char *path);

/* --- what is known --------------------------------------------------------------------------------------------------- */

/* Brings the analyses of changed documents, and of those that import them, up to date, and publishes their diagnostics. */
void server_analyse(Server *server);
Analysis *analysis_new(Server *server, const Document *document);
void analysis_free(Analysis *analysis);
/* As far as a hover shows them. */
bool value_alike(const Value *a, const Value *b);
const Facts *analysis_facts(const Analysis *analysis, const Symbol *symbol);
const CallFacts *analysis_calls(const Analysis *analysis, const Symbol *block);
/* The names of a document's own file as its present text has them; NULL: it is no text. */
const FileNames *document_names(Document *document);
const FileNames *analysis_names(Analysis *analysis);
/* Of the name at a position: NULL where there is none. */
const Occurrence *occurrence_at(const FileNames *names, size_t offset);

json_t *problems_json(Server *server, Document *document);

/* --- requests: each answers with a result, or NULL for JSON's null --------------------------------------------------- */

json_t *request_hover(Server *server, Document *document, json_t *params);
json_t *request_definition(Server *server, Document *document, json_t *params);
json_t *request_references(Server *server, Document *document, json_t *params);
json_t *request_highlight(Server *server, Document *document, json_t *params);
json_t *request_prepare_rename(Server *server, Document *document, json_t *params);
json_t *request_rename(Server *server, Document *document, json_t *params);
json_t *request_completion(Server *server, Document *document, json_t *params);
json_t *request_signature(Server *server, Document *document, json_t *params);
json_t *request_symbols(Server *server, Document *document, json_t *params);
json_t *request_formatting(Server *server, Document *document, json_t *params);

/* --- texts ----------------------------------------------------------------------------------------------------------- */

/* "block dense(x[.., IN], OUT, BIAS = true) -> [.., OUT]" as written, in one line. */
const char *signature_text(Arena *arena, const AstCallable *callable);
/* "f32[196, 256]": what a name was bound to last, "" when that is not known. */
const char *symbol_summary(Server *server, Document *document, const Symbol *symbol);
/* A word of the language: its kind, synopsis and a line about it; false: it is none. */
typedef struct {
    const char *kind, *name, *synopsis, *help;
} LanguageWord;
int language_word_count(void);
LanguageWord language_word(int i);
bool language_word_find(const char *name, const char *kind, LanguageWord *word); /* kind NULL: any */

#endif
