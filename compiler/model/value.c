/* Compile-time values: exact arithmetic as long as it fits, and how values are written in messages. */
#include "model/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- numbers -------------------------------------------------------------------------------------------------------- */

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

Number number_int(int64_t value)
{
    return (Number){.exact = true, .numerator = value, .denominator = 1};
}

Number number_real(double value)
{
    return (Number){.real = value, .decimal = true};
}

double number_double(Number number)
{
    return number.exact ? (double)number.numerator / (double)number.denominator : number.real;
}

bool number_is_integer(Number number, int64_t *value)
{
    if (number.exact) {
        *value = number.numerator;
        return number.denominator == 1;
    }
    if (!(fabs(number.real) < 9007199254740992.0) || floor(number.real) != number.real) return false;
    *value = (int64_t)number.real;
    return true;
}

bool number_is_typed_integer(Number number)
{
    return number.exact && number.denominator == 1 && !number.decimal;
}

/* numerator / denominator in lowest terms; a double when INT64_MIN makes that impossible. */
static Number ratio(int64_t numerator, int64_t denominator, bool decimal)
{
    if (numerator == INT64_MIN || denominator == INT64_MIN) return number_real((double)numerator / (double)denominator);
    int64_t common = gcd(numerator, denominator);
    if (common > 1) numerator /= common, denominator /= common;
    if (denominator < 0) numerator = -numerator, denominator = -denominator;
    return (Number){.exact = true, .numerator = numerator, .denominator = denominator, .decimal = decimal};
}

Number number_parse(const AstExpr *expr)
{
    if (expr->integer) return number_int(expr->whole);
    const int64_t limit = INT64_C(9007199254740992);
    int64_t digits = 0, scale = 0, exponent = 0;
    const char *text = expr->text ? expr->text : "";
    bool point = false;
    for (; (*text >= '0' && *text <= '9') || *text == '.'; text++) {
        if (*text == '.') {
            point = true;
            continue;
        }
        if (digits > (limit - 9) / 10) return number_real(expr->number);
        digits = digits * 10 + (*text - '0');
        if (point) scale++;
    }
    if (*text == 'e' || *text == 'E') {
        exponent = strtol(text + 1, (char **)&text, 10);
        if (exponent < -30 || exponent > 30) return number_real(expr->number);
    }
    if (*text) return number_real(expr->number);
    int64_t denominator = 1;
    for (int64_t power = exponent - scale; power > 0; power--)
        if (__builtin_mul_overflow(digits, 10, &digits) || digits > limit) return number_real(expr->number);
    for (int64_t power = exponent - scale; power < 0; power++)
        if (__builtin_mul_overflow(denominator, 10, &denominator) || denominator > limit) return number_real(expr->number);
    return ratio(digits, denominator, true);
}

static Number number_add(Number a, Number b)
{
    bool decimal = a.decimal || b.decimal;
    int64_t left, right, sum, denominator;
    if (a.exact && b.exact && !__builtin_mul_overflow(a.numerator, b.denominator, &left) &&
        !__builtin_mul_overflow(b.numerator, a.denominator, &right) && !__builtin_add_overflow(left, right, &sum) &&
        !__builtin_mul_overflow(a.denominator, b.denominator, &denominator))
        return ratio(sum, denominator, decimal);
    return number_real(number_double(a) + number_double(b));
}

static Number number_negate(Number a)
{
    if (a.exact && a.numerator != INT64_MIN) {
        a.numerator = -a.numerator;
        return a;
    }
    return number_real(-number_double(a));
}

static Number number_multiply(Number a, Number b)
{
    int64_t numerator, denominator;
    if (a.exact && b.exact && !__builtin_mul_overflow(a.numerator, b.numerator, &numerator) &&
        !__builtin_mul_overflow(a.denominator, b.denominator, &denominator))
        return ratio(numerator, denominator, a.decimal || b.decimal);
    return number_real(number_double(a) * number_double(b));
}

