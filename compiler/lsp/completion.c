/* What could stand at a position, and what a call there takes. Decided by the words before it, so that it works while a statement is unfinished;
 * names come from the tree, which the parser makes of everything else that can be read. */
#include "lsp/server.h"

#include "dsl/tokens.h"
#include "parser.h"

#include <dirent.h>
#include <string.h>

/* Of LSP's CompletionItemKind. */
enum { ITEM_FUNCTION = 3, ITEM_FIELD = 5, ITEM_VARIABLE = 6, ITEM_PROPERTY = 10, ITEM_UNIT = 11, ITEM_VALUE = 12, ITEM_KEYWORD = 14, ITEM_FILE = 17, ITEM_CONSTANT = 21 };

typedef struct {
    Server *server;
    Document *document;
    Arena *arena;
    size_t offset;
    TokenList words;
    int at;              /* the word that the cursor stands in or behind, or the count of those before it */
    bool within;         /* it stands in one: that will be replaced */
    int open;            /* the innermost bracket open at the cursor, -1: none */
    int braces;          /* open at the cursor */
    const FileNames *names;
    const Symbol *callable; /* around the cursor, or NULL */
    json_t *items, *range;
    Map seen;
} Completion;

static const Token *word(const Completion *completion, int i)
{
    return i >= 0 && i < completion->words.tokens.count ? &completion->words.tokens.data[i] : NULL;
}

static int kind_of(const Completion *completion, int i)
{
    const Token *token = word(completion, i);
    return token ? token->kind : 0;
}

static const char *text_of(const Completion *completion, int i)
{
    const Token *token = word(completion, i);
    return token ? token_text(completion->arena, completion->document->source, token) : "";
}

static bool is_word(int kind)
{
    return kind == GM_TOKEN_NAME || kind == GM_TOKEN_DOTTED || token_is_keyword(kind);
}

/* --- where the cursor stands --------------------------------------------------------------------------------------------- */

static const Symbol *callable_named(const FileNames *names, const char *name)
{
    const Symbol *symbol = names ? map_get(&names->symbols, name) : NULL;
    return symbol && symbol->callable ? symbol : NULL;
}

static bool locate(Completion *completion)
{
    const Source *source = completion->document->source;
    if (!tokens_scan(completion->arena, source, NULL, &completion->words)) return false;
    for (int k = 0; k < completion->words.comments.count; k++) {
        Place comment = completion->words.comments.data[k];
        if (completion->offset > comment.begin && completion->offset <= comment.end) return false;
    }
    int stack[AST_DEEPEST_BRACKETS + 1], depth = 0, at = 0;
    const char *callable = NULL;
    for (; at < completion->words.tokens.count; at++) {
        const Token *token = word(completion, at);
        if (token->begin >= completion->offset) break;
        bool string = token->kind == GM_TOKEN_STRING && (completion->offset < token->end || token->end == token->begin + 1 || source->text[token->end - 1] != '"');
        if (completion->offset <= token->end && (is_word(token->kind) || string)) {
            completion->within = true;
            break;
        }
        if ((token->kind == GM_TOKEN_BLOCK || token->kind == GM_TOKEN_MODEL) && token->first && kind_of(completion, at + 1) == GM_TOKEN_NAME) {
            callable = text_of(completion, at + 1);
            depth = 0; /* what was open before was never closed */
        }
        if (strchr("([{", token->kind) && token->kind < 128) stack[depth++] = at;
        if (strchr(")]}", token->kind) && token->kind < 128 && depth) depth--;
    }
    completion->at = at;
    completion->open = depth && kind_of(completion, stack[depth - 1]) != '{' ? stack[depth - 1] : -1;
    for (int k = 0; k < depth; k++) completion->braces += kind_of(completion, stack[k]) == '{';
    completion->names = document_names(completion->document);
    if (callable) completion->callable = callable_named(completion->names, callable);
    if (callable && !completion->callable) completion->callable = callable_named(analysis_names(completion->document->good), callable);
    size_t begin = completion->within ? word(completion, at)->begin : completion->offset;
    if (completion->within && kind_of(completion, at) == GM_TOKEN_STRING) begin++;
    completion->range = range_json(completion->server, (Place){source, begin, completion->offset});
    return true;
}

/* --- items --------------------------------------------------------------------------------------------------------------- */

/* `rank` orders the list: what is nearer comes first. Returns the item, borrowed, or NULL when the label is there already. */
static json_t *add_item(Completion *completion, const char *label, int kind, char rank, const char *detail, const char *help)
{
    if (map_get(&completion->seen, label)) return NULL;
    map_put(completion->arena, &completion->seen, arena_strdup(completion->arena, label), completion);
    json_t *item = json_pack("{s:s, s:i, s:s, s:s, s:{s:O, s:s}}", "label", label, "kind", kind, "sortText",
                             arena_printf(completion->arena, "%c%s", rank, label), "detail", detail ? detail : "", "textEdit", "range", completion->range,
                             "newText", label);
    if (!item) return NULL;
    if (help && *help) json_object_set_new(item, "documentation", json_string(help));
    json_array_append_new(completion->items, item);
    return item;
}

