/* The four forms of `gmlpc info`. Shares are of all turns of a row, so that they add up to 100 %. */
#include "commands/info_print.h"

#include "emit_c/blob.h"
#include "equation/print.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *grouped(Arena *arena, int64_t number)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRId64, number);
    Text text = text_new(arena);
    for (int i = 0; i < length; i++) {
        if (i && digits[i - 1] != '-' && (length - i) % 3 == 0) text_add(&text, ",");
        text_add_bytes(&text, &digits[i], 1);
    }
    return text_string(&text);
}

static double share(int64_t part, int64_t total)
{
    return total ? 100 * (double)part / (double)total : 0;
}

static double parameter_share(const Summary *summary, const Row *row)
{
    return share(row->cost.parameters * row->times, summary->total.parameters);
}

static double mac_share(const Summary *summary, const Row *row)
{
    return share(row->cost.macs * row->times, summary->total.macs);
}

static int64_t weight_file_bytes(const Plan *plan)
{
    return plan->blob_bytes + BLOB_HEADER_BYTES;
}

/* --- the arena beside what it must hold --------------------------------------------------------------------------- */

static const char *arena_story(Arena *arena, const Plan *plan)
{
    int64_t padding = plan->arena_bound - plan->arena_live, gaps = plan->arena_bytes - plan->arena_bound;
    if (!plan->arena_bytes) return "nothing is kept between kernels";
    if (!padding && !gaps) return "the least there can be: all of it lives at once";
    const char *bound = arena_printf(arena, "%.1f %% above the %s that live at once", share(plan->arena_bytes - plan->arena_live, plan->arena_live), grouped(arena, plan->arena_live));
    return arena_printf(arena, "%s: %s of padded rows, %s of gaps", bound, grouped(arena, padding), grouped(arena, gaps));
}

/* --- text --------------------------------------------------------------------------------------------------------- */

static void text_port(const char *word, const Port *port, Text *out)
{
    Text text = text_new(out->arena);
    tensor_print(port->tensor, &text);
    const char *type = strchr(text_string(&text), ':');
    text_printf(out, "%-9s%s%s\n", word, port->name, type ? type : "");
}

static void text_row(const Summary *summary, const Row *row, Text *out)
{
    Arena *arena = out->arena;
    text_printf(out, "  %-34s %-16s %14s %5.1f %16s %5.1f %16s %14s\n", row_name(arena, row), row->shape, grouped(arena, row->cost.parameters),
                parameter_share(summary, row), grouped(arena, row->cost.macs), mac_share(summary, row), grouped(arena, row->cost.flops),
                grouped(arena, row->cost.bytes));
}

void info_text(const Summary *summary, Text *out)
{
    Arena *arena = out->arena;
    const Module *module = summary->module;
    const Plan *plan = summary->plan;
    const Cost *total = &summary->total;
    text_printf(out, "%s(%s)\n", module->name, module->parameters ? module->parameters : "");
    for (int i = 0; i < module->inputs.count; i++) text_port("input", &module->inputs.data[i], out);
    for (int i = 0; i < module->outputs.count; i++) text_port("output", &module->outputs.data[i], out);
    text_printf(out, "\n  %-34s %-16s %14s %5s %16s %5s %16s %14s\n", "block", "result", "parameters", "%", "multiply-adds", "%", "operations", "bytes");
    for (int i = 0; i < summary->rows->count; i++) text_row(summary, &summary->rows->data[i], out);
    text_printf(out, "  %-34s %-16s %14s %5s %16s %5s %16s\n", "in all", "", grouped(arena, total->parameters), "", grouped(arena, total->macs), "",
                grouped(arena, total->flops));
    text_add(out, "\nEach row is one turn (xN: N turns alike), its shares those of all N. Operations count a multiply-add as two; bytes go into and out of the block.\n");
    text_printf(out, "In all %.4g M parameters, %.4g G multiply-adds, %.4g GFLOP.\n", 1e-6 * (double)total->parameters, 1e-9 * (double)total->macs,
                1e-9 * (double)total->flops);
    if (total->measured) text_printf(out, "Beside the parameters: %s numbers measured while training.\n", grouped(arena, total->measured));
    text_printf(out, "\narena       %s bytes; %s\n", grouped(arena, plan->arena_bytes), arena_story(arena, plan));
    text_printf(out, "weight file %s bytes\n", grouped(arena, weight_file_bytes(plan)));
    text_printf(out, "stack       at most %s bytes a thread of tile scratch\n", grouped(arena, summary->stack_bytes));
    text_printf(out, "kernels     %d\n", plan->kernels.count);
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static void set_number(json_t *object, const char *key, int64_t number)
{
    json_object_set_new(object, key, json_integer(number));
}

static void set_share(json_t *object, const char *key, double percent)
{
    json_object_set_new(object, key, json_real(percent));
}

static json_t *json_shape(const Tensor *tensor)
{
    json_t *shape = json_array();
    for (int axis = 0; axis < tensor->rank; axis++) json_array_append_new(shape, json_integer(tensor->extents[axis]));
    return shape;
}

static json_t *json_ports(const Port *ports, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", ports[i].name, "type", element_type_name(ports[i].tensor->type), "shape",
                                              json_shape(ports[i].tensor)));
    return list;
}

