/* gmlpc as a library: a model's text in, its functions out, in this process (libgmlpc; link with -lgmlpc, or find_package(gmlpc) and
 * gmlpc::compiler).
 *
 *   gm_compiled *c = gm_compile(text, &(gm_compile_options){.weights = "small.safetensors"});
 *   const gm_model *model = gm_compiled_model(c);           NULL: gm_compiled_messages(c) says why
 *   size_t bytes;
 *   const void *blob = gm_compiled_weights(c, &bytes);
 *   model->bind(weights, blob, bytes); model->run(weights, arena, inputs, outputs);
 *
 * The table is the one that a generated C file has (MODEL_model()), so code compiled ahead of time takes its place without edits.
 * C99 and C++11. Calls for different objects may run in different threads. */
#ifndef GMLPC_H
#define GMLPC_H

#include "gm_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gm_compiled gm_compiled;

/* Every field may be 0. */
typedef struct {
    const char *name;        /* of the text in messages; imports are looked up beside it, then in the library. NULL: "model.gm" */
    const char *model;       /* which model, when the text holds several */
    const char *const *sets; /* "DEPTH=12" …, as --set takes them */
    int set_count;
    const char *target;      /* "all", "avx2", "scalar" …; NULL: the best that this processor runs */
    const char *backend;     /* "llvm" or "c" (the C compiler); NULL: LLVM where it is built in */
    const char *weights;     /* a checkpoint, as --weights takes it */
    const char *bind;        /* the bind declaration that fits it */
    int random;              /* without a checkpoint: seeded random weights */
    uint64_t seed;           /* of these */
} gm_compile_options;

/* Compiles the model in `text`. Options may be NULL. Never NULL but when memory has run out. */
gm_compiled *gm_compile(const char *text, const gm_compile_options *options);
/* The model's table, valid until gm_compiled_free; NULL when there was an error. */
const gm_model *gm_compiled_model(const gm_compiled *compiled);
/* The packed weights (a whole .gmw image) for the table's bind, valid until gm_compiled_free; NULL when none were asked for, or the model
 * has none. *bytes (may be NULL) becomes their size. */
const void *gm_compiled_weights(const gm_compiled *compiled, size_t *bytes);
/* Errors and warnings as gmlpc prints them; "" when there are none. */
const char *gm_compiled_messages(const gm_compiled *compiled);
void gm_compiled_free(gm_compiled *compiled); /* NULL: nothing */

#ifdef __cplusplus
}
#endif
#endif
