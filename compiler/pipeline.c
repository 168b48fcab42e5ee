/* The pipeline. Each line is one function from one data structure to the next. */
#include "pipeline.h"

#include "emit_llvm/emit_llvm.h"
#include "equation/batch.h"
#include "equation/print.h"
#include "equation/verify.h"
#include "passes/passes.h"
#include "support/bug.h"

#include <ctype.h>
#include <string.h>

static const struct {
    const char *word, *help;
} stage_table[] = {
#define STAGE(enumerator, word, help) {word, help},
#include "stages.def"
};

/* How many inputs of a batch are merged: weights are read once for them, but what lies between kernels grows with them and must stay in
 * a core's cache. The others follow in turns, so that none takes longer than alone. */
enum { MERGED_BYTES = 1024 * 1024 };
static int64_t merged_inputs(Arena *arena, const PipelineRequest *request)
{
    int64_t batch = request->model.batch, merged = batch;
    if (batch <= 1 || request->stop <= STAGE_PASSES || request->plan.keep_all) return batch;
    PipelineRequest one = *request;
    Pipeline probe;
    one.model.batch = 1;
    one.stop = STAGE_SCHEDULE;
    if (!pipeline_run(arena, &one, &probe, diagnostics_new(arena))) return batch; /* it is reported when all run */
    while (batch % merged != 0 || (merged > 1 && merged * probe.plan->arena_bytes > MERGED_BYTES)) merged--;
    return merged;
}

bool pipeline_run(Arena *arena, const PipelineRequest *request, Pipeline *pipeline, Diagnostics *diags)
{
    ModelRequest model = request->model;
    PlanOptions options = request->plan;
    memset(pipeline, 0, sizeof *pipeline);
    const char *target = request->target ? request->target : "all";
    if (!target_set_find(target, &pipeline->targets)) {
        Diagnostic *diag = diag_error(diags, GM170, (Place){0}, "there is no target \"%s\"", target);
        diag_help(diag, "the targets are %s", target_set_names());
        return false;
    }
    model.batch = merged_inputs(arena, request);
    options.turns = pipeline->turns = model.batch ? request->model.batch / model.batch : 1;
    bug_set_pass("expand");
    pipeline->model = model_load(arena, &model, diags);                        /* text        → equations */
    if (!pipeline->model || !pipeline->model->module) return false;
    Module *module = pipeline->module = pipeline->model->module;
    module_verify(module, false);
    if (request->stop <= STAGE_EQUATIONS) return true;

    if (!run_passes(module, request->last_pass, VERIFY_EACH_PASS, diags)) return false; /* equations   → equations */
    if (request->stop <= STAGE_PASSES) return true;

    bug_set_pass("schedule");
    pipeline->plan = schedule(module, pipeline->targets.family, &options, diags);      /* → kernels, layouts, memory */
    if (!pipeline->plan) return false;
    plan_verify(pipeline->plan);
    module_repeat(module, pipeline->turns);
    if (request->stop <= STAGE_SCHEDULE) return true;
    if (request->schedule) {
        pipeline->plan->tiles = tiles_read(arena, request->schedule, diags);
        if (!pipeline->plan->tiles) return false;
    }
    return pipeline_finish(request, pipeline, diags);
}

bool pipeline_finish(const PipelineRequest *request, Pipeline *pipeline, Diagnostics *diags)
{
    Module *module = pipeline->module;
    bug_set_pass("lower");
    pipeline->loops = lower(pipeline->plan, &pipeline->targets, diags);        /* plan        → loops     */
    if (!pipeline->loops) return false;
    loop_verify(pipeline->loops);
    tiles_report(pipeline->plan->tiles, &pipeline->targets, diags);
    if (request->stop <= STAGE_LOOPS || request->stop == STAGE_LLVM) return diags->error_count == 0;

    bug_set_pass("emit_c");
    EmitOptions emit = request->emit;
    if (!emit.prefix) emit.prefix = c_identifier(module->arena, module->name);
    if (!emit.header_name) emit.header_name = arena_printf(module->arena, "%s.h", emit.prefix);
    pipeline->source = text_new(module->arena);
    pipeline->header = text_new(module->arena);
    emit_c(pipeline->loops, &emit, &pipeline->source, &pipeline->header);      /* loops       → C         */
    bug_set_pass(NULL);
    return diags->error_count == 0;
}

bool stage_built(Stage stage)
{
    return stage != STAGE_LLVM || llvm_functions();
}

bool stage_find(const char *word, Stage *stage, const char **last_pass)
{
    *last_pass = NULL;
    if (strncmp(word, "after:", 6) == 0) {
        *stage = STAGE_PASSES;
        for (int i = 0; i < pass_count; i++)
            if (strcmp(pass_table[i].name, word + 6) == 0) *last_pass = pass_table[i].name;
        return *last_pass != NULL;
    }
    for (int i = 0; i < STAGE_COUNT; i++) {
        if (strcmp(stage_table[i].word, word) != 0) continue;
        *stage = (Stage)i;
        return true;
    }
    return false;
}

void pipeline_print(const Pipeline *pipeline, Stage stage, Text *out)
{
    switch (stage) {
    case STAGE_AST:
        ast_print(pipeline->model->files.data[0], out);
        break;
    case STAGE_EQUATIONS:
    case STAGE_PASSES:
        module_print(pipeline->module, out);
        break;
    case STAGE_SCHEDULE:
        plan_print(pipeline->plan, out);
        break;
    case STAGE_LOOPS:
        loop_print(pipeline->loops, out);
        break;
    case STAGE_C:
        text_add(out, text_string(&pipeline->source));
        break;
    case STAGE_LLVM:
        llvm_functions()->print(pipeline->loops, out);
        break;
    case STAGE_COUNT:
        break;
    }
}

const char *c_identifier(Arena *arena, const char *name)
{
    char *result = arena_printf(arena, "%s%s", isdigit((unsigned char)name[0]) ? "m" : "", name);
    for (char *c = result; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_') *c = '_';
    return result;
}
