/* The model as a table for programs that know it at run time only, and the self-test that a weight file may carry.
 * In: the plan's ports.  Out: MODEL_model, MODEL_selftest. */
#include "emit_c/emit_private.h"

#include <inttypes.h>

static void emit_ports(const Emitter *emitter, Writer *writer, const char *what, const Port *ports, int count)
{
    static const char *const types[] = {[TYPE_F32] = "GM_F32", [TYPE_I32] = "GM_I32", [TYPE_I64] = "GM_I64", [TYPE_U8] = "GM_U8"};
    if (!count) return;
    const char *const *macros = ports == emitter->plan->module->inputs.data ? emitter->input_macros : emitter->output_macros;
    for (int i = 0; i < count; i++)
        if (ports[i].tensor->rank) writer_line(writer, "static const int64_t %s_%s_%d[] = %s_SHAPE;", emitter->prefix, what, i, macros[i]);
    writer_open(writer, "static const gm_tensor %s_%ss[] =", emitter->prefix, what);
    for (int i = 0; i < count; i++) {
        const Tensor *tensor = ports[i].tensor;
        const char *extents = tensor->rank ? arena_printf(emitter->arena, "%s_%s_%d", emitter->prefix, what, i) : "NULL";
        writer_line(writer, "{%s, %s, %d, %s},", string_literal(emitter->arena, ports[i].name), types[tensor->type], tensor->rank, extents);
    }
    writer_close(writer, ";");
    writer_blank(writer);
}

/* --- self-test ---------------------------------------------------------------------------------------------------- */

static const char memory_text[] =
    "static size_t @_elements(const gm_tensor *tensor)\n"
    "{\n"
    "    size_t count = 1;\n"
    "    for (int i = 0; i < tensor->rank; i++) count *= (size_t)tensor->extents[i];\n"
    "    return count;\n"
    "}\n"
    "\n"
    "static size_t @_tensor_bytes(const gm_tensor *tensor)\n"
    "{\n"
    "    return @_elements(tensor) * (tensor->type == GM_I64 ? 8u : tensor->type == GM_U8 ? 1u : 4u);\n"
    "}\n"
    "\n"
    "/* The next `bytes` of the arena's tail. */\n"
    "static unsigned char *@_take(unsigned char **tail, size_t bytes)\n"
    "{\n"
    "    unsigned char *const start = *tail;\n"
    "    *tail += (bytes + @@_ALIGN - 1) / @@_ALIGN * @@_ALIGN;\n"
    "    return start;\n"
    "}\n"
    "\n";

/* The inputs are made as blob.c makes them. */
static const char fill_text[] =
    "/* Fills an input from the stream of splitmix64; integers are below `limit`. */\n"
    "static void @_fill(void *memory, const gm_tensor *tensor, uint64_t state, uint64_t limit)\n"
    "{\n"
    "    const size_t count = @_elements(tensor);\n"
    "    for (size_t i = 0; i < count; i++) {\n"
    "        uint64_t word = (state += UINT64_C(0x9E3779B97F4A7C15));\n"
    "        word = (word ^ (word >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);\n"
    "        word = (word ^ (word >> 27)) * UINT64_C(0x94D049BB133111EB);\n"
    "        word ^= word >> 31;\n"
    "        if (tensor->type == GM_F32) ((float *)memory)[i] = (float)(int32_t)(word >> 40) * (1.0f / 8388608.0f) - 1.0f;\n"
    "        else if (tensor->type == GM_I32) ((int32_t *)memory)[i] = (int32_t)(word % limit);\n"
    "        else if (tensor->type == GM_I64) ((int64_t *)memory)[i] = (int64_t)(word % limit);\n"
    "        else ((unsigned char *)memory)[i] = (unsigned char)(word % limit);\n"
    "    }\n"
    "}\n"
    "\n";

static const char error_text[] =
    "/* max |ours - expected| / max(1, max |expected|); huge where ours is no number. */\n"
    "static double @_error(const void *ours, const unsigned char *expected, const gm_tensor *tensor)\n"
    "{\n"
    "    double worst = 0, largest = 1;\n"
    "    const size_t count = @_elements(tensor);\n"
    "    for (size_t i = 0; i < count; i++) {\n"
    "        double a, b, distance;\n"
    "        if (tensor->type == GM_F32) {\n"
    "            float value;\n"
    "            memcpy(&value, expected + 4 * i, 4);\n"
    "            a = (double)((const float *)ours)[i], b = (double)value;\n"
    "        } else {\n"
    "            int32_t value;\n"
    "            memcpy(&value, expected + 4 * i, 4);\n"
    "            a = (double)((const int32_t *)ours)[i], b = (double)value;\n"
    "        }\n"
    "        if (a == b || (a != a && b != b)) distance = 0;\n"
    "        else distance = a > b ? a - b : b - a;\n"
    "        if (!(distance <= 1e300)) distance = 1e300;\n"
    "        if (distance > worst) worst = distance;\n"
    "        if (b <= 1e300 && b > largest) largest = b;\n"
    "        if (-b <= 1e300 && -b > largest) largest = -b;\n"
    "    }\n"
    "    return worst / largest;\n"
    "}\n"
    "\n";