static Number number_divide(Number a, Number b) /* b is not 0 */
{
    if (b.exact && b.numerator != INT64_MIN) {
        Number inverse = {.exact = true,
                          .numerator = b.numerator < 0 ? -b.denominator : b.denominator,
                          .denominator = b.numerator < 0 ? -b.numerator : b.numerator,
                          .decimal = b.decimal};
        int64_t ignored;
        if (a.exact && !__builtin_mul_overflow(a.numerator, inverse.numerator, &ignored)) return number_multiply(a, inverse);
    }
    return number_real(number_double(a) / number_double(b));
}

static Number number_floor(Number a)
{
    if (a.exact) {
        int64_t quotient = a.numerator / a.denominator;
        if (a.numerator % a.denominator < 0) quotient--;
        return number_int(quotient);
    }
    double below = floor(a.real);
    return fabs(below) < 9007199254740992.0 ? number_int((int64_t)below) : number_real(below);
}

static int number_compare(Number a, Number b) /* -1, 0, 1; 2 when one is NaN */
{
    int64_t left, right;
    if (a.exact && b.exact && !__builtin_mul_overflow(a.numerator, b.denominator, &left) &&
        !__builtin_mul_overflow(b.numerator, a.denominator, &right))
        return left < right ? -1 : left > right;
    double x = number_double(a), y = number_double(b);
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

/* a to a whole power, exact while it fits. */
static bool number_power(Number a, int64_t exponent, Number *result)
{
    if (!a.exact || exponent > 64 || exponent < -64 || (exponent < 0 && a.numerator == 0)) return false;
    Number power = number_int(1);
    for (int64_t k = exponent < 0 ? -exponent : exponent; k > 0; k--) power = number_multiply(power, a);
    *result = exponent < 0 ? number_divide(number_int(1), power) : power;
    return result->exact;
}

/* --- values --------------------------------------------------------------------------------------------------------- */

Value value_poison(void)
{
    return (Value){.kind = VALUE_POISON};
}

Value value_number(Number number)
{
    return (Value){.kind = VALUE_NUMBER, .number = number};
}

Value value_int(int64_t value)
{
    return value_number(number_int(value));
}

Value value_flag(bool flag)
{
    return (Value){.kind = VALUE_FLAG, .flag = flag};
}

bool value_is_constant(const Value *value)
{
    return value->kind == VALUE_NUMBER || value->kind == VALUE_FLAG || value->kind == VALUE_STRING || value->kind == VALUE_LIST;
}

const char *value_kind_name(const Value *value)
{
    switch (value->kind) {
    case VALUE_POISON:
        return "an error";
    case VALUE_NUMBER:
        return "a number";
    case VALUE_FLAG:
        return "a flag";
    case VALUE_STRING:
        return "a string";
    case VALUE_LIST:
        return "a list";
    case VALUE_CALLABLE:
        return value->callable->block ? "a block" : "an element function";
    case VALUE_TENSOR:
        return "a tensor";
    case VALUE_ELEMENT:
        return value->condition ? "a condition" : value->rank ? "a tensor" : "an element";
    case VALUE_TUPLE:
        return "several tensors";
    }
    return "a value";
}

void number_print(Number number, Text *out)
{
    if (number.exact && number.denominator == 1) {
        text_printf(out, "%" PRId64, number.numerator);
        return;
    }
    if (number.exact && !number.decimal) {
        text_printf(out, "%" PRId64 "/%" PRId64, number.numerator, number.denominator);
        return;
    }
    double value = number_double(number);
    char digits[40];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) break;
    }
    text_add(out, digits);
}

