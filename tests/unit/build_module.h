/* Building equations by hand in tests: short names over equation/, on the test's own arena and module. One test program includes it once. */
#ifndef GM_TEST_BUILD_MODULE_H
#define GM_TEST_BUILD_MODULE_H

#include "equation/equation.h"

static const Place NOWHERE = {0};
static Arena *arena;
static Module *module;

/* For cmocka: a new arena for each test. */
static inline int set_up(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static inline Index *ix(const char *name, int64_t extent) { return index_new(module, name, extent, NOWHERE); }
static inline Expr *ei(Index *index) { return expr_index(module, index, NOWHERE); }
static inline Expr *in(int64_t number) { return expr_int(module, number); }
static inline Expr *real(double number) { return expr_number(module, number, false, NOWHERE); }
static inline Expr *f1(Function function, Expr *a) { return expr_apply(module, function, a, NULL, NULL, NOWHERE); }
static inline Expr *f2(Function function, Expr *a, Expr *b) { return expr_apply(module, function, a, b, NULL, NOWHERE); }
static inline Expr *f3(Function function, Expr *a, Expr *b, Expr *c) { return expr_apply(module, function, a, b, c, NOWHERE); }
static inline Expr *add(Expr *a, Expr *b) { return f2(FN_ADD, a, b); }
static inline Expr *mul(Expr *a, Expr *b) { return f2(FN_MUL, a, b); }
static inline Expr *red(Reduction reduction, Index *i, Expr *body) { return expr_reduce(module, reduction, 1, &i, body, NOWHERE); }
static inline Expr *sum(Index *i, Expr *body) { return red(REDUCE_SUM, i, body); }
static inline Expr *rd0(Tensor *t) { return expr_read(module, t, 0, NULL, NULL, NOWHERE); }
static inline Expr *rd1(Tensor *t, Expr *a) { return expr_read(module, t, 1, (Expr *[]){a}, NULL, NOWHERE); }
static inline Expr *rd2(Tensor *t, Expr *a, Expr *b) { return expr_read(module, t, 2, (Expr *[]){a, b}, NULL, NOWHERE); }
static inline Expr *rd3(Tensor *t, Expr *a, Expr *b, Expr *c) { return expr_read(module, t, 3, (Expr *[]){a, b, c}, NULL, NOWHERE); }

#endif
