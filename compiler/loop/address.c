/* Reads: flat subscripts from the strides of a tensor's layout, one load each.
 * In: a READ whose indices are bound.  Out: a FLOAT, INT or VECTOR. A subscript that depends on data is clamped and reported; one that
 * `otherwise` covers is clamped, and the value selected: nothing outside a tensor is ever read. */
#include "loop/lowering.h"

#include "equation/index.h"
#include "support/bug.h"

/* --- addresses ----------------------------------------------------------------------------------------------------- */
void address_add_term(Address *address, Value *value, int64_t coefficient, int level)
{
    int64_t whole = 0;
    if (value_is_int(value, &whole)) {
        address->constant += whole * coefficient;
        return;
    }
    for (int k = 0; k < address->count; k++)
        if (address->terms[k].value->variable == value->variable) {
            address->terms[k].coefficient += coefficient;
            return;
        }
    if (address->count == MAX_ADDRESS_TERMS) bug("lowering: a subscript of more than %d terms", MAX_ADDRESS_TERMS);
    int at = address->count++;
    for (; at > 0 && address->terms[at - 1].level > level; at--) address->terms[at] = address->terms[at - 1];
    address->terms[at].value = value;
    address->terms[at].coefficient = coefficient;
    address->terms[at].level = level;
}

static void add_index(Lowering *l, Address *address, const Index *index, int64_t factor)
{
    const Binding *binding = scope_find(l, index);
    address_add_term(address, binding->base, factor, binding->base_level);
    address->constant += binding->offset * factor;
    if (address->level < binding->level) address->level = binding->level;
    if (l->vector == index && binding->vector) {
        address->vector_stride += factor;
        address->part = binding->part;
    }
}

static bool is_number(const Expr *expr, int64_t *whole)
{
    if (expr->kind != EXPR_NUMBER) return false;
    *whole = (int64_t)expr->number;
    return true;
}

void address_add(Lowering *l, Address *address, const Expr *subscript, int64_t factor)
{
    int64_t whole = 0;
    Linear linear;
    if (index_linear(subscript, &linear)) {
        address->constant += linear.constant * factor;
        for (int k = 0; k < linear.count; k++) add_index(l, address, linear.indices[k], linear.coefficients[k] * factor);
        return;
    }
    if (subscript->kind == EXPR_APPLY) {
        Expr **args = subscript->args;
        if (subscript->function == FN_ADD || subscript->function == FN_SUB) {
            address_add(l, address, args[0], factor);
            address_add(l, address, args[1], subscript->function == FN_SUB ? -factor : factor);
            return;
        }
        if (subscript->function == FN_NEG) {
            address_add(l, address, args[0], -factor);
            return;
        }
        if (subscript->function == FN_MUL && (is_number(args[0], &whole) || is_number(args[1], &whole))) {
            address_add(l, address, args[is_number(args[0], &whole) ? 1 : 0], factor * whole);
            return;
        }
    }
    Lowered opaque = scope_settle(l, to_int(l, lower_expr(l, subscript)), "at");
    address_add_term(address, opaque.value, factor, opaque.level);
    if (address->level < opaque.level) address->level = opaque.level;
}

void address_origin(Address *address, const Access *access)
{
    if (!access->origin) return;
    address_add_term(address, access->origin, -access->origin_step, access->origin_level);
    if (address->level < access->origin_level) address->level = access->origin_level;
}

Value *address_value(Lowering *l, const Address *address)
{
    Builder *build = l->build;
    Value *sum = build_int(build, 0);
    int level = 0;
    for (int k = 0; k < address->count; k++) {
        if (!address->terms[k].coefficient) continue;
        if (address->terms[k].level > level) sum = scope_settle(l, (Lowered){sum, level}, "at").value;
        level = address->terms[k].level;
        Value *term = build_mul(build, address->terms[k].value, build_int(build, address->terms[k].coefficient));
        sum = build_add(build, sum, term);
    }
    return build_add(build, sum, build_int(build, address->constant));
}

Address element_address(Lowering *l, const Tensor *tensor, Expr *const *subscripts, int rank)
{
    const Access *access = find_access(l, tensor);
    Address address = {0};
    for (int axis = 0; axis < rank; axis++)
        if (access->strides[axis]) address_add(l, &address, subscripts[axis], access->strides[axis]);
    address_origin(&address, access);
    return address;
}

