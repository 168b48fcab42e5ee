/* Checkpoints: from a file of foreign tensors to the values of a module's weights, and on to the packed blob.
 * In: .safetensors (also sharded through model.safetensors.index.json), .npz, or nothing (random values).
 * Out: WeightValues; a payload in a plan's layout; a .safetensors file.  Every file is checked before it is believed. */
#ifndef GM_WEIGHTS_WEIGHTS_H
#define GM_WEIGHTS_WEIGHTS_H

#include "model/model.h"
#include "schedule/plan.h"

typedef struct {
    Arena *arena;
    const Module *module;
    float **f32;       /* by tensor id, row-major; NULL for tensors that are no f32 weights */
    int64_t **integers;/* by tensor id: integer weights */
    double **f64;      /* by tensor id: what an f64 checkpoint holds, when the request wants it exact; else NULL */
} WeightValues;

typedef struct {
    const char *path;
    const char *bind;  /* --bind NAME, or NULL: plain names, then a sole binding */
    bool strict;       /* extra tensors are errors */
    bool exact;        /* keep doubles beside the rounded values, for the reference */
} WeightRequest;

/* Empty lists for the values of a module's weights. */
WeightValues *weight_values_new(Arena *arena, const Module *module);
/* A weight's values as doubles, as exact as they are known. */
double *weight_doubles(Arena *arena, const WeightValues *values, const Tensor *weight);
/* All problems are reported at once. NULL on error. The name of a binding tried by itself is reported as a note on stderr. */
WeightValues *weights_load(Arena *arena, const Model *model, const WeightRequest *request, Diagnostics *diags);
/* Random non-identity values, seeded, the same on every machine (tests, bench without weights): f32 weights uniform of variance
 * 1/(product of all extents but the first), vectors 1 + or 0 + small noise by their initialiser. */
WeightValues *weights_random(Arena *arena, const Module *module, uint64_t seed);
/* What each param statement says (`~ xavier`), drawn by a generator of the seed and the weight's path. */
WeightValues *weights_initialise(Arena *arena, const Module *module, uint64_t seed);

/* Writes a .safetensors file of all weights under their paths; the same values give the same bytes. False after an error (GM171). */
bool weights_write(const char *path, const WeightValues *values, Diagnostics *diags);

/* Runs the packed equations and lays every blob tensor out: plan->blob_bytes bytes, 64-byte aligned, malloc'ed (free it).
 * Reports NaN and infinity in weights as warnings. NULL on error. */
unsigned char *weights_pack(const Plan *plan, const WeightValues *values, Diagnostics *diags);
#endif
