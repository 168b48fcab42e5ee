/* Pass fuse: substitution of producers into readers where no work is done twice.
 *   - a map after a reduction becomes its epilogue: bias, activation, gate, residual;
 *   - a map goes into a map or reduction that asks for each of its elements once;
 *   - a cheap map goes into several such readers.
 * In: normal form, folded.  Out: fewer equations and notes why others stay. Reductions whose results are broadcast stay equations of
 * their own: the schedule makes row kernels of them. */
#include "equation/index.h"
#include "equation/node_map.h"
#include "passes/pass_functions.h"
#include "passes/rewrite.h"

enum { MAX_NODES = 400, MAX_TENSORS = 20, CHEAP_COST = 2 };

typedef struct {
    Module *module;
    Links *links;
    NodeMap order; /* equation → position */
} Fuser;

/* --- what an equation is like --------------------------------------------------------------------------------------- */
typedef struct {
    int cost, reads;       /* functions; distinct tensors read */
    int full_reads;        /* reads of tensors as large as the result */
    int64_t elements;
    NodeMap seen;
} MapCost;

static void add_cost(Expr *node, void *context)
{
    MapCost *cost = context;
    if (node->kind == EXPR_APPLY && !node->integer) {
        FunctionKind kind = function_table[node->function].kind;
        cost->cost += kind == FUNCTION_REAL ? 10 : function_table[node->function].cost;
    }
    if (node->kind != EXPR_READ || !node_map_put(&cost->seen, node->tensor, NULL)) return;
    cost->reads++;
    cost->full_reads += tensor_count(node->tensor) >= cost->elements;
}

static MapCost map_cost(const Equation *equation)
{
    MapCost cost = {.elements = free_points(equation)};
    node_map_init(&cost.seen);
    expr_walk(equation->value, add_cost, &cost);
    node_map_free(&cost.seen);
    return cost;
}

typedef struct {
    const Tensor *tensor;
    bool found;
} HiddenSearch;

/* Reads in subscripts and otherwise. */
static void search_hidden(Expr *node, void *context)
{
    HiddenSearch *search = context;
    if (node->kind != EXPR_READ) return;
    for (int axis = 0; axis < node->count; axis++) search->found |= expr_read_count(node->args[axis], search->tensor) > 0;
    if (node->otherwise) search->found |= expr_read_count(node->otherwise, search->tensor) > 0;
}

static bool read_in_subscripts(const Equation *equation, const Tensor *tensor)
{
    HiddenSearch search = {tensor, false};
    expr_walk(equation->value, search_hidden, &search);
    return search.found;
}

typedef struct {
    const Tensor *tensor;
    const Expr *first;
    bool same;
} PlaceSearch;

static void search_places(Expr *node, void *context)
{
    PlaceSearch *search = context;
    if (node->kind != EXPR_READ || node->tensor != search->tensor) return;
    if (node->otherwise) search->same = false;
    if (!search->first) search->first = node;
    for (int axis = 0; axis < node->count && search->same; axis++)
        search->same = expr_equal(node->args[axis], search->first->args[axis]);
}

/* All reads of the tensor in the equation stand at one place. */
static bool read_at_one_place(const Equation *equation, const Tensor *tensor)
{
    PlaceSearch search = {tensor, NULL, true};
    expr_walk(equation->value, search_places, &search);
    return search.same;
}

typedef struct {
    const Tensor *first;
    bool several;
} IndexTensors;

static void collect_index_tensor(Expr *node, void *context)
{
    IndexTensors *found = context;
    if (node->kind != EXPR_READ || (node->tensor->kind != TENSOR_INPUT && (node->tensor->kind != TENSOR_LOCAL || node->tensor->packed))) return;
    if (!found->first) found->first = node->tensor;
    found->several = found->several || found->first != node->tensor;
}

static void collect_index_tensors(Expr *node, void *context)
{
    for (int axis = 0; node->kind == EXPR_READ && axis < node->count; axis++) expr_walk(node->args[axis], collect_index_tensor, context);
}

/* A subscript out of range is reported with the input it came from: one equation, one such input. */
static bool mixes_index_tensors(const Equation *reader, const Equation *producer)
{
    IndexTensors found = {0};
    expr_walk(producer->value, collect_index_tensors, &found);
    if (!found.first) return false;
    expr_walk(reader->value, collect_index_tensors, &found);
    return found.several;
}

/* --- decisions: NULL, or why not ------------------------------------------------------------------------------------ */
static bool cheap_enough(const Fuser *fuser, const Equation *producer)
{
    MapCost cost = map_cost(producer);
    const TensorLinks *links = &fuser->links->tensors[producer->result->id];
    if (cost.cost > CHEAP_COST || cost.full_reads > 1 || has_data_subscripts(producer->value) || has_inexact_reads(producer->value)) return false;
    for (int i = 0; i < links->readers.count; i++) {
        const Equation *reader = links->readers.data[i];
        if (read_points(reader, producer->result) > tensor_count(producer->result)) return false;
    }
    return true;
}

static const char *why_not_map(const Fuser *fuser, const Equation *reader, const Equation *producer)
{
    const Tensor *tensor = producer->result;
    if (read_in_subscripts(reader, tensor)) return "read in a subscript or outside value";
    if (read_points(reader, tensor) > tensor_count(tensor)) return "its elements are asked for more than once";
    if (fuser->links->tensors[tensor->id].readers.count > 1) return cheap_enough(fuser, producer) ? NULL : "read by several equations";
    return read_at_one_place(reader, tensor) ? NULL : "read at several places";
}

