/* What `gmlpc run` does with outputs: files by name, labels, the K largest.
 * In: dense arrays of every output, all samples.  Out: .npz or .npy, byte-identical for the same values; text. */
#ifndef GM_COMMANDS_OUTPUT_FILES_H
#define GM_COMMANDS_OUTPUT_FILES_H

#include "equation/equation.h"
#include "support/text.h"

typedef struct {
    const Module *module;
    int64_t samples;
    bool batched;              /* arrays have a sample axis in front */
    unsigned char *const *data;/* by output */
} OutputArrays;

/* .npy for one output, else .npz. False after an error (GM156). */
bool output_files_write(Arena *arena, const char *path, const OutputArrays *outputs, Diagnostics *diags);

typedef LIST(const char *) Labels;
/* One label a line. False after an error (GM155). */
bool labels_read(Arena *arena, const char *path, Labels *labels, Diagnostics *diags);
/* The labels that `~ classes("FILE")` on an output names, found beside the model file; none: true and no labels. */
bool labels_of_port(Arena *arena, const Port *port, const char *model_path, Labels *labels, Diagnostics *diags);

/* The `top` largest along the last axis of every vector of an output, largest first; equal ones in order. `rows` names the vectors, and no
 * more of them are shown; none: all are. */
void print_top(Text *text, const OutputArrays *outputs, int output, int64_t sample, int top, const Labels *labels, const Labels *rows);
/* A few words about an output: all values when there are at most 16, else smallest, largest and mean. */
void print_summary(Text *text, const OutputArrays *outputs, int output);

#endif