void value_print(const Value *value, Text *out)
{
    switch (value->kind) {
    case VALUE_POISON:
        text_add(out, "?");
        break;
    case VALUE_NUMBER:
        number_print(value->number, out);
        break;
    case VALUE_FLAG:
        text_add(out, value->flag ? "true" : "false");
        break;
    case VALUE_STRING:
        text_printf(out, "\"%s\"", value->text);
        break;
    case VALUE_LIST:
    case VALUE_TUPLE:
        text_add(out, "[");
        for (int k = 0; k < value->count; k++) {
            if (k) text_add(out, ", ");
            value_print(&value->items[k], out);
        }
        text_add(out, "]");
        break;
    case VALUE_CALLABLE:
        text_add(out, value->callable->name);
        if (value->callable->given_count) text_add(out, "(");
        for (int k = 0; k < value->callable->given_count; k++) {
            text_printf(out, "%s%s = ", k ? ", " : "", value->callable->given[k].name);
            value_print(value->callable->given[k].value, out);
        }
        if (value->callable->given_count) text_add(out, ")");
        break;
    case VALUE_TENSOR:
        text_add(out, "[");
        for (int k = 0; k < value->tensor->rank; k++) text_printf(out, "%s%" PRId64, k ? ", " : "", value->tensor->extents[k]);
        text_add(out, "]");
        break;
    case VALUE_ELEMENT:
        text_add(out, "[");
        for (int k = 0; k < value->rank; k++) text_printf(out, "%s%" PRId64, k ? ", " : "", value->indices[k]->extent);
        text_add(out, "]");
        break;
    }
}

/* --- arithmetic ----------------------------------------------------------------------------------------------------- */

static bool values_equal(const Value *a, const Value *b)
{
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case VALUE_NUMBER:
        return number_compare(a->number, b->number) == 0;
    case VALUE_FLAG:
        return a->flag == b->flag;
    case VALUE_STRING:
        return !strcmp(a->text, b->text);
    case VALUE_LIST:
        if (a->count != b->count) return false;
        for (int k = 0; k < a->count; k++)
            if (!values_equal(&a->items[k], &b->items[k])) return false;
        return true;
    case VALUE_CALLABLE:
        if (a->callable->block != b->callable->block || a->callable->function != b->callable->function ||
            a->callable->given_count != b->callable->given_count)
            return false;
        for (int k = 0; k < a->callable->given_count; k++)
            if (strcmp(a->callable->given[k].name, b->callable->given[k].name) ||
                !values_equal(a->callable->given[k].value, b->callable->given[k].value))
                return false;
        return true;
    case VALUE_POISON:
    case VALUE_TENSOR:
    case VALUE_ELEMENT:
    case VALUE_TUPLE:
        return false;
    }
    return false;
}

static bool binary_numbers(AstOperator op, Number a, Number b, Value *result, const char **error)
{
    int order = number_compare(a, b);
    switch (op) {
    case AST_ADD:
        *result = value_number(number_add(a, b));
        return true;
    case AST_SUB:
        *result = value_number(number_add(a, number_negate(b)));
        return true;
    case AST_MUL:
        *result = value_number(number_multiply(a, b));
        return true;
    case AST_DIV:
    case AST_FLOORDIV:
    case AST_MOD: {
        if (number_double(b) == 0) {
            *error = "division by zero";
            return false;
        }
        Number quotient = number_divide(a, b);
        if (op != AST_DIV) {
            bool decimal = a.decimal || b.decimal;
            Number whole = number_floor(quotient);
            whole.decimal = decimal;
            quotient = op == AST_FLOORDIV ? whole : number_add(a, number_negate(number_multiply(whole, b)));
        }
        *result = value_number(quotient);
        return true;
    }
    case AST_LT:
        *result = value_flag(order == -1);
        return true;
    case AST_GT:
        *result = value_flag(order == 1);
        return true;
    case AST_LE:
        *result = value_flag(order == -1 || order == 0);
        return true;
    case AST_GE:
        *result = value_flag(order == 1 || order == 0);
        return true;
    case AST_EQ:
        *result = value_flag(order == 0);
        return true;
    case AST_NE:
        *result = value_flag(order != 0);
        return true;
    case AST_AND:
    case AST_OR:
    case AST_NEG:
    case AST_NOT:
        break;
    }
    *error = "`&&` and `||` join flags, not numbers";
    return false;
}

