/* Blocks as boxes, calls that hold others as frames around them, tensors as edges with their shapes. */
#include "commands/graph_dot.h"

#include "equation/print.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* --- the look ------------------------------------------------------------------------------------------------------ */
#define FONT "Helvetica,Arial,sans-serif"
#define MONO "Courier New,Courier,monospace"
#define INK "#1d2733"
#define FAINT "#66758a"
#define LINE "#9aa7b8"
#define CARRIED "#b06a2c"
static const char *const frame_fills[] = {"#f4f7fb", "#e9eff7", "#dfe8f3", "#d5e1ef"};
enum { FRAME_FILLS = sizeof frame_fills / sizeof *frame_fills, LINE_WIDTH = 62, MOST_LINES = 3 };

typedef struct {
    Text *out;
    Arena *arena;
    const Module *module;
    const BlockTree *tree;
    const GraphStyle *style;
} Graph;

/* --- words --------------------------------------------------------------------------------------------------------- */
static void add_escaped(Text *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '&') text_add(out, "&amp;");
        else if (text[i] == '<') text_add(out, "&lt;");
        else if (text[i] == '>') text_add(out, "&gt;");
        else if (text[i] == '"') text_add(out, "&quot;");
        else text_add_bytes(out, text + i, 1);
    }
}

static const char *escaped(Arena *arena, const char *text)
{
    Text out = text_new(arena);
    add_escaped(&out, text, strlen(text));
    return text_string(&out);
}

/* 232,500 → "233 k". */
static const char *short_count(Arena *arena, int64_t number)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P", " E"};
    double value = (double)number;
    int unit = 0;
    while (value >= 999.5 && unit < 6) {
        value /= 1000;
        unit++;
    }
    if (!unit) return arena_printf(arena, "%" PRId64, number);
    return arena_printf(arena, value < 9.995 ? "%.2f%s" : value < 99.95 ? "%.1f%s" : "%.0f%s", value, units[unit]);
}

static const char *cost_text(Arena *arena, const Cost *cost, const char *parameters, const char *macs)
{
    Text text = text_new(arena);
    if (cost->parameters) text_printf(&text, "%s%s", short_count(arena, cost->parameters), parameters);
    if (cost->macs) text_printf(&text, "%s%s%s", cost->parameters ? " · " : "", short_count(arena, cost->macs), macs);
    return text_string(&text);
}

static const char *shape_text(Arena *arena, const Tensor *tensor)
{
    Text text = text_new(arena);
    for (int axis = 0; axis < tensor->rank; axis++) text_printf(&text, "%s%" PRId64, axis ? "×" : "", tensor->extents[axis]);
    if (!tensor->rank) text_add(&text, "1");
    if (tensor->type != TYPE_F32) text_printf(&text, " %s", element_type_name(tensor->type));
    return text_string(&text);
}

/* --- equations ----------------------------------------------------------------------------------------------------- */
/* A tensor's name as its reader sees it: without the path of the nearest call around the equation that it begins with; of one from
 * elsewhere the last word. */
static void add_name(Text *out, const char *name, size_t length, const Frame *frame)
{
    bool inside = false;
    for (; frame; frame = frame->up) {
        size_t prefix = frame->path ? strlen(frame->path) : 0;
        inside = inside || prefix;
        if (!prefix || prefix >= length || strncmp(name, frame->path, prefix) != 0 || name[prefix] != '.') continue;
        text_add_bytes(out, name + prefix + 1, length - prefix - 1);
        return;
    }
    size_t last = length;
    while (inside && last && !(name[last - 1] == '.' && !isdigit((unsigned char)name[last]))) last--;
    if (!inside) last = 0;
    text_add_bytes(out, name + last, length - last);
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '\'';
}

/* As written in its block; extents are left to the edges. */
static const char *equation_text(Arena *arena, const Equation *equation)
{
    Text text = text_new(arena), out = text_new(arena);
    equation_print(equation, &text);
    const char *c = text_string(&text), *extents = strstr(c, "  for "), *end = extents ? extents : c + text.length;
    while (c < end) {
        const char *start = c;
        while (c < end && is_name(*c)) c++;
        if (c > start && isalpha((unsigned char)*start)) add_name(&out, start, (size_t)(c - start), equation->frame);
        else text_add_bytes(&out, start, c > start ? (size_t)(c - start) : 1);
        if (c == start) c++;
    }
    return text_string(&out);
}