static const char *why_not_epilogue(const Fuser *fuser, const Equation *reader, const Equation *producer)
{
    const Tensor *tensor = producer->result;
    if (count_reductions(reader->value)) return "its reader reduces too";
    if (fuser->links->tensors[tensor->id].readers.count > 1) return "read by several equations";
    if (read_in_subscripts(reader, tensor)) return "read in a subscript or outside value";
    if (free_points(reader) != tensor_count(tensor)) return "broadcast or cut by its reader";
    return read_at_one_place(reader, tensor) ? NULL : "read at several places";
}

/* Each element exactly once: the substituted indices must cover the producer's space. The counts agree; what remains is that every
 * free index of the reader is used, in linear forms that don't overlap. */
static bool covers(const Equation *reader, const Equation *producer)
{
    PlaceSearch search = {producer->result, NULL, true};
    expr_walk(reader->value, search_places, &search);
    const Expr *read = search.first;
    for (int i = 0; i < reader->free_count; i++) {
        int axes = 0;
        for (int axis = 0; axis < read->count; axis++) axes += expr_uses(read->args[axis], reader->free[i]);
        if (axes == 0 && reader->free[i]->extent > 1) return false;
    }
    return true;
}

/* --- the attempt ---------------------------------------------------------------------------------------------------- */
static int count_tensors(const Expr *expr)
{
    MapCost cost = {.elements = 1};
    node_map_init(&cost.seen);
    expr_walk((Expr *)expr, add_cost, &cost);
    node_map_free(&cost.seen);
    return cost.reads;
}

static int inexact(const Expr *expr)
{
    return has_inexact_reads(expr);
}

static const char *attempt(Fuser *fuser, Equation *reader, const Equation *producer, bool epilogue)
{
    Draft draft = draft_of(fuser->module, reader);
    if (!draft_inline(&draft, producer)) return "its place can't be expressed in its reader";
    draft_split(&draft);
    if (expr_size(draft.value) > MAX_NODES || count_tensors(draft.value) > MAX_TENSORS) return "the whole would be too large";
    /* A sum stays one over linear addresses: what its reader does to them is left to a copy. */
    if (inexact(draft.value) && (epilogue || !inexact(reader->value)) && !inexact(producer->value)) return "addresses would not stay linear";
    if (epilogue && count_reductions(draft.value) != 1) return "its reader needs it at several places";
    links_remove_reader(fuser->links, reader);
    draft_commit(&draft);
    links_add_reader(fuser->links, reader);
    return NULL;
}

typedef struct {
    LIST(const Tensor *) tensors;
    NodeMap seen;
    Arena *arena;
} Reads;

static void collect_read(Expr *node, void *context)
{
    Reads *reads = context;
    if (node->kind == EXPR_READ && node->tensor->kind == TENSOR_LOCAL && !node->tensor->packed && node_map_put(&reads->seen, node->tensor, NULL))
        list_push(reads->arena, &reads->tensors, node->tensor);
}

static const char *fuse_one(Fuser *fuser, Equation *reader, Equation *producer)
{
    bool epilogue = count_reductions(producer->value) > 0;
    const char *why = epilogue ? why_not_epilogue(fuser, reader, producer) : why_not_map(fuser, reader, producer);
    if (!why && mixes_index_tensors(reader, producer)) why = "subscripts of both are data, of different tensors";
    if (!why && epilogue && !covers(reader, producer)) why = "not read once an element";
    if (!why) why = attempt(fuser, reader, producer, epilogue);
    if (why) return why;
    if (fuser->links->tensors[producer->result->id].readers.count == 0) links_remove_reader(fuser->links, producer);
    return NULL;
}

static void note(Fuser *fuser, const Equation *reader, const Equation *producer, const char *why)
{
    Module *module = fuser->module;
    const char *text = arena_printf(module->arena, "not fused into %s: %s", reader->result->name, why);
    list_push(module->arena, &module->notes, ((EquationNote){text, producer, reader}));
}

/* The latest producer first: what was computed last becomes the equation's reduction. */
static bool fuse_next(Fuser *fuser, Equation *reader, NodeMap *refused)
{
    Reads reads = {.arena = arena_new()};
    node_map_init(&reads.seen);
    expr_walk(reader->value, collect_read, &reads);
    bool fused = false;
    while (!fused) {
        Equation *best = NULL;
        for (int i = 0; i < reads.tensors.count; i++) {
            Equation *producer = sole_producer(fuser->links, reads.tensors.data[i]);
            if (!producer || producer->packed || producer == reader || node_map_get(refused, producer, NULL)) continue;
            if (!best || (uintptr_t)node_map_get(&fuser->order, producer, NULL) > (uintptr_t)node_map_get(&fuser->order, best, NULL)) best = producer;
        }
        if (!best) break;
        const char *why = fuse_one(fuser, reader, best);
        fused = why == NULL;
        if (fused) continue;
        node_map_put(refused, best, (void *)1);
        note(fuser, reader, best, why);
    }
    node_map_free(&reads.seen);
    arena_free(reads.arena);
    return fused;
}

void pass_fuse(Module *module, Diagnostics *diags)
{
    (void)diags;
    Arena *arena = arena_new();
    Fuser fuser = {.module = module, .links = links_new(arena, module)};
    node_map_init(&fuser.order);
    for (int i = 0; i < module->equations.count; i++) node_map_put(&fuser.order, module->equations.data[i], (void *)(uintptr_t)(i + 1));
    for (int i = 0; i < module->equations.count; i++) {
        Equation *reader = module->equations.data[i];
        if (reader->packed) continue;
        NodeMap refused;
        node_map_init(&refused);
        while (fuse_next(&fuser, reader, &refused)) {}
        node_map_free(&refused);
    }
    node_map_free(&fuser.order);
    arena_free(arena);
    remove_dead(module);
}
