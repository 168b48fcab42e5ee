/* Values of the loop IR as C expressions.
 * In: a tree of operations, typed.  Out: text. Scalars become operators and helpers, vectors the hooks of their width (gm_v16_fma …);
 * a form of one lane has no vectors, its VECTOR is a float. */
#include "emit_c/emit_private.h"

#include "support/bug.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Binding strength, weakest first. */
enum { LEVEL_ANY, LEVEL_CHOICE, LEVEL_OR, LEVEL_AND, LEVEL_COMPARE, LEVEL_ADD, LEVEL_MUL, LEVEL_UNARY, LEVEL_ATOM };

typedef struct {
    const char *text;
    int level;
} Printed;

static Printed print(KernelPrinter *printer, const Value *value);

static int lanes(const KernelPrinter *printer)
{
    return printer->lanes;
}

static bool is_vector(const KernelPrinter *printer, ValueType type)
{
    return lanes(printer) > 1 && (type == VALUE_VECTOR || type == VALUE_IVECTOR || type == VALUE_MASK);
}

/* The scalar that a type of one lane is. */
static ValueType scalar_type(const KernelPrinter *printer, ValueType type)
{
    if (lanes(printer) > 1) return type;
    return type == VALUE_VECTOR ? VALUE_FLOAT : type == VALUE_IVECTOR ? VALUE_I32 : type == VALUE_MASK ? VALUE_FLAG : type;
}

const char *value_c_type(const KernelPrinter *printer, ValueType type)
{
    Arena *arena = printer->emitter->arena;
    switch (scalar_type(printer, type)) {
    case VALUE_INT: return "ptrdiff_t";
    case VALUE_FLAG: return "int";
    case VALUE_FLOAT: return "float";
    case VALUE_I32: return "int32_t";
    case VALUE_VECTOR: return arena_printf(arena, "gm_v%d", lanes(printer));
    case VALUE_IVECTOR: return arena_printf(arena, "gm_i%d", lanes(printer));
    case VALUE_MASK: return arena_printf(arena, "gm_m%d", lanes(printer));
    }
    bug("value type %d", (int)type);
}

static const char *text_at(KernelPrinter *printer, const Value *value, int level)
{
    Printed printed = print(printer, value);
    return printed.level >= level ? printed.text : arena_printf(printer->emitter->arena, "(%s)", printed.text);
}

const char *value_text(KernelPrinter *printer, const Value *value)
{
    return text_at(printer, value, LEVEL_ANY);
}

const char *addend_text(KernelPrinter *printer, const Value *value)
{
    return text_at(printer, value, LEVEL_ADD);
}

static Printed atom(const char *text)
{
    return (Printed){text, LEVEL_ATOM};
}

static Printed call(KernelPrinter *printer, const char *name, const Value *a, const Value *b, const Value *c)
{
    Arena *arena = printer->emitter->arena;
    if (c) return atom(arena_printf(arena, "%s(%s, %s, %s)", name, value_text(printer, a), value_text(printer, b), value_text(printer, c)));
    if (b) return atom(arena_printf(arena, "%s(%s, %s)", name, value_text(printer, a), value_text(printer, b)));
    return atom(arena_printf(arena, "%s(%s)", name, value_text(printer, a)));
}

static Printed helper(KernelPrinter *printer, Helper which, const char *name, const Value *a, const Value *b)
{
    helper_use(printer, which);
    return call(printer, name, a, b, NULL);
}

/* gm_v16_NAME, by the kind of vector. */
static Printed hook(KernelPrinter *printer, char kind, const char *name, const Value *a, const Value *b, const Value *c)
{
    return call(printer, arena_printf(printer->emitter->arena, "gm_%c%d_%s", kind, lanes(printer), name), a, b, c);
}

