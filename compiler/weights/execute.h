/* Runs equations over whole tensors, fast: what packing and bind lines are made of.
 * In: an equation whose operands have views.  Out: its result's elements.  Computes in double, rounds once when it stores.
 * The meaning is that of equation/evaluate.h; the speed comes from evaluating 512 neighbouring results at a time. */
#ifndef GM_WEIGHTS_EXECUTE_H
#define GM_WEIGHTS_EXECUTE_H

#include "equation/equation.h"

typedef enum { VIEW_NONE, VIEW_F32, VIEW_F64, VIEW_I32, VIEW_I64, VIEW_U8 } ViewType;

/* Where a tensor's elements are. */
typedef struct {
    void *base;
    ViewType type;
    int64_t strides[MAX_RANK]; /* in elements */
} View;

View view_dense(ViewType type, void *base, const Tensor *tensor);
int view_type_size(ViewType type);
ViewType view_type_of(ElementType type);

/* views[tensor->id] for every tensor it reads and for its result. Reads outside (they can't happen in a checked module) give 0. */
void execute_equation(const Equation *equation, const View *views);

#endif