static void add_words(Completion *completion, const char *kind, int item, char rank)
{
    for (int k = 0; k < language_word_count(); k++) {
        LanguageWord one = language_word(k), found;
        if (!strcmp(one.kind, kind) && language_word_find(one.name, kind, &found)) add_item(completion, one.name, item, rank, one.synopsis, one.help);
    }
}

static void add_keywords(Completion *completion, const char *const *names, char rank)
{
    LanguageWord keyword;
    for (; *names; names++)
        if (language_word_find(*names, "keyword", &keyword)) add_item(completion, keyword.name, ITEM_KEYWORD, rank, "", keyword.help);
}

static void add_locals(Completion *completion)
{
    if (!completion->callable) return;
    const FileNames *names = completion->callable->file == (completion->names ? completion->names->file : NULL)
                                 ? completion->names
                                 : analysis_names(completion->document->good);
    for (int k = 0; names && k < names->locals.count; k++) {
        const Symbol *symbol = names->locals.data[k];
        if (symbol->callable != completion->callable->callable || symbol->kind == SYMBOL_INDEX) continue;
        int kind = symbol->kind == SYMBOL_OPTION || symbol->kind == SYMBOL_SIZE || symbol->kind == SYMBOL_COUNTER ? ITEM_CONSTANT
                   : symbol->kind == SYMBOL_WEIGHT                                                                 ? ITEM_FIELD
                                                                                                                   : ITEM_VARIABLE;
        const char *bound = symbol_summary(completion->server, completion->document, symbol);
        add_item(completion, symbol->name, kind, 'a', arena_printf(completion->arena, "%s%s%s", symbol_kind_name(symbol->kind), *bound ? " " : "", bound), NULL);
    }
}

/* Names in brackets of the statement at hand: its indices. */
static void add_indices(Completion *completion)
{
    int first = completion->at - 1, depth = 0;
    for (int lines = 0; first > 0 && lines < 4; first--) {
        const Token *token = word(completion, first);
        if (!token || token->kind == '{' || token->kind == '}') break;
        bool begins = token->first && (token->kind == GM_TOKEN_NAME || token->kind == GM_TOKEN_OUTPUT || token->kind == GM_TOKEN_CONST);
        if (begins && (kind_of(completion, first + 1) == '[' || kind_of(completion, first + 1) == '=' || kind_of(completion, first + 2) == '[')) break;
        lines += token->first;
    }
    for (int k = first; k < completion->at; k++) {
        int kind = kind_of(completion, k);
        depth += kind == '[' ? 1 : kind == ']' ? -1 : 0;
        if (kind == GM_TOKEN_NAME && depth > 0 && kind_of(completion, k + 1) != '[' && kind_of(completion, k + 1) != '(')
            add_item(completion, text_of(completion, k), ITEM_VARIABLE, 'a', "index", NULL);
    }
}

static void add_callable(Completion *completion, const AstDeclaration *declaration, char rank, const char *import)
{
    const AstCallable *callable = declaration->callable;
    if (callable->is_model) return;
    const char *detail = signature_text(completion->arena, callable);
    const char *doc = declaration->doc ? declaration->doc : "";
    json_t *item = add_item(completion, callable->name, ITEM_FUNCTION, rank, detail, import ? arena_printf(completion->arena, "import \"%s\"\n\n%s", import, doc) : doc);
    if (!item || !import) return;
    const Source *source = completion->document->source;
    size_t where = 0;
    for (int k = 0; completion->names && k < completion->names->file->declarations.count; k++) {
        const AstDeclaration *one = completion->names->file->declarations.data[k];
        if (one->kind != DECLARE_IMPORT) continue;
        for (where = one->place.end; where < source->size && source->text[where] != '\n';) where++;
        if (where < source->size) where++;
    }
    json_t *edit = json_pack("{s:o, s:s}", "range", range_json(completion->server, (Place){source, where, where}), "newText",
                             arena_printf(completion->arena, "import \"%s\"\n", import));
    json_object_set_new(item, "additionalTextEdits", json_pack("[o]", edit));
}