static Printed infix(KernelPrinter *printer, const char *sign, int level, const Value *a, const Value *b, int left, int right)
{
    return (Printed){arena_printf(printer->emitter->arena, "%s %s %s", text_at(printer, a, left), sign, text_at(printer, b, right)), level};
}

static Printed whole_number(KernelPrinter *printer, int64_t whole)
{
    return (Printed){arena_printf(printer->emitter->arena, "%" PRId64, whole), whole < 0 ? LEVEL_UNARY : LEVEL_ATOM};
}

static Printed number(KernelPrinter *printer, const Value *value)
{
    const char *literal = c_float(printer->emitter, value->number);
    if (is_vector(printer, value->type)) return atom(arena_printf(printer->emitter->arena, "gm_v%d_splat(%s)", lanes(printer), literal));
    return (Printed){literal, *literal == '-' ? LEVEL_UNARY : LEVEL_ATOM};
}

static Printed integer(KernelPrinter *printer, const Value *value)
{
    Arena *arena = printer->emitter->arena;
    if (is_vector(printer, value->type)) return atom(arena_printf(arena, "gm_i%d_splat(%" PRId64 ")", lanes(printer), value->whole));
    if (scalar_type(printer, value->type) == VALUE_I32 && value->whole == INT32_MIN) return atom("(-2147483647 - 1)");
    return whole_number(printer, value->whole);
}

static const char *element(KernelPrinter *printer, const Value *value)
{
    return arena_printf(printer->emitter->arena, "%s[%s]", buffer_name(printer, value->buffer), value_text(printer, value->operands[0]));
}

static const char *address(KernelPrinter *printer, const Value *value)
{
    return arena_printf(printer->emitter->arena, "%s + %s", buffer_name(printer, value->buffer),
                        addend_text(printer, value->operands[0]));
}

static Printed load(KernelPrinter *printer, const Value *value)
{
    Arena *arena = printer->emitter->arena;
    if (value->op == OP_LOAD || !is_vector(printer, value->type)) {
        if (!element_type_is_integer(value->buffer->type)) return atom(element(printer, value));
        return (Printed){arena_printf(arena, "(ptrdiff_t)%s", element(printer, value)), LEVEL_UNARY};
    }
    if (value->op == OP_LOAD_PART)
        return atom(arena_printf(arena, "gm_v%d_load_part(%s, %s)", lanes(printer), address(printer, value),
                                 value_text(printer, value->operands[1])));
    return atom(arena_printf(arena, "gm_v%d_load%s(%s)", lanes(printer), value->whole ? "_aligned" : "", address(printer, value)));
}

/* The sum or difference of two values of one type. */
static Printed sum(KernelPrinter *printer, const Value *value)
{
    const Value *a = value->operands[0], *b = value->operands[1];
    bool minus = value->op == OP_SUB;
    ValueType type = scalar_type(printer, value->type);
    if (type == VALUE_IVECTOR) return hook(printer, 'i', minus ? "sub" : "add", a, b, NULL);
    if (type == VALUE_I32)
        return helper(printer, minus ? HELPER_SUB_I32 : HELPER_ADD_I32, minus ? "gm_sub_i32" : "gm_add_i32", a, b);
    /* i + -1 reads better as i - 1. */
    if (type == VALUE_INT && b->op == OP_INT && b->whole < 0 && b->whole > INT64_MIN)
        return (Printed){arena_printf(printer->emitter->arena, "%s %c %" PRId64, text_at(printer, a, LEVEL_ADD), minus ? '+' : '-', -b->whole),
                         LEVEL_ADD};
    /* Integer sums may be regrouped; sums of reals keep their tree. */
    return infix(printer, minus ? "-" : "+", LEVEL_ADD, a, b, LEVEL_ADD, type == VALUE_INT && !minus ? LEVEL_ADD : LEVEL_MUL);
}

