/* What --input NAME=FILE and --text give a model: arrays from .npy, .npz and .safetensors, pictures, text.
 * In: the options' words and the model's inputs.  Out: every input's samples in its element type, dense. */
#ifndef GM_COMMANDS_INPUT_FILES_H
#define GM_COMMANDS_INPUT_FILES_H

#include "commands/options.h"
#include "commands/output_files.h"
#include "commands/text_input.h"

typedef struct {
    int64_t samples;       /* 1 unless batched */
    unsigned char **data;  /* by input */
    int64_t *sample_bytes; /* by input: from one sample to the next; 0: the same for all */
    TextInput *text;       /* of an input that was given as text, open; NULL: none */
    int64_t *text_used;    /* positions of each sample that are no padding */
} InputArrays;

typedef struct {
    const Words *files, *texts, *pairs; /* --input, --text, --pair */
    bool batched;
    const char *model_path;             /* vocabularies lie beside it */
} InputWords;

/* Files are "NAME=FILE", "NAME=FILE.npz:MEMBER", or "FILE" (members by the inputs' names, or the only input). With `batched`, arrays
 * have one more axis in front, or serve every sample; pictures given for one input several times are its samples, and so are texts and
 * the lines of a text file (a tab parts a line's pair).
 * False after errors (GM150-GM153, GM157, GM160), all reported. Close them. */
bool input_files_read(Arena *arena, const Module *module, const InputWords *words, InputArrays *arrays, Diagnostics *diags);
void input_files_close(InputArrays *arrays);

/* The entries of a sample's text, for outputs with a row for each of its positions; else none. */
Labels input_rows(Arena *arena, const InputArrays *arrays, const Tensor *output, int64_t sample);
/* The vocabulary as the labels of an output with a column for each entry; else none. */
Labels input_entries(Arena *arena, const InputArrays *arrays, const Tensor *output);

#endif