static void set_cost(json_t *object, const Cost *cost)
{
    set_number(object, "parameters", cost->parameters);
    set_number(object, "measured", cost->measured);
    set_number(object, "macs", cost->macs);
    set_number(object, "flops", cost->flops);
}

static json_t *json_row(const Summary *summary, const Row *row, Arena *arena)
{
    json_t *object = json_pack("{s:s, s:s, s:i, s:o}", "name", row_path(arena, row), "block", row->frame && row->frame->block ? row->frame->block : "",
                               "times", row->times, "shape", json_shape(row->result));
    set_cost(object, &row->cost);
    set_number(object, "bytes", row->cost.bytes);
    set_share(object, "parameters_percent", parameter_share(summary, row));
    set_share(object, "macs_percent", mac_share(summary, row));
    return object;
}

void info_json(const Summary *summary, Text *out)
{
    const Module *module = summary->module;
    const Plan *plan = summary->plan;
    json_t *blocks = json_array(), *object = json_object();
    json_object_set_new(object, "model", json_string(module->name));
    json_object_set_new(object, "inputs", json_ports(module->inputs.data, module->inputs.count));
    json_object_set_new(object, "outputs", json_ports(module->outputs.data, module->outputs.count));
    json_object_set_new(object, "blocks", blocks);
    for (int i = 0; i < summary->rows->count; i++) json_array_append_new(blocks, json_row(summary, &summary->rows->data[i], out->arena));
    set_cost(object, &summary->total);
    set_number(object, "arena_bytes", plan->arena_bytes);
    set_number(object, "arena_live_bytes", plan->arena_live);
    set_number(object, "arena_padding_bytes", plan->arena_bound - plan->arena_live);
    set_number(object, "arena_gap_bytes", plan->arena_bytes - plan->arena_bound);
    set_number(object, "weight_file_bytes", weight_file_bytes(plan));
    set_number(object, "stack_bytes", summary->stack_bytes);
    set_number(object, "kernels", plan->kernels.count);
    char *json = json_dumps(object, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    text_add(out, json);
    text_add(out, "\n");
    free(json);
    json_decref(object);
}

/* --- CSV and Markdown --------------------------------------------------------------------------------------------- */

/* "196x256"; one number: "scalar". */
static const char *short_shape(Arena *arena, const Tensor *tensor)
{
    Text text = text_new(arena);
    for (int axis = 0; axis < tensor->rank; axis++) text_printf(&text, "%s%" PRId64, axis ? "x" : "", tensor->extents[axis]);
    return tensor->rank ? text_string(&text) : "scalar";
}

void info_csv(const Summary *summary, Text *out)
{
    text_add(out, "name,block,times,shape,parameters,measured,macs,flops,bytes,parameters_percent,macs_percent\n");
    for (int i = 0; i < summary->rows->count; i++) {
        const Row *row = &summary->rows->data[i];
        const Cost *cost = &row->cost;
        text_printf(out, "%s,%s,%d,%s,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%.4f,%.4f\n", row_path(out->arena, row),
                    row->frame && row->frame->block ? row->frame->block : "", row->times, short_shape(out->arena, row->result), cost->parameters, cost->measured,
                    cost->macs, cost->flops, cost->bytes, parameter_share(summary, row), mac_share(summary, row));
    }
}

void info_markdown(const Summary *summary, Text *out)
{
    Arena *arena = out->arena;
    const Plan *plan = summary->plan;
    text_printf(out, "**%s** (%s)\n\n", summary->module->name, summary->module->parameters ? summary->module->parameters : "");
    text_add(out, "| block | turns | result | parameters | % | multiply-adds | % | operations | bytes |\n"
                  "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for (int i = 0; i < summary->rows->count; i++) {
        const Row *row = &summary->rows->data[i];
        text_printf(out, "| %s | %d | %s | %s | %.1f | %s | %.1f | %s | %s |\n", row_path(arena, row), row->times, row->shape,
                    grouped(arena, row->cost.parameters), parameter_share(summary, row), grouped(arena, row->cost.macs), mac_share(summary, row),
                    grouped(arena, row->cost.flops), grouped(arena, row->cost.bytes));
    }
    text_printf(out, "| **in all** | | | **%s** | | **%s** | | **%s** | |\n\n", grouped(arena, summary->total.parameters), grouped(arena, summary->total.macs),
                grouped(arena, summary->total.flops));
    text_printf(out, "Parameters, multiply-adds, operations and bytes are those of one turn, shares those of all.\n\n"
                     "- arena: %s bytes; %s\n- weight file: %s bytes\n- stack: at most %s bytes a thread\n- kernels: %d\n",
                grouped(arena, plan->arena_bytes), arena_story(arena, plan), grouped(arena, weight_file_bytes(plan)), grouped(arena, summary->stack_bytes),
                plan->kernels.count);
}
