/* The pipeline: every stage in order, one call each. The first file to read.
 * In: a request (which model, what the command line sets, which target, where to stop).  Out: what each stage made. */
#ifndef GM_PIPELINE_H
#define GM_PIPELINE_H

#include "emit_c/emit_c.h"
#include "loop/loop.h"
#include "model/model.h"
#include "schedule/plan.h"

/* Where to stop; also the words of --emit. */
typedef enum {
#define STAGE(enumerator, name, help) enumerator,
#include "stages.def"
    STAGE_COUNT
} Stage;

typedef struct {
    ModelRequest model;
    const char *target;      /* "all", "avx2" …; NULL: all */
    PlanOptions plan;
    Stage stop;              /* the last stage to run */
    const char *last_pass;   /* STAGE_PASSES: stop after this pass; NULL: all */
    const char *schedule;    /* a schedule file (schedule/tiles.h), or NULL */
    EmitOptions emit;        /* STAGE_C; a NULL prefix is the model's name */
} PipelineRequest;

typedef struct {
    Model *model;
    Module *module;          /* model->module */
    int64_t turns;           /* of a batch: its inputs go through the plan in so many equal parts */
    TargetSet targets;
    Plan *plan;
    LoopProgram *loops;
    Text source, header;     /* STAGE_C */
} Pipeline;

/* False when an error was reported; then what was made before it is still there. */
bool pipeline_run(Arena *arena, const PipelineRequest *request, Pipeline *pipeline, Diagnostics *diags);

/* The stages from plan to loops and code, for a pipeline that has a plan: once more, with other tiles or a part of its steps. */
bool pipeline_finish(const PipelineRequest *request, Pipeline *pipeline, Diagnostics *diags);

/* "schedule" → STAGE_SCHEDULE; "after:fuse" → STAGE_PASSES with *last_pass = "fuse". */
bool stage_find(const char *word, Stage *stage, const char **last_pass);
/* False for a stage that this gmlpc was built without (STAGE_LLVM). */
bool stage_built(Stage stage);
/* What --emit=STAGE prints of a finished pipeline. */
void pipeline_print(const Pipeline *pipeline, Stage stage, Text *out);

/* A model's name as a C identifier. */
const char *c_identifier(Arena *arena, const char *name);

#endif
