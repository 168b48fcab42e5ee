/* The C back end: loops → one readable C file and its header.
 * In: a LoopProgram.  Out: texts, byte-identical for the same input on every machine and from every directory. */
#ifndef GM_EMIT_C_EMIT_C_H
#define GM_EMIT_C_EMIT_C_H

#include "loop/loop.h"
#include "support/text.h"

typedef enum { WEIGHTS_FILE, WEIGHTS_INCBIN, WEIGHTS_INLINE } WeightsMode;
typedef struct {
    const char *prefix;        /* of every name: the model's, made a C identifier */
    const char *header_name;   /* "small.h", for #include and the guard */
    WeightsMode weights_mode;
    const char *incbin_path;   /* INCBIN: as written into the file */
    const unsigned char *blob; /* INLINE: the whole .gmw image */
    size_t blob_size;
    bool profile;              /* also run_profiled, which takes the time of every kernel call */
} EmitOptions;
/* What the arguments of run are called: inputs, then outputs. A name that C or C++ has, or that is taken, gets a trailing _. */
const char *const *emit_c_port_names(Arena *arena, const Module *module);
void emit_c(const LoopProgram *program, const EmitOptions *options, Text *source, Text *header);

#endif