/* Rows of a table, broken at spaces; `most` lines at most, 0: all. */
static void add_lines(Text *out, const char *text, int most)
{
    for (int line = 1; *text; line++) {
        size_t length = strlen(text), cut = length;
        bool last = most && line == most;
        if (length > LINE_WIDTH) {
            for (cut = LINE_WIDTH; cut > LINE_WIDTH / 2 && text[cut] != ' '; cut--) continue;
            if (text[cut] != ' ') cut = LINE_WIDTH;
        }
        while (cut < length && ((unsigned char)text[cut] & 0xc0) == 0x80) cut++;
        text_printf(out, "<tr><td align=\"left\"><font face=\"" MONO "\" point-size=\"10\">%s", line > 1 ? "&#160;&#160;" : "");
        add_escaped(out, text, cut);
        text_printf(out, "%s</font></td></tr>", last && cut < length ? " …" : "");
        if (last) return;
        text += cut + strspn(text + cut, " ");
    }
}

/* One binary sign between two tensors as they are: drawn as that sign. */
static const char *sign_of(const BlockNode *node)
{
    if (node->kind != NODE_EQUATIONS || node->equations.count != 1) return NULL;
    const Expr *value = node->equations.data[0]->value;
    if (value->kind != EXPR_APPLY || value->count != 2 || value->args[0]->kind != EXPR_READ || value->args[1]->kind != EXPR_READ) return NULL;
    for (int i = 0; i < 2; i++)
        for (int axis = 0; axis < value->args[i]->count; axis++)
            if (value->args[i]->args[axis]->kind != EXPR_INDEX || value->args[i]->tensor->kind == TENSOR_WEIGHT) return NULL;
    static const struct {
        Function function;
        const char *sign;
    } signs[] = {{FN_ADD, "+"}, {FN_SUB, "−"}, {FN_MUL, "×"}, {FN_DIV, "÷"}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (signs[i].function == value->function) return signs[i].sign;
    return NULL;
}

/* --- nodes --------------------------------------------------------------------------------------------------------- */
/* From white to a warm tone with the share of all multiply-adds. */
static const char *heat(const Graph *g, const BlockNode *node)
{
    int64_t macs = node->cost.macs * node->times;
    for (const BlockNode *up = node->up; up; up = up->up) macs *= up->times;
    int64_t all = g->tree->root->cost.macs;
    double share = all > 0 ? (double)macs / (double)all : 0;
    if (share > 1) share = 1;
    double warmth = share * (2 - share); /* small shares can still be told apart */
    int red = 255, green = (int)(255 - 38 * warmth), blue = (int)(255 - 92 * warmth);
    return arena_printf(g->arena, "#%02x%02x%02x", red, green, blue);
}

static const char *times_text(Arena *arena, const BlockNode *node)
{
    return node->times > 1 ? arena_printf(arena, " &#160;<font color=\"" CARRIED "\"><b>×%d</b></font>", node->times) : "";
}

static const char *shared_text(const BlockNode *node)
{
    return node->shared ? ", shared" : node->times > 1 ? " each" : "";
}

static void add_faint(const Graph *g, const char *text, const char *more)
{
    if (*text) text_printf(g->out, "<tr><td align=\"left\"><font color=\"" FAINT "\" point-size=\"10\">%s%s</font></td></tr>", text, more);
}

static void add_cost(const Graph *g, const BlockNode *node)
{
    add_faint(g, cost_text(g->arena, &node->cost, " parameters", " MACs"), shared_text(node));
}

static void add_title(const Graph *g, const BlockNode *node)
{
    const char *name = block_node_name(g->arena, node), *block = node->frame && node->frame->block ? node->frame->block : "";
    text_printf(g->out, "<tr><td align=\"left\"><b>%s</b>%s", escaped(g->arena, name), times_text(g->arena, node));
    if (*block && strcmp(block, name) != 0) text_printf(g->out, " &#160;<font color=\"" FAINT "\" point-size=\"10\">%s</font>", escaped(g->arena, block));
    text_add(g->out, "</td></tr>");
}

static void add_equations(const Graph *g, const BlockNode *node)
{
    int most = g->style->equations ? 0 : 1;
    for (int i = 0; i < node->equations.count; i++) {
        if (!g->style->equations && i == MOST_LINES) {
            text_printf(g->out, "<tr><td align=\"left\"><font color=\"" FAINT "\" point-size=\"10\">… %d more</font></td></tr>", node->equations.count - i);
            return;
        }
        add_lines(g->out, equation_text(g->arena, node->equations.data[i]), most);
    }
}

static void indent(const Graph *g, int depth)
{
    for (int i = 0; i < depth; i++) text_add(g->out, "  ");
}

static void draw_port(const Graph *g, const BlockNode *node)
{
    bool input = node->kind == NODE_INPUT;
    text_printf(g->out, "n%d [shape=box, style=\"rounded,filled\", fillcolor=\"%s\", color=\"%s\", label=<<b>%s</b> &#160;<font color=\"" FAINT "\">%s</font>>];\n", node->id,
                input ? "#e3f4e8" : "#e8e6f8", input ? "#69a87d" : "#8b83c6", escaped(g->arena, node->port->name), shape_text(g->arena, node->port->tensor));
}

/* `call`: whose title and shares the leaf bears; it may be the leaf's parent, which then holds nothing else. */
static void draw_leaf(const Graph *g, const BlockNode *node, const BlockNode *call)
{
    if (node->port) {
        draw_port(g, node);
        return;
    }
    if (node->kind == NODE_JOIN) {
        text_printf(g->out, "n%d [shape=point, width=0.07, color=\"#7b8aa0\"];\n", node->id);
        return;
    }
    const char *sign = node == call && node->times == 1 ? sign_of(node) : NULL;
    if (sign) {
        text_printf(g->out, "n%d [shape=circle, width=0.3, fixedsize=true, fontsize=15, color=\"" LINE "\", label=\"%s\"];\n", node->id, sign);
        return;
    }
    text_printf(g->out, "n%d [fillcolor=\"%s\", label=<<table border=\"0\" cellborder=\"0\" cellspacing=\"0\" cellpadding=\"1\">", node->id, heat(g, call));
    if (call->kind == NODE_CALL) add_title(g, call);
    else if (call->times > 1) text_printf(g->out, "<tr><td align=\"left\">%s</td></tr>", times_text(g->arena, call));
    if (node->kind == NODE_EQUATIONS) add_equations(g, node);
    add_cost(g, call);
    text_add(g->out, "</table>>];\n");
}

/* In short lines, so that edges pass beside it. */
static void add_frame_title(const Graph *g, const BlockNode *node)
{
    const char *name = block_node_name(g->arena, node), *block = node->frame && node->frame->block ? node->frame->block : "";
    const Cost parameters = {.parameters = node->cost.parameters}, macs = {.macs = node->cost.macs};
    text_printf(g->out, "<tr><td align=\"left\"><b>%s</b>%s</td></tr>", node->kind == NODE_TURNS ? "turns" : escaped(g->arena, name), times_text(g->arena, node));
    if (strcmp(block, name) != 0) add_faint(g, escaped(g->arena, block), "");
    add_faint(g, cost_text(g->arena, &parameters, " parameters", ""), shared_text(node));
    add_faint(g, cost_text(g->arena, &macs, "", " MACs"), node->times > 1 ? " each" : "");
}

/* Opens the frame of a call that holds others, or of turns of several calls. */
static void draw_frame(const Graph *g, const BlockNode *node, int depth)
{
    bool turns = node->kind == NODE_TURNS;
    text_printf(g->out, "subgraph cluster_%d {\n", node->id);
    indent(g, depth + 1);
    text_printf(g->out, "style=\"rounded,filled%s\"; color=\"%s\"; fillcolor=\"%s\"; margin=12; labeljust=l; fontsize=12;\n", turns ? ",dashed" : "",
                turns ? CARRIED : "#c3cfde", turns ? "#fffdf9" : frame_fills[(depth - 1) % FRAME_FILLS]);
    indent(g, depth + 1);
    text_add(g->out, "label=<<table border=\"0\" cellborder=\"0\" cellspacing=\"0\" cellpadding=\"1\">");
    add_frame_title(g, node);
    text_add(g->out, "</table>>;\n");
}

static void draw(const Graph *g, const BlockNode *node, int depth)
{
    indent(g, depth);
    if (!node->children.count) {
        draw_leaf(g, node, node);
        return;
    }
    const BlockNode *only = node->children.data[0];
    if (node->kind == NODE_CALL && node->children.count == 1 && only->kind == NODE_EQUATIONS && only->times == 1) {
        draw_leaf(g, only, node);
        return;
    }
    draw_frame(g, node, depth);
    for (int i = 0; i < node->children.count; i++) draw(g, node->children.data[i], depth + 1);
    indent(g, depth);
    text_add(g->out, "}\n");
}

/* The way through: to the first of those that read what the edge carries. The others go beside it. */
static bool is_straight(const BlockTree *tree, const BlockEdge *edge)
{
    for (int i = 0; i < tree->edges.count; i++) {
        const BlockEdge *other = &tree->edges.data[i];
        if (other->from == edge->from && other->to->order < edge->to->order && !other->carried) return false;
    }
    return true;
}

static void draw_edge(const Graph *g, const BlockEdge *edge)
{
    text_printf(g->out, "  n%d -> n%d [label=\"", edge->from->id, edge->to->id);
    for (int i = 0; i < edge->tensors.count; i++) text_printf(g->out, "%s %s ", i ? "\\n" : "", shape_text(g->arena, edge->tensors.data[i]));
    text_add(g->out, "\"");
    if (edge->to->kind == NODE_JOIN) text_add(g->out, ", arrowhead=none");
    text_add(g->out, is_straight(g->tree, edge) ? ", weight=8" : "");
    if (edge->carried) text_add(g->out, ", constraint=false, style=dashed, color=\"" CARRIED "\", fontcolor=\"" CARRIED "\"");
    text_add(g->out, "];\n");
}

void graph_dot(const Module *module, const BlockTree *tree, const GraphStyle *style, Text *out)
{
    Graph g = {.out = out, .arena = out->arena, .module = module, .tree = tree, .style = style};
    const char *parameters = "";
    if (module->parameters && *module->parameters)
        parameters = arena_printf(g.arena, "<tr><td><font color=\"" FAINT "\" point-size=\"11\">(%s)</font></td></tr>", escaped(g.arena, module->parameters));
    text_printf(out, "digraph \"%s\" {\n", module->name);
    text_printf(out, "  graph [rankdir=%s, nodesep=0.35, ranksep=0.2, pad=0.3, bgcolor=white, fontname=\"" FONT "\", fontcolor=\"" INK "\", labelloc=t, fontsize=14,\n",
                style->sideways ? "LR" : "TB");
    text_printf(out, "    label=<<table border=\"0\" cellborder=\"0\" cellspacing=\"0\" cellpadding=\"2\"><tr><td><font point-size=\"20\"><b>%s</b></font></td></tr>"
                     "%s<tr><td>%s</td></tr><tr><td></td></tr></table>>];\n",
                escaped(g.arena, module->name), parameters, cost_text(g.arena, &tree->root->cost, " parameters", " multiply-adds"));
    text_add(out, "  node [shape=box, style=\"rounded,filled\", fillcolor=white, color=\"" LINE "\", fontname=\"" FONT "\", fontcolor=\"" INK "\", fontsize=12, margin=\"0.1,0.05\", height=0.3];\n"
                  "  edge [color=\"#7b8aa0\", fontname=\"" FONT "\", fontcolor=\"" FAINT "\", fontsize=9, arrowsize=0.6];\n");
    for (int i = 0; i < tree->root->children.count; i++) draw(&g, tree->root->children.data[i], 1);
    for (int i = 0; i < tree->edges.count; i++) draw_edge(&g, &tree->edges.data[i]);
    text_add(out, "}\n");
}
