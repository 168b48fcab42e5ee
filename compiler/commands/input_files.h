/* What --input NAME=FILE gives a model: arrays from .npy, .npz and .safetensors, pictures.
 * In: the options' words and the model's inputs.  Out: every input's samples in its element type, dense. */
#ifndef GM_COMMANDS_INPUT_FILES_H
#define GM_COMMANDS_INPUT_FILES_H

#include "commands/options.h"
#include "equation/equation.h"

typedef struct {
    int64_t samples;       /* 1 unless batched */
    unsigned char **data;  /* by input */
    int64_t *sample_bytes; /* by input: from one sample to the next; 0: the same for all */
} InputArrays;

/* Words are "NAME=FILE", "NAME=FILE.npz:MEMBER", or "FILE" (members by the inputs' names, or the only input). With `batched`, arrays
 * have one more axis in front, or serve every sample; pictures given for one input several times are its samples.
 * False after errors (GM150-GM153, GM157), all reported. */
bool input_files_read(Arena *arena, const Module *module, const Words *words, bool batched, InputArrays *arrays, Diagnostics *diags);

#endif