/* --- subscripts ---------------------------------------------------------------------------------------------------- */
bool subscript_proved(const Expr *subscript, int64_t extent)
{
    int64_t low = 0, high = 0;
    return index_range(subscript, &low, &high) && low >= 0 && high < extent;
}

/* 0 <= s < extent, as far as it is not proved. NULL: always. */
static Value *inside_test(Lowering *l, const Expr *subscript, Value *s, int64_t extent)
{
    int64_t low = INT64_MIN, high = INT64_MAX;
    if (!index_range(subscript, &low, &high)) low = INT64_MIN, high = INT64_MAX;
    Value *above = low >= 0 ? NULL : build_op(l->build, OP_LE, build_int(l->build, 0), s, NULL);
    Value *below = high < extent ? NULL : build_op(l->build, OP_LT, s, build_int(l->build, extent), NULL);
    return above && below ? build_op(l->build, OP_AND, above, below, NULL) : above ? above : below;
}

static Lowered conjunction(Lowering *l, Lowered a, Lowered b)
{
    if (!a.value) return b;
    if (!b.value) return a;
    return (Lowered){build_op(l->build, OP_AND, a.value, b.value, NULL), a.level > b.level ? a.level : b.level};
}

static Value *clamp(Lowering *l, Value *s, int64_t extent)
{
    return build_op(l->build, OP_MIN, build_op(l->build, OP_MAX, s, build_int(l->build, 0), NULL), build_int(l->build, extent - 1), NULL);
}

/* Clamps a subscript that depends on data, and reports it where that matters. */
static Lowered clamp_data(Lowering *l, Lowered s, int64_t extent)
{
    Lowered clamped = scope_settle(l, (Lowered){clamp(l, s.value, extent), s.level}, "clamped");
    Lowered wrong = {build_op(l->build, OP_NE, s.value, clamped.value, NULL), s.level};
    wrong = conjunction(l, wrong, l->guard);
    Block *here = l->build->block;
    l->build->block = l->scopes[wrong.level]->block;
    Statement *report = build_if(l->build, wrong.value);
    build_append(l->build, report);
    l->build->block = &report->body;
    build_statement(l->build, LOOP_STATUS);
    l->build->block = here;
    return clamped;
}

/* Adds every subscript of a read; *inside is the condition under which none that `otherwise` covers lies outside. */
static void add_subscripts(Lowering *l, const Expr *read, const Access *access, Address *address, Lowered *inside)
{
    for (int axis = 0; axis < read->count; axis++) {
        const Expr *subscript = read->args[axis];
        int64_t extent = read->tensor->extents[axis], stride = access->strides[axis];
        if (access->ring && axis == access->ring_axis) {
            Lowered place = to_int(l, lower_expr(l, subscript));
            place.value = build_op(l->build, OP_MOD, place.value, build_int(l->build, access->ring), NULL);
            place = scope_settle(l, place, "place");
            address_add_term(address, place.value, stride, place.level);
            if (address->level < place.level) address->level = place.level;
            continue;
        }
        bool data = expr_is_data_dependent(subscript);
        bool checked = !data && !access->bordered && (read->otherwise || l->unproved) && !subscript_proved(subscript, extent);
        if (!data && !checked) {
            if (stride) address_add(l, address, subscript, stride);
            continue;
        }
        Lowered s = scope_settle(l, to_int(l, lower_expr(l, subscript)), "s");
        if (data) s = clamp_data(l, s, extent);
        if (checked && read->otherwise) {
            Value *test = inside_test(l, subscript, s.value, extent);
            if (test) *inside = conjunction(l, *inside, (Lowered){test, s.level});
        }
        if (checked) s = scope_settle(l, (Lowered){clamp(l, s.value, extent), s.level}, "clamped");
        address_add_term(address, s.value, stride, s.level);
        if (address->level < s.level) address->level = s.level;
    }
    address_origin(address, access);
}

bool read_stride(Lowering *l, const Expr *read, const Index *index, int64_t *stride)
{
    const Access *access = find_access(l, read->tensor);
    uint64_t bit = index_bit(l, index);
    *stride = 0;
    for (int axis = 0; axis < read->count; axis++) {
        const Expr *subscript = read->args[axis];
        if (!(node_info(l, subscript)->deps & bit)) continue;
        Linear linear;
        if (!index_linear(subscript, &linear) || (access->ring && axis == access->ring_axis)) return false;
        if (!access->bordered && (read->otherwise || l->unproved) && !subscript_proved(subscript, read->tensor->extents[axis])) return false;
        *stride += linear_coefficient(&linear, index) * access->strides[axis];
    }
    return true;
}