/* Blocks and constants of the file and what it imports, then blocks of the library, which bring their import along. */
static void add_declared(Completion *completion, bool values)
{
    const Project *project = completion->document->now->project;
    for (int k = 0; project && k < project->files.count; k++)
        for (int i = 0; i < project->files.data[k]->symbols.count; i++) {
            const Symbol *symbol = project->files.data[k]->symbols.entries[i].value;
            if (symbol->callable) add_callable(completion, symbol->declaration, 'b', NULL);
            else if (values) add_item(completion, symbol->name, ITEM_CONSTANT, 'b', "constant", symbol->declaration->doc);
        }
    for (int k = 0; k < library_count(); k++) {
        const AstFile *file = library_file(completion->server, k);
        for (int i = 0; file && i < file->declarations.count; i++)
            if (file->declarations.data[i]->kind == DECLARE_CALLABLE && file->declarations.data[i]->callable)
                add_callable(completion, file->declarations.data[i], 'd', library_name(k));
    }
}

static void add_expression(Completion *completion)
{
    static const char *const flags[] = {"true", "false", NULL};
    add_indices(completion);
    add_locals(completion);
    add_words(completion, "function", ITEM_FUNCTION, 'c');
    add_words(completion, "reduction", ITEM_FUNCTION, 'c');
    add_words(completion, "name", ITEM_CONSTANT, 'c');
    add_keywords(completion, flags, 'c');
    add_declared(completion, true);
}

static void add_imports(Completion *completion)
{
    for (int k = 0; k < library_count(); k++) add_item(completion, library_name(k), ITEM_FILE, 'b', "library", NULL);
    const char *path = completion->document->path, *slash = strrchr(path, '/');
    DIR *folder = slash ? opendir(arena_strndup(completion->arena, path, (size_t)(slash - path) + 1)) : NULL;
    if (!folder) return;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        size_t length = strlen(entry->d_name);
        bool model = length > 3 && !strcmp(entry->d_name + length - 3, ".gm") && strcmp(entry->d_name, slash + 1) != 0;
        if (model) add_item(completion, entry->d_name, ITEM_FILE, 'a', "beside this file", NULL);
    }
    closedir(folder);
}

/* --- calls --------------------------------------------------------------------------------------------------------------- */

/* The block called by the bracket at `open`: of this file and its imports, else of the library. */
static const AstDeclaration *called(Completion *completion, int open)
{
    if (kind_of(completion, open) != '(' || kind_of(completion, open - 1) != GM_TOKEN_NAME) return NULL;
    const char *name = text_of(completion, open - 1);
    Project *project = completion->document->now->project;
    const Symbol *symbol = project && project->files.count ? project_find(project, project->files.data[0], name) : NULL;
    if (symbol) return symbol->callable ? symbol->declaration : NULL;
    for (int k = 0; k < library_count(); k++) {
        const AstFile *file = library_file(completion->server, k);
        for (int i = 0; file && i < file->declarations.count; i++) {
            const AstDeclaration *declaration = file->declarations.data[i];
            if (declaration->kind == DECLARE_CALLABLE && declaration->callable && !strcmp(declaration->callable->name, name)) return declaration;
        }
    }
    return NULL;
}

static void add_arguments(Completion *completion)
{
    const AstDeclaration *declaration = called(completion, completion->open);
    int before = kind_of(completion, completion->at - 1);
    if (!declaration || (before != '(' && before != ',')) return;
    for (int k = 0; k < declaration->callable->parameters.count; k++) {
        const AstParameter *parameter = &declaration->callable->parameters.data[k];
        const char *written = arena_strndup(completion->arena, parameter->place.source->text + parameter->place.begin, parameter->place.end - parameter->place.begin);
        add_item(completion, arena_printf(completion->arena, "%s = ", parameter->name), ITEM_PROPERTY, '`', written, NULL);
    }
}

/* Behind `~`: of what statement? */
static void add_initial(Completion *completion)
{
    int k = completion->at - 1;
    while (k >= 0 && kind_of(completion, k) != GM_TOKEN_PARAM && kind_of(completion, k) != GM_TOKEN_INPUT && kind_of(completion, k) != GM_TOKEN_OUTPUT) k--;
    if (kind_of(completion, k) == GM_TOKEN_PARAM) add_words(completion, "initialiser", ITEM_VALUE, 'a');
    else add_words(completion, "hint", ITEM_VALUE, 'a');
}

static bool add_hint_arguments(Completion *completion)
{
    int open = completion->open, before = kind_of(completion, completion->at - 1);
    if (kind_of(completion, open) != '(' || kind_of(completion, open - 2) != '~') return false;
    if (before == '(' || before == ',')
        for (int k = 0; k < language_word_count(); k++) {
            LanguageWord one = language_word(k);
            if (!strcmp(one.kind, text_of(completion, open - 1)) && *one.name) add_item(completion, one.synopsis, ITEM_PROPERTY, 'a', one.help, NULL);
        }
    else add_locals(completion);
    return true;
}