bool value_binary(AstOperator op, const Value *a, const Value *b, Value *result, const char **error)
{
    if (a->kind == VALUE_NUMBER && b->kind == VALUE_NUMBER) return binary_numbers(op, a->number, b->number, result, error);
    if (a->kind == VALUE_FLAG && b->kind == VALUE_FLAG && (op == AST_AND || op == AST_OR)) {
        *result = value_flag(op == AST_AND ? a->flag && b->flag : a->flag || b->flag);
        return true;
    }
    if (a->kind == b->kind && (op == AST_EQ || op == AST_NE)) {
        *result = value_flag(values_equal(a, b) == (op == AST_EQ));
        return true;
    }
    *error = op == AST_AND || op == AST_OR  ? "`&&` and `||` join flags"
             : op == AST_EQ || op == AST_NE ? "only values of the same kind can be compared"
                                            : "only numbers can be calculated with";
    return false;
}

bool value_unary(AstOperator op, const Value *a, Value *result, const char **error)
{
    if (op == AST_NEG && a->kind == VALUE_NUMBER) {
        *result = value_number(number_negate(a->number));
        return true;
    }
    if (op == AST_NOT && a->kind == VALUE_FLAG) {
        *result = value_flag(!a->flag);
        return true;
    }
    *error = op == AST_NEG ? "`-` takes a number" : "`!` takes a flag";
    return false;
}

static Number exact_root(double root, Number a)
{
    int64_t whole;
    if (a.exact && a.denominator == 1 && number_is_integer(number_real(root), &whole) && whole < INT64_C(2000000000) &&
        whole * whole == a.numerator) {
        Number exact = number_int(whole);
        exact.decimal = true;
        return exact;
    }
    return number_real(root);
}

bool value_apply(Function function, int count, const Value *arguments, Value *result, const char **error)
{
    if (function == FN_WHERE) {
        if (arguments[0].kind != VALUE_FLAG) {
            *error = "the first argument of where is a flag";
            return false;
        }
        *result = arguments[arguments[0].flag ? 1 : 2];
        return true;
    }
    for (int k = 0; k < count; k++)
        if (arguments[k].kind != VALUE_NUMBER) {
            *error = "element functions take numbers";
            return false;
        }
    Number a = arguments[0].number, b = count > 1 ? arguments[1].number : number_int(0);
    int64_t exponent;
    Number power;
    switch ((int)function) { /* the exact ones; the others in double */
    case FN_MIN:
    case FN_MAX:
        *result = value_number((number_compare(a, b) <= 0) == (function == FN_MIN) ? a : b);
        result->number.decimal = a.decimal || b.decimal;
        return true;
    case FN_ABS:
        *result = value_number(number_compare(a, number_int(0)) < 0 ? number_negate(a) : a);
        return true;
    case FN_FLOOR:
        *result = value_number(number_floor(a));
        return true;
    case FN_SQRT:
        *result = value_number(exact_root(function_evaluate(FN_SQRT, number_double(a), 0, 0), a));
        return true;
    case FN_POW:
        if (number_is_integer(b, &exponent) && number_power(a, exponent, &power)) {
            *result = value_number(power);
            return true;
        }
        break;
    default:
        break;
    }
    double value = function_evaluate(function, number_double(a), number_double(b), 0);
    if (function == FN_ROUND && fabs(value) < 9007199254740992.0)
        *result = value_int((int64_t)value);
    else
        *result = value_number(number_real(value));
    return true;
}

bool value_element(Arena *arena, const Value *list, const Value *index, Value *result, const char **error)
{
    int64_t k;
    if (index->kind != VALUE_NUMBER || !number_is_integer(index->number, &k)) {
        *error = "a list takes one whole number as subscript";
        return false;
    }
    if (k < 0 || k >= list->count) {
        *error = arena_printf(arena, "element %" PRId64 " of a list of %d", k, list->count);
        return false;
    }
    *result = list->items[k];
    return true;
}
