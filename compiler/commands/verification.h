/* Compiled code against the double-precision reference. Used by `verify` and by the tests of random and mutated models.
 * In: a model, weights or a seed, a target set.  Out: a row for each output (or tensor) and form, with its error. */
#ifndef GM_COMMANDS_VERIFICATION_H
#define GM_COMMANDS_VERIFICATION_H

#include "commands/compiled.h"
#include "weights/weights.h"

typedef struct {
    ModelRequest model;
    const char *target;    /* NULL: all */
    bool reproducible;     /* compiled so; then all forms must give the same bits */
    const char *schedule;  /* a schedule file, or NULL */
    Backend backend;
    WeightRequest weights; /* path NULL: random values */
    uint64_t seed;
    bool each;             /* a row for every materialised tensor, from its kernel's own inputs */
    bool full;             /* every element, whatever it costs */
    double tolerance;      /* 0: the default */
    void (*progress)(int done, int total); /* or NULL */
} VerifyRequest;

/* "Error" is max|ours - reference| / max(1, max|reference|) for each tensor. */
#define VERIFY_TOLERANCE 2e-5

typedef struct {
    const char *form;      /* "avx2" */
    const char *name;      /* of the output or tensor */
    const char *kernel;    /* that computed it; NULL for whole outputs */
    double error;
    int64_t compared;      /* elements */
    bool passed;
} VerifyRow;

typedef struct {
    LIST(VerifyRow) rows;
    bool whole;            /* outputs were compared end to end with the reference; else kernels by sampled elements */
    bool passed;
    int failures;
} VerifyResult;

/* False after a diagnostic (the model or the weights are wrong, or there is no C compiler). */
bool verify_model(Arena *arena, const VerifyRequest *request, VerifyResult *result, Diagnostics *diags);

/* max|ours - reference| / max(1, max|reference|); not-a-numbers and infinities must agree. */
double array_error(const void *ours, ElementType type, const double *reference, int64_t count);

#endif
