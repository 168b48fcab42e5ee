/* See lines.h. */
#include "schedule/lines.h"

#include "equation/index.h"

static bool moves(const Expr *subscript, const Expr *reduce, const Index *index)
{
    Linear linear;
    if (!index_linear(subscript, &linear) || !linear_coefficient(&linear, index)) return false;
    for (int k = 0; k < reduce->index_count; k++)
        if (linear_coefficient(&linear, reduce->indices[k])) return true;
    return false;
}

static bool windows_move(const Expr *expr, const Expr *reduce, const Index *index)
{
    for (int k = 0; k < expr->count; k++)
        if (expr->kind == EXPR_READ ? moves(expr->args[k], reduce, index) : windows_move(expr->args[k], reduce, index)) return true;
    return false;
}

int window_position(const Equation *equation, const Expr *reduce)
{
    int position = equation->free_count - 2;
    while (position > 0 && !windows_move(reduce->args[0], reduce, equation->free[position])) position--;
    return position;
}

/* --- reads --------------------------------------------------------------------------------------------------------- */
static bool is_outer(const WindowLines *lines, const Equation *equation, const Index *index)
{
    for (int k = 0; k + 1 < equation->free_count; k++)
        if (equation->free[k] == index) return index != lines->row && index != lines->position;
    return false;
}

static bool find_spans(const WindowLines *lines, const Equation *equation, LineRead *line)
{
    line->elements = 1;
    line->row_axis = -1;
    for (int axis = 0; axis < line->read->count - 1; axis++) {
        Linear linear;
        int64_t span = 1;
        index_linear(line->read->args[axis], &linear);
        line->outer[axis] = false;
        for (int k = 0; k < linear.count; k++) {
            const Index *index = linear.indices[k];
            if (linear.coefficients[k] < 0) return false;
            if (is_outer(lines, equation, index)) line->outer[axis] = true;
            else if (index != lines->row) span += linear.coefficients[k] * (index->extent - 1);
            if (index != lines->row) continue;
            if (line->row_axis >= 0) return false;
            line->row_axis = axis;
            line->row_step = linear.coefficients[k];
        }
        if (line->outer[axis] && linear.count > 1) return false;
        line->spans[axis] = line->outer[axis] ? 0 : span;
        if (!line->outer[axis]) line->elements *= span;
    }
    return true;
}

/* Channels alone on the last axis; on the others only a border of one number lies outside. */
static bool add_read(WindowLines *lines, const Equation *equation, const Expr *read)
{
    Linear last;
    const Tensor *tensor = read->tensor;
    LineRead line = {.read = read};
    if (lines->count == MOST_LINE_READS || !find_spans(lines, equation, &line)) return false;
    if (!index_linear(read->args[read->count - 1], &last) || last.count != 1 || last.constant || last.indices[0] != lines->vector) return false;
    for (int axis = 0; axis < read->count; axis++) {
        int64_t low, high;
        if (!index_range(read->args[axis], &low, &high)) return false;
        if (low >= 0 && high < tensor->extents[axis]) continue;
        if (!read->otherwise || line.outer[axis] || axis == read->count - 1) return false;
        line.bordered = true;
    }
    if (read->otherwise && read->otherwise->kind != EXPR_NUMBER) return false;
    for (int k = 0; k < lines->count; k++)
        if (lines->reads[k].read->tensor == tensor) return false;
    lines->reads[lines->count++] = line;
    return true;
}

/* False: some read that varies with the channels can't be copied, or another needs a border. */
static bool find_reads(WindowLines *lines, const Equation *equation, const Expr *expr)
{
    if (expr->kind != EXPR_READ) {
        for (int k = 0; k < expr->count; k++)
            if (!find_reads(lines, equation, expr->args[k])) return false;
        return true;
    }
    bool along = false;
    for (int axis = 0; axis < expr->count; axis++) {
        Linear linear;
        if (!index_linear(expr->args[axis], &linear)) return false;
        along |= linear_coefficient(&linear, lines->vector) != 0;
    }
    return along ? add_read(lines, equation, expr) : !expr->otherwise;
}

/* At most: what leaves room on the stack (loop.h); a block of more channels leaves room for the lines of the tensors at hand, too, in a first cache of
 * 32 to 48 KB. */
enum { MOST_LINE_BYTES = 54 * 1024, MOST_BLOCK_BYTES = 28 * 1024 };

bool window_lines(const Equation *equation, const Expr *reduce, WindowLines *lines)
{
    int position = window_position(equation, reduce);
    *lines = (WindowLines){.reduce = reduce, .vector = equation->free[equation->free_count - 1], .position = equation->free[position], .channels = LINE_CHANNELS};
    for (int k = equation->free_count - 2; k >= 0 && !lines->row; k--)
        if (k != position && windows_move(reduce->args[0], reduce, equation->free[k])) lines->row = equation->free[k];
    if (lines->vector->extent % LINE_CHANNELS != 0 || !find_reads(lines, equation, reduce->args[0]) || lines->count == 0) return false;
    int64_t bytes = 0;
    for (int k = 0; k < lines->count; k++) bytes += lines->reads[k].elements * LINE_CHANNELS * 4;
    for (; lines->channels < MOST_BLOCK_CHANNELS && lines->vector->extent % (lines->channels * 2) == 0 && 2 * bytes <= MOST_BLOCK_BYTES; bytes *= 2) lines->channels *= 2;
    return bytes <= MOST_LINE_BYTES;
}