void print_c_selftest(const Emitter *emitter, Writer *writer)
{
    const Module *module = emitter->plan->module;
    const char *prefix = emitter->prefix;
    int inputs = module->inputs.count, outputs = module->outputs.count;
    emit_ports(emitter, writer, "input", module->inputs.data, inputs);
    emit_ports(emitter, writer, "output", module->outputs.data, outputs);
    print_c_template(emitter, writer, memory_text);
    if (inputs) print_c_template(emitter, writer, fill_text);
    print_c_template(emitter, writer, error_text);

    int64_t expected = 0;
    for (int i = 0; i < outputs; i++) expected += 4 * tensor_count(module->outputs.data[i].tensor);
    writer_line(writer, "int %s_selftest(const %s_weights *weights, void *arena, double *worst)", prefix, prefix);
    writer_brace(writer);
    writer_line(writer, "const unsigned char *section, *expected;");
    writer_line(writer, "unsigned char *tail;");
    if (inputs) writer_line(writer, "void *in[%d];", inputs);
    writer_line(writer, "void *out[%d];", outputs);
    writer_line(writer, "double tolerance, most = 0;");
    writer_line(writer, "if (worst) *worst = 0;");
    writer_line(writer, "if (!weights || !arena) return GM_ERROR_NULL;");
    writer_line(writer, "if ((uintptr_t)arena %% %s_ALIGN != 0) return GM_ERROR_ALIGNMENT;", emitter->macro);
    writer_line(writer, "if (!weights->base) return GM_ERROR_NO_SELFTEST;");
    writer_line(writer, "section = weights->base + %s_PAYLOAD_BYTES;", emitter->macro);
    writer_line(writer, "if (%s_read64(weights->base - 16) == 0) return GM_ERROR_NO_SELFTEST;", prefix);
    writer_line(writer, "if (%s_read64(weights->base - 16) != %d + UINT64_C(%" PRId64 ")) return GM_ERROR_SIZE;", prefix, 24 + 8 * inputs, expected);
    writer_line(writer, "if (%s_read64(section) != UINT64_C(0x3154464c45534d47)) return GM_ERROR_VERSION;", prefix);
    writer_line(writer, "memcpy(&tolerance, section + 16, 8);");
    writer_line(writer, "tail = (unsigned char *)arena + %s_ARENA_BYTES;", emitter->macro);
    if (inputs) {
        writer_open(writer, "for (int i = 0; i < %d; i++)", inputs);
        writer_line(writer, "const uint64_t limit = %s_read64(section + 24 + 8 * i);", prefix);
        writer_line(writer, "in[i] = %s_take(&tail, %s_tensor_bytes(&%s_inputs[i]));", prefix, prefix, prefix);
        writer_line(writer, "%s_fill(in[i], &%s_inputs[i], %s_read64(section + 8) + ((uint64_t)i << 32), limit ? limit : 1);", prefix, prefix, prefix);
        writer_close(writer, "");
    }
    writer_line(writer, "for (int i = 0; i < %d; i++) out[i] = %s_take(&tail, %s_tensor_bytes(&%s_outputs[i]));", outputs, prefix, prefix, prefix);
    Text call = text_new(emitter->arena);
    text_printf(&call, "%s_run(weights, arena", prefix);
    for (int i = 0; i < inputs; i++) text_printf(&call, ", (const %s *)in[%d]", element_c_type(module->inputs.data[i].tensor->type), i);
    for (int i = 0; i < outputs; i++) text_printf(&call, ", (%s *)out[%d]", element_c_type(module->outputs.data[i].tensor->type), i);
    writer_line(writer, "%s%s);", emitter->data_dependent ? "(void)" : "", text_string(&call));
    writer_line(writer, "expected = section + %d;", 24 + 8 * inputs);
    writer_open(writer, "for (int i = 0; i < %d; i++)", outputs);
    writer_line(writer, "const double error = %s_error(out[i], expected, &%s_outputs[i]);", prefix, prefix);
    writer_line(writer, "if (error > most) most = error;");
    writer_line(writer, "expected += 4 * %s_elements(&%s_outputs[i]);", prefix, prefix);
    writer_close(writer, "");
    writer_line(writer, "if (worst) *worst = most;");
    writer_line(writer, "return most <= tolerance ? GM_OK : GM_ERROR_SELFTEST;");
    writer_close(writer, "");
    writer_blank(writer);
}

/* --- the model as a table ----------------------------------------------------------------------------------------- */

