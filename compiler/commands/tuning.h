/* Tiles measured beside the cost model's choice: one kernel alone, with the layouts, strides and epilogue it has in its model.
 * In: a model that went through the pipeline as far as its plan.  Out: for each size the cost model ranks near its best the time it takes
 * beside that best, slot by slot in one process. Used by `tune` and by tests/bench. */
#ifndef GM_COMMANDS_TUNING_H
#define GM_COMMANDS_TUNING_H

#include "commands/compiled.h"

enum { MOST_CONTENDERS = 10 };

typedef struct {
    int height, width, groups;
    double ms;             /* median over the slots */
    double ratio, high;    /* of the time beside the cost model's choice in the same round: median, upper quartile */
} Contender;

typedef struct {
    const LoopTile *tile;  /* what the cost model chose */
    const Kernel *kernel;
    int64_t calls;         /* of kernels of this shape in a run */
    double macs;           /* of all of them */
    int count;             /* contenders; the first is the cost model's choice, the second that again */
    Contender contenders[MOST_CONTENDERS];
    int best;              /* the fastest beyond noise, else 0 */
    double noise;          /* how far the choice came out from itself */
} TunedShape;

typedef struct {
    Arena *arena;
    Pipeline pipeline;
    PipelineRequest request; /* its target has one form */
    Backend backend;
    unsigned char *payload;
    LIST(TunedShape) shapes; /* heaviest first */
} Tuning;

/* Compiles the model as far as loops and lists its contractions. False after an error. Close it in any case. */
bool tuning_open(Arena *arena, const PipelineRequest *request, Backend backend, Tuning *tuning, Diagnostics *diags);
/* Measures one shape for about `seconds`. False after an error. */
bool tuning_measure(Tuning *tuning, TunedShape *shape, double seconds, Diagnostics *diags);
void tuning_close(Tuning *tuning);

#endif