static Printed product(KernelPrinter *printer, const Value *value)
{
    const Value *a = value->operands[0], *b = value->operands[1];
    ValueType type = scalar_type(printer, value->type);
    if (value->op == OP_DIV) return infix(printer, "/", LEVEL_MUL, a, b, LEVEL_MUL, LEVEL_UNARY);
    if (type == VALUE_IVECTOR) return hook(printer, 'i', "mul", a, b, NULL);
    if (type == VALUE_I32) return helper(printer, HELPER_MUL_I32, "gm_mul_i32", a, b);
    return infix(printer, "*", LEVEL_MUL, a, b, LEVEL_MUL, LEVEL_UNARY);
}

/* A multiply-add that takes one element of memory for all lanes. The constant that its subscript ends with goes apart: the address of all
 * elements a constant from each other is then one register. */
static bool spreads(const KernelPrinter *printer, const Value *a)
{
    return printer->form->target->spreads && a->op == OP_SPLAT && a->operands[0]->op == OP_LOAD && a->operands[0]->buffer->type == TYPE_F32;
}

static const char *spread_text(KernelPrinter *printer, const Value *element)
{
    const Value *subscript = element->operands[0], *last = subscript->op == OP_ADD ? subscript->operands[1] : NULL;
    int64_t constant = last && last->op == OP_INT && last->whole == (int32_t)(4 * last->whole) / 4 ? last->whole : 0;
    if (constant) subscript = subscript->operands[0];
    return arena_printf(printer->emitter->arena, "%s + %s, %" PRId64, buffer_name(printer, element->buffer), addend_text(printer, subscript),
                        constant);
}

bool accumulates(const KernelPrinter *printer)
{
    return printer->lanes == 16;
}

const char *accumulate_text(KernelPrinter *printer, const Variable *sum, const Value *value)
{
    const Value *a = value->operands[0], *c = value->operands[2];
    if (value->op != OP_FMA || c->op != OP_VARIABLE || c->variable != sum) bug("%s is set to something else than a sum", sum->name);
    const char *name = variable_name(printer, sum), *b = value_text(printer, value->operands[1]);
    if (spreads(printer, a))
        return arena_printf(printer->emitter->arena, "GM_V%d_ACCUMULATE_SPREAD(%s, %s, %s)", lanes(printer), name, spread_text(printer, a->operands[0]), b);
    return arena_printf(printer->emitter->arena, "GM_V%d_ACCUMULATE(%s, %s, %s)", lanes(printer), name, value_text(printer, a), b);
}

static Printed fused(KernelPrinter *printer, const Value *value)
{
    const Value *a = value->operands[0], *b = value->operands[1], *c = value->operands[2];
    if (is_vector(printer, value->type) && spreads(printer, a))
        return atom(arena_printf(printer->emitter->arena, "gm_v%d_fma_spread(%s, %s, %s)", lanes(printer), spread_text(printer, a->operands[0]),
                                 value_text(printer, b), value_text(printer, c)));
    if (is_vector(printer, value->type)) return hook(printer, 'v', "fma", a, b, c);
    if (printer->form->target->lanes > 1)
        return call(printer, arena_printf(printer->emitter->arena, "gm_v%d_fma1", printer->form->target->lanes), a, b, c);
    if (printer->form->reproducible) {
        helper_use(printer, HELPER_FMA);
        return call(printer, "gm_fma", a, b, c);
    }
    return (Printed){arena_printf(printer->emitter->arena, "%s * %s + %s", text_at(printer, a, LEVEL_MUL), text_at(printer, b, LEVEL_UNARY),
                                  text_at(printer, c, LEVEL_MUL)),
                     LEVEL_ADD};
}

static Printed extreme(KernelPrinter *printer, const Value *value)
{
    const Value *a = value->operands[0], *b = value->operands[1];
    bool min = value->op == OP_MIN;
    if (is_vector(printer, value->type)) return hook(printer, 'v', min ? "min" : "max", a, b, NULL);
    if (value->type == VALUE_INT)
        return helper(printer, min ? HELPER_INT_MIN : HELPER_INT_MAX, min ? "gm_int_min" : "gm_int_max", a, b);
    return helper(printer, min ? HELPER_MIN : HELPER_MAX, min ? "gm_min" : "gm_max", a, b);
}