static void add_statement(Completion *completion)
{
    static const char *const top[] = {"import", "model", "block", "const", "bind", NULL};
    static const char *const body[] = {"param", "return", "repeat", "if", "else", "const", "for", NULL};
    static const char *const ports[] = {"input", "output", NULL};
    if (!completion->braces) {
        add_keywords(completion, top, 'a');
        return;
    }
    if (!completion->callable || completion->callable->kind == SYMBOL_MODEL) add_keywords(completion, ports, 'a');
    add_keywords(completion, body, 'b');
}

static void complete(Completion *completion)
{
    static const char *const shared[] = {"shared", NULL}, *const bound[] = {"for", "else", NULL};
    int at = completion->at, before = kind_of(completion, at - 1);
    const Token *own = word(completion, at), *last = word(completion, at - 1);
    if (completion->within && own->kind == GM_TOKEN_STRING) {
        if (before == GM_TOKEN_IMPORT) add_imports(completion);
        return;
    }
    if (before == '~') add_initial(completion);
    else if (before == '@') add_keywords(completion, shared, 'a');
    else if (before == ':') add_words(completion, "type", ITEM_UNIT, 'a');
    else if (before == GM_TOKEN_PIPE) add_declared(completion, false);
    else if (before == GM_TOKEN_BLOCK || before == GM_TOKEN_MODEL || before == GM_TOKEN_PARAM || before == GM_TOKEN_INPUT || before == GM_TOKEN_REPEAT) return;
    else if (add_hint_arguments(completion)) return;
    else {
        bool fresh = !last || before == '{' || before == '}' || (completion->within && own->first) ||
                     (!completion->within && memchr(completion->document->source->text + last->end, '\n', completion->offset - last->end));
        add_arguments(completion);
        if (fresh && completion->open < 0) add_statement(completion);
        else if (completion->open < 0) add_keywords(completion, bound, 'c');
        if (completion->braces || completion->open >= 0) add_expression(completion);
    }
}

json_t *request_completion(Server *server, Document *document, json_t *params)
{
    Completion completion = {.server = server, .document = document, .arena = server->scratch, .items = json_array()};
    completion.offset = position_offset(server, document->source, json_object_get(params, "position"));
    if (locate(&completion)) complete(&completion);
    json_decref(completion.range);
    return json_pack("{s:b, s:o}", "isIncomplete", 0, "items", completion.items);
}

/* --- signatures ---------------------------------------------------------------------------------------------------------- */

/* The stretches of the parameters in a signature: between the commas of its first brackets. */
static json_t *parameter_labels(const char *signature)
{
    json_t *list = json_array();
    const char *begin = strchr(signature, '(');
    int depth = 0;
    for (const char *c = begin; c && *c; c++) {
        depth += strchr("([", *c) ? 1 : strchr(")]", *c) ? -1 : 0;
        if ((*c != ',' || depth != 1) && depth) continue;
        const char *from = begin + 1;
        while (*from == ' ') from++;
        if (c > from) json_array_append_new(list, json_pack("{s:[i,i]}", "label", (int)(from - signature), (int)(c - signature)));
        begin = c;
        if (!depth) break;
    }
    return list;
}

/* Which parameter the cursor stands in: by its name, or by position. */
static int active_parameter(Completion *completion, const AstCallable *callable)
{
    int position = 0, depth = 0, name = -1;
    for (int k = completion->open + 1; k < completion->at + completion->within; k++) {
        int kind = kind_of(completion, k);
        if (kind < 128 && kind && strchr("([", kind)) depth++;
        if (kind < 128 && kind && strchr(")]", kind)) depth--;
        if (kind == ',' && depth == 0) position++, name = -1;
        if (kind == GM_TOKEN_NAME && depth == 0 && kind_of(completion, k + 1) == '=') name = k;
    }
    for (int k = 0; name >= 0 && k < callable->parameters.count; k++)
        if (!strcmp(callable->parameters.data[k].name, text_of(completion, name))) return k;
    return position + (kind_of(completion, completion->open - 2) == GM_TOKEN_PIPE);
}

json_t *request_signature(Server *server, Document *document, json_t *params)
{
    Completion completion = {.server = server, .document = document, .arena = server->scratch};
    completion.offset = position_offset(server, document->source, json_object_get(params, "position"));
    bool right = locate(&completion);
    json_decref(completion.range);
    const AstDeclaration *declaration = right ? called(&completion, completion.open) : NULL;
    if (!declaration) return NULL;
    const char *label = signature_text(server->scratch, declaration->callable);
    json_t *signature = json_pack("{s:s, s:s, s:o}", "label", label, "documentation", declaration->doc ? declaration->doc : "", "parameters", parameter_labels(label));
    return json_pack("{s:[o], s:i, s:i}", "signatures", signature, "activeSignature", 0, "activeParameter", active_parameter(&completion, declaration->callable));
}