/* `types` and `names`: further arguments of the function, between arena and arrays. */
static void emit_table_run(const Emitter *emitter, Writer *writer, const char *suffix, const char *types, const char *names)
{
    const Module *module = emitter->plan->module;
    const char *prefix = emitter->prefix;
    writer_line(writer, "static int %s_table_run%s(const void *weights, void *arena, %sconst void *const *inputs, void *const *outputs)", prefix, suffix,
                types);
    writer_brace(writer);
    Text call = text_new(emitter->arena);
    text_printf(&call, "%s_run%s((const %s_weights *)weights, arena%s", prefix, suffix, prefix, names);
    for (int i = 0; i < module->inputs.count; i++)
        text_printf(&call, ", (const %s *)inputs[%d]", element_c_type(module->inputs.data[i].tensor->type), i);
    for (int i = 0; i < module->outputs.count; i++)
        text_printf(&call, ", (%s *)outputs[%d]", element_c_type(module->outputs.data[i].tensor->type), i);
    text_add(&call, ")");
    if (!module->inputs.count) writer_line(writer, "(void)inputs;");
    writer_line(writer, "%s%s;", emitter->data_dependent ? "return " : "", text_string(&call));
    if (!emitter->data_dependent) writer_line(writer, "return 0;");
    writer_close(writer, "");
    writer_blank(writer);
}

static const char table_functions_text[] =
    "static int @_table_bind(void *weights, const void *blob, size_t bytes)\n"
    "{\n"
    "    return @_bind((@_weights *)weights, blob, bytes);\n"
    "}\n"
    "\n"
    "static int @_table_selftest(const void *weights, void *arena, double *worst)\n"
    "{\n"
    "    return @_selftest((const @_weights *)weights, arena, worst);\n"
    "}\n"
    "\n"
    "static const char *@_table_form(const void *weights)\n"
    "{\n"
    "    return @_forms[((const @_weights *)weights)->form].name;\n"
    "}\n"
    "\n"
    "static int @_table_choose_form(void *weights, const char *form)\n"
    "{\n"
    "    for (int i = 0; i < (int)(sizeof @_forms / sizeof @_forms[0]); i++) {\n"
    "        const char *a = @_forms[i].name, *b = form;\n"
    "        while (*a && *a == *b) a++, b++;\n"
    "        if (*a || *b || !@_runs(i)) continue;\n"
    "        ((@_weights *)weights)->form = i;\n"
    "        return GM_OK;\n"
    "    }\n"
    "    return GM_ERROR_CPU;\n"
    "}\n"
    "\n";

void print_c_model_table(const Emitter *emitter, Writer *writer)
{
    const Module *module = emitter->plan->module;
    const char *prefix = emitter->prefix, *macro = emitter->macro;
    print_c_template(emitter, writer, table_functions_text);
    emit_table_run(emitter, writer, "", "", "");
    emit_table_run(emitter, writer, "_on", "const gm_executor *executor, ", ", executor");
    writer_line(writer, "const gm_model *%s_model(void)", prefix);
    writer_brace(writer);
    writer_open(writer, "static const gm_model model =");
    writer_line(writer, "%s, %d, %d,", string_literal(emitter->arena, module->name), module->inputs.count, module->outputs.count);
    writer_line(writer, "%s, %s,", module->inputs.count ? arena_printf(emitter->arena, "%s_inputs", prefix) : "NULL",
                module->outputs.count ? arena_printf(emitter->arena, "%s_outputs", prefix) : "NULL");
    writer_line(writer, "%s_ARENA_BYTES, %s_ALIGN, %s_BLOB_BYTES, %s_SELFTEST_BYTES, sizeof(%s_weights),", macro, macro, macro, macro, prefix);
    writer_line(writer, "%s,", emitter->options->weights_mode == WEIGHTS_FILE ? "NULL" : arena_printf(emitter->arena, "%s_blob", prefix));
    writer_line(writer, "%s_table_bind, %s_table_run, %s_table_run_on, %s_table_selftest, %s_table_form, %s_table_choose_form,", prefix, prefix,
                prefix, prefix, prefix, prefix);
    writer_close(writer, ";");
    writer_line(writer, "return &model;");
    writer_close(writer, "");
}

/* --- what a profiled run measures ---------------------------------------------------------------------------------- */

void print_c_profiled(const Emitter *emitter, Writer *writer)
{
    const Plan *plan = emitter->plan;
    const char *prefix = emitter->prefix;
    writer_blank(writer);
    if (plan->calls.count) writer_open(writer, "static const gm_call %s_calls[] =", prefix);
    for (int i = 0; i < plan->calls.count; i++) {
        const PlanCall *call = &plan->calls.data[i];
        writer_line(writer, "{%s, %s, %" PRId64 ", %" PRId64 "},", string_literal(emitter->arena, plan_call_block(call)),
                    string_literal(emitter->arena, call->kernel->name), call->kernel->macs, call->kernel->flops);
    }
    if (plan->calls.count) writer_close(writer, ";");
    writer_blank(writer);
    emit_table_run(emitter, writer, "_profiled", "const gm_executor *executor, const gm_profile *profile, ", ", executor, profile");
    writer_line(writer, "const gm_profiled *%s_profiled(void)", prefix);
    writer_brace(writer);
    const char *calls = plan->calls.count ? arena_printf(emitter->arena, "%s_calls", prefix) : "NULL";
    writer_line(writer, "static const gm_profiled profiled = {%d, %" PRId64 ", %s, %s_table_run_profiled};", plan->calls.count, plan->turns, calls, prefix);
    writer_line(writer, "return &profiled;");
    writer_close(writer, "");
}
