/* Options of a command: one table gives parsing (getopt_long), --help and the check that the manual names them all. */
#ifndef GM_COMMANDS_OPTIONS_H
#define GM_COMMANDS_OPTIONS_H

#include "model/model.h"
#include "support/list.h"

#include <stdbool.h>

typedef LIST(const char *) Words;

typedef struct {
    const char *name;     /* "output" for --output */
    char letter;          /* 'o' for -o, or 0 */
    enum { OPTION_FLAG, OPTION_TEXT, OPTION_LIST, OPTION_INT, OPTION_REAL } kind;
    void *value;          /* bool *, const char **, Words *, long *, double * */
    const char *argument; /* "FILE"; NULL for flags */
    const char *help;
} Option;

/* Reads argv (argv[0] is the command). Words that are no options go to *positional. Returns -1 to go on, or the exit code:
 * 0 after --help, 2 after a message about a wrong call. `synopsis` follows "usage: gmlpc COMMAND ". */
int options_parse(Arena *arena, int argc, char **argv, const char *synopsis, const char *help, const Option *options, int count, Words *positional);

/* The rows that every command on a model shares. */
typedef struct {
    const char *model;    /* --model */
    Words sets;           /* --set */
    const char *target;   /* --target */
    const char *backend;  /* --backend */
    long batch;           /* --batch, 1 by default; 0 in commands without the option */
    bool reproducible;    /* --reproducible */
    const char *schedule; /* --schedule */
} ModelOptions;
#define MODEL_OPTIONS(o)                                                                                                        \
    {"model", 'm', OPTION_TEXT, &(o).model, "NAME", "which model, when the file holds several"},                                \
    {"set", 's', OPTION_LIST, &(o).sets, "NAME=VALUE", "give a compile-time parameter of the model a value (again for more)"}
#define BATCH_OPTION(o) {"batch", 'b', OPTION_INT, &(o).batch, "N", "for N inputs at once: inputs and outputs get a leading axis of N"}
/* -1, or 2 after a message about a wrong --batch. */
int check_batch(const char *command, const ModelOptions *options);
/* What they say about the model in `path`. */
ModelRequest model_request(Arena *arena, const ModelOptions *options, const char *path);
/* How a checkpoint is read, for a WeightRequest. */
#define BIND_OPTIONS(w)                                                                                                         \
    {"bind", 0, OPTION_TEXT, &(w).bind, "NAME", "the bind declaration that fits the checkpoint"},                               \
    {"strict", 0, OPTION_FLAG, &(w).strict, NULL, "tensors that the model lacks are errors"}
#define TARGET_OPTION(o) {"target", 't', OPTION_TEXT, &(o).target, "T", "all (default), scalar, avx2, avx512 or neon"}

#define REPRODUCIBLE_OPTION(o) {"reproducible", 0, OPTION_FLAG, &(o).reproducible, NULL, "the same bits on every target, at a price"}
#define SCHEDULE_OPTION(o) {"schedule", 0, OPTION_TEXT, &(o).schedule, "FILE", "tiles that gmlpc tune measured"}
#define BACKEND_OPTION(o) {"backend", 0, OPTION_TEXT, &(o).backend, "B", "who compiles: llvm (default where built in) or c (the C compiler)"}

#endif