static Printed least_size(KernelPrinter *printer, const Value *value)
{
    const Value *a = value->operands[0], *b = value->operands[1];
    if (is_vector(printer, value->type)) return hook(printer, 'v', "min_abs", a, b, NULL);
    Value size = {.op = OP_ABS, .type = value->type, .operands = {value->operands[0]}};
    return helper(printer, HELPER_MIN, "gm_min", b, &size);
}

static Printed positive_part(KernelPrinter *printer, const Value *value)
{
    const Value *a = value->operands[0];
    if (is_vector(printer, value->type)) return hook(printer, 'v', "positive", a, NULL, NULL);
    Value zero = {.op = OP_NUMBER, .type = value->type}, least = {.op = OP_MIN, .type = value->type, .operands = {value->operands[0], &zero}};
    Value part = {.op = OP_SUB, .type = value->type, .operands = {value->operands[0], &least}};
    return sum(printer, &part);
}

/* A function of one value: helper for a scalar, hook for a vector. */
static Printed unary(KernelPrinter *printer, const Value *value, Helper which, const char *name)
{
    if (is_vector(printer, value->type)) return hook(printer, 'v', name, value->operands[0], NULL, NULL);
    return helper(printer, which, arena_printf(printer->emitter->arena, "gm_%s", name), value->operands[0], NULL);
}

static Printed compare(KernelPrinter *printer, const Value *value, const char *sign, const char *name)
{
    const Value *a = value->operands[0], *b = value->operands[1];
    if (is_vector(printer, value->type)) return hook(printer, 'v', name, a, b, NULL);
    return infix(printer, sign, LEVEL_COMPARE, a, b, LEVEL_ADD, LEVEL_ADD);
}

static Printed logical(KernelPrinter *printer, const Value *value)
{
    const Value *a = value->operands[0], *b = value->operands[1];
    bool and = value->op == OP_AND;
    switch (scalar_type(printer, value->type)) {
    case VALUE_MASK: return hook(printer, 'm', and ? "and" : "or", a, b, NULL);
    case VALUE_IVECTOR:
    case VALUE_I32: return infix(printer, and ? "&" : "|", LEVEL_ANY, a, b, LEVEL_UNARY, LEVEL_UNARY);
    case VALUE_FLAG:
        return infix(printer, and ? "&&" : "||", and ? LEVEL_AND : LEVEL_OR, a, b, and ? LEVEL_AND : LEVEL_COMPARE, LEVEL_COMPARE);
    case VALUE_INT:
    case VALUE_FLOAT:
    case VALUE_VECTOR: break;
    }
    bug("%s of value type %d", and ? "and" : "or", (int)value->type);
}

static Printed choice(KernelPrinter *printer, const Value *value)
{
    const Value *condition = value->operands[0], *a = value->operands[1], *b = value->operands[2];
    if (is_vector(printer, condition->type)) return hook(printer, 'v', "select", condition, a, b);
    return (Printed){arena_printf(printer->emitter->arena, "%s ? %s : %s", text_at(printer, condition, LEVEL_OR),
                                  text_at(printer, a, LEVEL_ADD), text_at(printer, b, LEVEL_ADD)),
                     LEVEL_CHOICE};
}

