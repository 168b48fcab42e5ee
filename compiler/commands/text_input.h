/* What an input's `~ text(…)` says, and text made into ids, mask and token types.
 * In: the module's ports and the vocabulary file beside the model.  Out: one sample of the input and of its companions (`part = mask`,
 * `part = types`), cut and padded to the input's length. */
#ifndef GM_COMMANDS_TEXT_INPUT_H
#define GM_COMMANDS_TEXT_INPUT_H

#include "equation/equation.h"
#include "gm_text.h"
#include "support/diagnostics.h"

typedef struct {
    const Module *module;
    int ids, mask, types;            /* inputs; mask and types -1 when the model has none */
    gm_vocabulary *vocabulary;
    int kind;                        /* GM_TEXT_PIECES … */
    int32_t start, end, pad, unknown;/* ids, -1: none */
    int64_t length;                  /* of the ids' input */
} TextInput;

/* A vocabulary is named, and it stands for ids. */
bool text_input_declared(const Port *port);
/* The input that text is for when none is named: the only one with a vocabulary. -1: none or several. */
int text_input_sole(const Module *module);
/* False after errors (GM153, GM160). Close it. */
bool text_input_open(Arena *arena, const Module *module, int ids, const char *model_path, TextInput *text, Diagnostics *diags);
void text_input_close(TextInput *text);

/* The ids of a text alone: no start, no end. *unknowns counts what the vocabulary lacks. */
int32_t *text_ids(Arena *arena, const TextInput *text, const char *data, size_t bytes, size_t *count, size_t *unknowns);
/* Ids for the positions from 0, then padding; the mask of them, type 0. `arrays` by input. */
void text_store_window(const TextInput *text, const int32_t *ids, int64_t count, void *const *arrays);
/* An entry as it can be shown on one line. */
const char *text_shown(Arena *arena, const TextInput *text, int32_t id);
/* One sample: start, text, end, and where there is a pair, pair, end (type 1). Writes to `arrays` by input; those of absent companions
 * are not touched. Returns how many positions are used, -1 after an error; what did not fit is a warning (GM159). */
int64_t text_sample(Arena *arena, const TextInput *text, const char *data, size_t bytes, const char *pair, size_t pair_bytes, void *const *arrays, Diagnostics *diags);

/* FILE beside the model file, unless it is an absolute path. */
const char *beside(Arena *arena, const char *model_path, const char *file);

#endif