/* --- loads --------------------------------------------------------------------------------------------------------- */
static Lowered read_scalar(Lowering *l, const Expr *read, const Access *access, Lowered *inside)
{
    Address address = {0};
    add_subscripts(l, read, access, &address, inside);
    if (access->buffer->written && address.level < l->pin) address.level = l->pin;
    Value *at = address_value(l, &address);
    Lowered loaded = {build_load(l->build, access->buffer, at), address.level};
    if (l->vector && address.vector_stride == 1 && access->buffer->type == TYPE_F32)
        loaded.value = build_load_vector(l->build, access->buffer, at, address.part);
    else if (address.vector_stride != 0)
        bug("lowering %s: a vector of stride %lld", l->kernel->kernel->name, (long long)address.vector_stride);
    return loaded;
}

/* A vector whose lanes are read one by one through a small array. */
static Lowered gather(Lowering *l, const Expr *read)
{
    const Index *along = l->vector;
    Binding binding = *scope_find(l, along);
    Builder *build = l->build;
    int lanes = l->target->lanes;
    Buffer *lane_values = build_array(build, "gathered", TYPE_F32, lanes);
    lowering_vector(l, NULL);
    Statement *loop = loop_open(l, "lane", build_int(build, 0), binding.part ? binding.part : build_int(build, lanes), 1);
    Value *place = build_add(build, build_add(build, binding.base, loop_variable(l, loop)), build_int(build, binding.offset));
    place = scope_settle(l, (Lowered){place, scope_level(l)}, along->name).value;
    scope_bind(l, along, place, scope_level(l), 0);
    Lowered lane = to_real(l, lower_read(l, read));
    build_store(build, lane_values, loop_variable(l, loop), lane.value, NULL);
    loop_close(l, loop);
    lowering_vector(l, along);
    Lowered all = {build_load_vector(build, lane_values, build_int(build, 0), binding.part), scope_level(l)};
    return scope_settle(l, all, "gathered");
}

/* The value of `otherwise`, in which reads are proved only where it is taken. */
static Lowered lower_otherwise(Lowering *l, const Expr *read, Lowered inside)
{
    Lowered outer = l->guard;
    if (node_info(l, read->otherwise)->data) {
        Lowered outside = {build_op(l->build, OP_NOT, inside.value, NULL, NULL), inside.level};
        l->guard = conjunction(l, outer, scope_settle(l, outside, "outside"));
    }
    l->unproved++;
    Lowered otherwise = lower_expr(l, read->otherwise);
    l->unproved--;
    l->guard = outer;
    return otherwise;
}

Lowered lower_read(Lowering *l, const Expr *read)
{
    const Access *access = find_access(l, read->tensor);
    int64_t stride = 0;
    bool along = l->vector && (node_info(l, read)->deps & l->vector_bit);
    if (along) {
        bool plain = read_stride(l, read, l->vector, &stride) && (stride == 0 || (stride == 1 && read->tensor->type == TYPE_F32));
        if (!plain) return gather(l, read);
    }
    Lowered inside = {0};
    Lowered loaded = read_scalar(l, read, access, &inside);
    if (!inside.value) return along ? to_vector(l, loaded) : loaded;
    inside = scope_settle(l, inside, "inside");
    Lowered otherwise = lower_otherwise(l, read, inside);
    if (!read->integer) loaded = to_real(l, loaded), otherwise = to_real(l, otherwise);
    else if (!along) otherwise = to_int(l, otherwise);
    if (along || otherwise.value->type == VALUE_VECTOR) {
        loaded = to_vector(l, loaded), otherwise = to_vector(l, otherwise);
        inside.value = build_op(l->build, OP_SPLAT_FLAG, inside.value, NULL, NULL);
    }
    Lowered parts[3] = {inside, loaded, otherwise};
    int level = settle_operands(l, parts, 3);
    return (Lowered){build_op(l->build, OP_SELECT, parts[0].value, parts[1].value, parts[2].value), level};
}