static Printed convert(KernelPrinter *printer, const Value *value)
{
    const Value *a = value->operands[0];
    Arena *arena = printer->emitter->arena;
    bool vector = is_vector(printer, value->type);
    bool one_lane = lanes(printer) == 1;
    switch ((int)value->op) {
    case OP_SPLAT: return one_lane ? print(printer, a) : hook(printer, 'v', "splat", a, NULL, NULL);
    case OP_SPLAT_FLAG: return one_lane ? print(printer, a) : hook(printer, 'm', "splat", a, NULL, NULL);
    case OP_TO_FLOAT:
        if (vector) return hook(printer, 'v', "from_int", a, NULL, NULL);
        return (Printed){arena_printf(arena, "(float)%s", text_at(printer, a, LEVEL_UNARY)), LEVEL_UNARY};
    case OP_TO_INT:
        if (vector) return hook(printer, 'v', "to_int", a, NULL, NULL);
        return (Printed){arena_printf(arena, "(int32_t)%s", text_at(printer, a, LEVEL_UNARY)), LEVEL_UNARY};
    case OP_BITS_TO_FLOAT:
        if (vector) return (Printed){arena_printf(arena, "(gm_v%d)%s", lanes(printer), text_at(printer, a, LEVEL_UNARY)), LEVEL_UNARY};
        return helper(printer, HELPER_AS_FLOAT, "gm_as_float", a, NULL);
    case OP_FLOAT_TO_BITS:
        if (vector) return (Printed){arena_printf(arena, "(gm_i%d)%s", lanes(printer), text_at(printer, a, LEVEL_UNARY)), LEVEL_UNARY};
        return helper(printer, HELPER_AS_INT, "gm_as_int", a, NULL);
    default: bug("conversion %d", (int)value->op);
    }
}

static Printed shift(KernelPrinter *printer, const Value *value)
{
    Arena *arena = printer->emitter->arena;
    bool left = value->op == OP_SHIFT_LEFT;
    const Value *a = value->operands[0];
    if (is_vector(printer, value->type))
        return atom(arena_printf(arena, "gm_i%d_shift_%s(%s, %d)", lanes(printer), left ? "left" : "right", value_text(printer, a), (int)value->whole));
    if (!left) return (Printed){arena_printf(arena, "%s >> %d", text_at(printer, a, LEVEL_UNARY), (int)value->whole), LEVEL_ANY};
    helper_use(printer, HELPER_SHIFT_LEFT);
    return atom(arena_printf(arena, "gm_shift_left(%s, %d)", value_text(printer, a), (int)value->whole));
}

/* An entry of the function's table. */
static Printed lookup(KernelPrinter *printer, const Value *value)
{
    Arena *arena = printer->emitter->arena;
    const char *first = value->first ? arena_printf(arena, " + %d", value->first) : "";
    if (is_vector(printer, value->type))
        return atom(arena_printf(arena, "gm_v%d_lookup%d(table%s, %s)", lanes(printer), (int)value->whole, first,
                                 value_text(printer, value->operands[0])));
    return atom(arena_printf(arena, "table[(%s & %d)%s]", text_at(printer, value->operands[0], LEVEL_UNARY), (int)value->whole - 1, first));
}

/* A call of an element function: the form's own for its vectors, the FLOAT one for scalars beside them. */
static Printed element_function(KernelPrinter *printer, const Value *value)
{
    int row = printer->form->target->lanes > 1 && (lanes(printer) == 1 || value->type == VALUE_FLOAT) ? 1 : 0;
    const char *name = printer->functions[row] ? printer->functions[row][value->function] : NULL;
    if (!name) bug("element function %d has no code", value->function);
    printer->used[row][value->function] = true;
    return call(printer, name, value->operands[0], value->operands[1], NULL);
}

static Printed print(KernelPrinter *printer, const Value *value)
{
    Arena *arena = printer->emitter->arena;
    const Value *a = value->operands[0], *b = value->operands[1];
    switch (value->op) {
    case OP_NUMBER: return number(printer, value);
    case OP_INT: return integer(printer, value);
    case OP_VARIABLE:
        if (!value->variable->accumulator || !accumulates(printer)) return atom(variable_name(printer, value->variable));
        return atom(arena_printf(printer->emitter->arena, "GM_V%d_SUM(%s)", lanes(printer), variable_name(printer, value->variable)));
    case OP_LOAD:
    case OP_LOAD_VECTOR:
    case OP_LOAD_PART: return load(printer, value);
    case OP_LANES: return atom(lanes(printer) > 1 ? arena_printf(arena, "gm_v%d_lanes()", lanes(printer)) : "0.0f");
    case OP_ADD:
    case OP_SUB: return sum(printer, value);
    case OP_MUL:
    case OP_DIV: return product(printer, value);
    case OP_FMA: return fused(printer, value);
    case OP_NEG: return (Printed){arena_printf(arena, "-%s", text_at(printer, a, LEVEL_ATOM)), LEVEL_UNARY};
    case OP_MIN:
    case OP_MAX: return extreme(printer, value);
    case OP_MIN_ABS: return least_size(printer, value);
    case OP_POSITIVE: return positive_part(printer, value);
    case OP_ABS:
        if (value->type == VALUE_INT) return helper(printer, HELPER_INT_ABS, "gm_int_abs", a, NULL);
        return unary(printer, value, HELPER_ABS, "abs");
    case OP_SQRT: return unary(printer, value, HELPER_SQRT, "sqrt");
    case OP_FLOOR: return unary(printer, value, HELPER_FLOOR, "floor");
    case OP_ROUND: return unary(printer, value, HELPER_ROUND, "round");
    case OP_FLOORDIV: return helper(printer, HELPER_FLOORDIV, "gm_floordiv", a, b);
    case OP_MOD: return helper(printer, HELPER_MOD, "gm_mod", a, b);
    case OP_LT: return compare(printer, value, "<", "lt");
    case OP_LE: return compare(printer, value, "<=", "le");
    case OP_EQ: return compare(printer, value, "==", "eq");
    case OP_NE: return compare(printer, value, "!=", "ne");
    case OP_AND:
    case OP_OR: return logical(printer, value);
    case OP_NOT:
        if (is_vector(printer, value->type)) return hook(printer, 'm', "not", a, NULL, NULL);
        return (Printed){arena_printf(arena, "!%s", text_at(printer, a, LEVEL_UNARY)), LEVEL_UNARY};
    case OP_SELECT: return choice(printer, value);
    case OP_SPLAT:
    case OP_SPLAT_FLAG:
    case OP_TO_FLOAT:
    case OP_TO_INT:
    case OP_BITS_TO_FLOAT:
    case OP_FLOAT_TO_BITS: return convert(printer, value);
    case OP_SHIFT_LEFT:
    case OP_SHIFT_RIGHT: return shift(printer, value);
    case OP_ZIP_LOW: return hook(printer, 'v', "zip_low", a, b, NULL);
    case OP_ZIP_HIGH: return hook(printer, 'v', "zip_high", a, b, NULL);
    case OP_SCALE:
        if (is_vector(printer, value->type)) return hook(printer, 'v', "scale", a, b, NULL);
        helper_use(printer, HELPER_AS_FLOAT);
        return helper(printer, HELPER_SCALE, "gm_scale", a, b);
    case OP_LOOKUP: return lookup(printer, value);
    case OP_CALL: return element_function(printer, value);
    case OP_REDUCE_ADD: return lanes(printer) > 1 ? hook(printer, 'v', "sum", a, NULL, NULL) : print(printer, a);
    case OP_REDUCE_MUL: return lanes(printer) > 1 ? hook(printer, 'v', "product", a, NULL, NULL) : print(printer, a);
    case OP_REDUCE_MIN: return lanes(printer) > 1 ? hook(printer, 'v', "least", a, NULL, NULL) : print(printer, a);
    case OP_REDUCE_MAX: return lanes(printer) > 1 ? hook(printer, 'v', "greatest", a, NULL, NULL) : print(printer, a);
    case OP_COUNT: break;
    }
    bug("operation %d can't be printed", (int)value->op);
}
