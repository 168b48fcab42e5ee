/* Generator of random models. Every statement makes one tensor from earlier ones. The choices drawn don't depend on sizes, so capping the
 * sizes keeps the structure. Values stay near 1, and nothing discontinuous is computed from rounded values: a correct compiler
 * agrees with the reference to a few float32 ulps times the depth. */
#include "generate.h"

#include "support/text.h"

#include <string.h>

enum { MAX_DIMS = 4, MAX_TENSORS = 64, LIMIT = 6000 };

typedef struct {
    char name[16];
    int rank, dims[MAX_DIMS];
    int statement; /* -1: an input */
} Value;

typedef struct {
    Arena *arena;
    const RandomModel *request;
    uint64_t state;
    Text body;
    Value values[MAX_TENSORS];
    int count;
    int statement;
    bool dead[MAX_STATEMENTS];
    Text outputs;
    int parameter;
} Generator;

uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static int draw(Generator *g, int limit)
{
    return (int)(random_next(&g->state) % (uint64_t)limit);
}

static int draw_size(Generator *g)
{
    static const int sizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 16, 17, 19, 24, 29, 31, 32, 33, 48, 65};
    int size = sizes[draw(g, sizeof sizes / sizeof sizes[0])];
    return g->request->largest && size > g->request->largest ? g->request->largest : size;
}

static int elements(const Value *v)
{
    int n = 1;
    for (int i = 0; i < v->rank; i++) n *= v->dims[i];
    return n;
}

/* A tensor of the wanted rank (0: any); NULL when there is none. Draws once. */
static Value *pick(Generator *g, int rank)
{
    int start = draw(g, 1 << 20), total = g->count;
    /* Later tensors are likelier: models grow deep. */
    for (int pass = 0; pass < 2; pass++) {
        for (int k = 0; k < total; k++) {
            int window = pass == 0 && total > 4 ? 4 : total;
            int i = total - 1 - (start + k) % window;
            if (k >= window) break;
            if (rank == 0 ? g->values[i].rank > 0 : g->values[i].rank == rank) return &g->values[i];
        }
    }
    return NULL;
}

static Value *same_shape(Generator *g, const Value *like)
{
    int start = draw(g, 1 << 20);
    for (int k = 0; k < g->count; k++) {
        Value *v = &g->values[(start + k) % g->count];
        if (v->rank == like->rank && memcmp(v->dims, like->dims, sizeof(int) * (size_t)like->rank) == 0 && v != like) return v;
    }
    return NULL;
}

/* The statement's result: declared now, its name is known before its text is written. */
static Value result(Generator *g, int rank, int a, int b, int c, int d)
{
    Value v = {.rank = rank, .dims = {a, b, c, d}, .statement = g->statement};
    Text name = text_new(g->arena);
    text_printf(&name, "t%d", g->statement);
    strncpy(v.name, text_string(&name), sizeof v.name - 1);
    return v;
}

static const char *parameter(Generator *g)
{
    return arena_printf(g->arena, "w%d.%d", g->statement, g->parameter++);
}

/* "i, j, k" for a rank, from a list of letters. */
static const char *indices(Generator *g, int rank)
{
    static const char *const lists[] = {"", "i", "i, j", "i, j, k", "i, j, k, l"};
    (void)g;
    return lists[rank];
}

#define EMIT(...) text_printf(&g->body, __VA_ARGS__)

static bool op_dense(Generator *g, Value *out)
{
    Value *x = pick(g, 0);
    int m = draw_size(g), bias = draw(g, 2);
    if (!x || elements(x) / x->dims[x->rank - 1] * m > LIMIT) return false;
    const char *w = parameter(g), *b = parameter(g);
    EMIT("  param %s[%d, %d]\n", w, m, x->dims[x->rank - 1]);
    if (bias) EMIT("  param %s[%d] ~ zeros\n", b, m);
    *out = result(g, x->rank, x->dims[0], x->dims[1], x->dims[2], x->dims[3]);
    out->dims[x->rank - 1] = m;
    EMIT("  %s[.., m] = sum[k](%s[.., k] * %s[m, k])", out->name, x->name, w);
    if (bias) EMIT(" + %s[m]", b);
    EMIT("\n");
    return true;
}

static bool op_tokens(Generator *g, Value *out)
{
    Value *x = pick(g, 2);
    int n = draw_size(g), causal = draw(g, 4) == 0, toeplitz = draw(g, 5) == 0;
    if (!x || n * x->dims[1] > LIMIT) return false;
    const char *w = parameter(g), *b = parameter(g);
    int rows = x->dims[0];
    *out = result(g, 2, n, x->dims[1], 0, 0);
    EMIT("  param %s[%d] ~ ones\n", b, n);
    if (toeplitz) {
        EMIT("  param %s[%d]\n", w, n + rows - 1);
        EMIT("  %s[i, c] = sum[j](%s[i - j + %d] * %s[j, c]) / %d + %s[i] for i < %d\n", out->name, w, rows - 1, x->name, rows, b, n);
        return true;
    }
    EMIT("  param %s[%d, %d]\n", w, n, rows);
    if (causal) EMIT("  %s[i, c] = sum[j](where(j <= i, %s[i, j], 0) * %s[j, c]) + %s[i]\n", out->name, w, x->name, b);
    else EMIT("  %s[i, c] = sum[j](%s[i, j] * %s[j, c]) + %s[i]\n", out->name, w, x->name, b);
    return true;
}

static bool op_element(Generator *g, Value *out)
{
    static const char *const forms[] = {
        "0.5 * X * (1 + erf(X / sqrt(2)))", "X * sigmoid(X)", "tanh(X)", "sigmoid(X) - 0.5", "exp(-abs(X))", "log1p(abs(X))",
        "sqrt(abs(X) + 0.25)", "sin(X)", "cos(2 * X)", "erf(X)", "X * rsqrt(1 + X * X)", "where(X > 0, X, 0.1 * X)", "pow(abs(X) + 0.5, 1.5) / 3",
        "max(X, 0)", "min(max(X, -1), 1)", "log(1 + exp(-abs(X))) + max(X, 0)", "0.5 * X * (1 + tanh(sqrt(2 / pi) * (X + 0.044715 * X * X * X)))",
        "where(X > 20, X, log1p(exp(min(X, 20))))", "-X", "abs(X)"};
    Value *x = pick(g, 0);
    const char *form = forms[draw(g, sizeof forms / sizeof forms[0])];
    int whole = draw(g, 3) == 0;
    if (!x) return false;
    *out = result(g, x->rank, x->dims[0], x->dims[1], x->dims[2], x->dims[3]);
    const char *read = whole ? x->name : arena_printf(g->arena, "%s[%s]", x->name, indices(g, x->rank));
    if (whole) EMIT("  %s = ", out->name);
    else EMIT("  %s[%s] = ", out->name, indices(g, x->rank));
    for (const char *c = form; *c; c++) {
        if (*c == 'X') text_add(&g->body, read);
        else text_add_bytes(&g->body, c, 1);
    }
    EMIT("\n");
    return true;
}

static bool op_norm(Generator *g, Value *out)
{
    Value *x = pick(g, 0);
    static const char *const blocks[] = {"norm", "norm", "soft", "rms"};
    const char *block = blocks[draw(g, 4)];
    if (!x) return false;
    *out = result(g, x->rank, x->dims[0], x->dims[1], x->dims[2], x->dims[3]);
    EMIT("  %s = %s(%s) @ n%d\n", out->name, block, x->name, g->statement);
    return true;
}

static bool op_residual(Generator *g, Value *out)
{
    Value *x = pick(g, 0);
    int sign = draw(g, 3);
    if (!x) return false;
    Value *y = same_shape(g, x);
    *out = result(g, x->rank, x->dims[0], x->dims[1], x->dims[2], x->dims[3]);
    const char *other = y ? y->name : x->name;
    if (sign == 2) EMIT("  %s = %s * (0.5 + %s)\n", out->name, x->name, other);
    else EMIT("  %s = %s %s 0.5 * %s\n", out->name, x->name, sign ? "-" : "+", other);
    return true;
}

static bool op_slice(Generator *g, Value *out)
{
    Value *x = pick(g, 0);
    int a = draw(g, 64), b = draw(g, 64);
    if (!x) return false;
    int extent = x->dims[x->rank - 1], n = 1 + a % extent, offset = b % (extent - n + 1);
    *out = result(g, x->rank, x->dims[0], x->dims[1], x->dims[2], x->dims[3]);
    out->dims[x->rank - 1] = n;
    EMIT("  %s[.., c] = %s[.., c + %d] for c < %d\n", out->name, x->name, offset, n);
    return true;
}

static bool op_concat(Generator *g, Value *out)
{
    Value *x = pick(g, 0);
    if (!x || 2 * elements(x) > LIMIT) return false;
    Value *y = same_shape(g, x);
    int n = x->dims[x->rank - 1];
    *out = result(g, x->rank, x->dims[0], x->dims[1], x->dims[2], x->dims[3]);
    out->dims[x->rank - 1] = 2 * n;
    EMIT("  %s[.., c] = %s[.., c or %s[.., c - %d]] for c < %d\n", out->name, x->name, y ? y->name : x->name, n, 2 * n);
    return true;
}

static bool op_transpose(Generator *g, Value *out)
{
    static const int orders[][3] = {{1, 0, 2}, {0, 2, 1}, {2, 0, 1}, {2, 1, 0}, {1, 2, 0}};
    int rank = 2 + draw(g, 2);
    const int *order = orders[draw(g, 5)];
    Value *x = pick(g, rank);
    if (!x) return false;
    static const char letters[] = "ijk";
    if (rank == 2) {
        *out = result(g, 2, x->dims[1], x->dims[0], 0, 0);
        EMIT("  %s[i, j] = %s[j, i]\n", out->name, x->name);
        return true;
    }
    *out = result(g, 3, x->dims[order[0]], x->dims[order[1]], x->dims[order[2]], 0);
    EMIT("  %s[%c, %c, %c] = %s[i, j, k]\n", out->name, letters[order[0]], letters[order[1]], letters[order[2]], x->name);
    return true;
}

static int divisor(int n, int choice)
{
    int found[16], count = 0;
    for (int d = 1; d <= n && count < 16; d++)
        if (n % d == 0) found[count++] = d;
    return found[choice % count];
}

static bool op_split(Generator *g, Value *out)
{
    Value *x = pick(g, 0);
    int choice = draw(g, 64);
    if (!x || x->rank >= MAX_DIMS) return false;
    int extent = x->dims[x->rank - 1], d = divisor(extent, choice);
    *out = result(g, x->rank + 1, x->dims[0], x->dims[1], x->dims[2], x->dims[3]);
    out->dims[x->rank - 1] = extent / d;
    out->dims[x->rank] = d;
    EMIT("  %s[.., a, b] = %s[.., a*%d + b] for a < %d, b < %d\n", out->name, x->name, d, extent / d, d);
    return true;
}

static bool op_merge(Generator *g, Value *out)
{
    Value *x = pick(g, 2 + draw(g, 2));
    if (!x) return false;
    int d = x->dims[x->rank - 1];
    *out = result(g, x->rank - 1, x->dims[0], x->dims[1], x->dims[2], 0);
    out->dims[x->rank - 2] = x->dims[x->rank - 2] * d;
    EMIT("  %s[.., a*%d + b] = %s[.., a, b]\n", out->name, d, x->name);
    return true;
}

static bool op_reduce(Generator *g, Value *out)
{
    static const char *const forms[] = {"sum[A](X / E)", "mean[A](X)", "max[A](X)", "min[A](X)", "prod[A](1 + 0.05 * X)", "sqrt(mean[A](X * X) + 0.1)"};
    Value *x = pick(g, 2 + draw(g, 2));
    const char *form = forms[draw(g, 6)];
    int axis = draw(g, 64);
    if (!x) return false;
    axis %= x->rank;
    static const char letters[] = "ijkl";
    *out = result(g, x->rank - 1, 0, 0, 0, 0);
    char left[32] = "", *p = left;
    for (int i = 0, n = 0; i < x->rank; i++) {
        if (i == axis) continue;
        if (n) *p++ = ',', *p++ = ' ';
        *p++ = letters[i];
        out->dims[n++] = x->dims[i];
    }
    EMIT("  %s[%s] = ", out->name, left);
    for (const char *c = form; *c; c++) {
        if (*c == 'A') EMIT("%c", letters[axis]);
        else if (*c == 'E') EMIT("%d", x->dims[axis]);
        else if (*c == 'X') EMIT("%s[%s]", x->name, indices(g, x->rank));
        else text_add_bytes(&g->body, c, 1);
    }
    EMIT("\n");
    return true;
}

static bool op_convolution(Generator *g, Value *out)
{
    Value *x = pick(g, 3);
    int o = 1 + draw(g, 9), kernel = 1 + draw(g, 3), stride = 1 + draw(g, 2), pad = draw(g, 2), depthwise = draw(g, 3) == 0;
    if (!x) return false;
    int h = x->dims[1] + 2 * pad - kernel, w = x->dims[2] + 2 * pad - kernel;
    if (h < 0 || w < 0) return false;
    h = h / stride + 1, w = w / stride + 1;
    const char *weight = parameter(g);
    if (depthwise) {
        *out = result(g, 3, x->dims[0], h, w, 0);
        EMIT("  param %s[%d, %d, %d]\n", weight, x->dims[0], kernel, kernel);
        EMIT("  %s[c, i, j] = sum[u, v](%s[c, i*%d + u - %d, j*%d + v - %d or 0] * %s[c, u, v]) for i < %d, j < %d\n", out->name, x->name, stride, pad,
             stride, pad, weight, h, w);
        return true;
    }
    if (o * h * w > LIMIT) return false;
    *out = result(g, 3, o, h, w, 0);
    EMIT("  param %s[%d, %d, %d, %d]\n", weight, o, x->dims[0], kernel, kernel);
    EMIT("  %s[o, i, j] = sum[c, u, v](%s[c, i*%d + u - %d, j*%d + v - %d or 0] * %s[o, c, u, v]) for i < %d, j < %d\n", out->name, x->name, stride, pad, stride,
         pad, weight, h, w);
    return true;
}

static bool op_attention(Generator *g, Value *out)
{
    Value *x = pick(g, 2);
    int choice = draw(g, 64), masked = draw(g, 3) == 0;
    if (!x || x->dims[0] * x->dims[0] > LIMIT) return false;
    int heads = divisor(x->dims[1], choice), d = x->dims[1] / heads, s = g->statement;
    if (heads * x->dims[0] * x->dims[0] > 4 * LIMIT) return false;
    *out = result(g, 2, x->dims[0], x->dims[1], 0, 0);
    EMIT("  s%d[h, i, j] = sum[d](%s[i, h*%d + d] * %s[j, h*%d + d]) / %d for h < %d, d < %d\n", s, x->name, d, x->name, d, d, heads, d);
    if (masked) EMIT("  s%d[h, i, j] = where(j <= i, s%d[h, i, j], -inf)\n", s, s);
    EMIT("  a%d = soft(s%d) @ .\n", s, s);
    EMIT("  %s[i, h*%d + d] = sum[j](a%d[h, i, j] * %s[j, h*%d + d]) for d < %d\n", out->name, d, s, x->name, d, d);
    return true;
}

static bool op_embed(Generator *g, Value *out)
{
    int d = draw_size(g);
    const char *table = parameter(g);
    int n = g->request->largest && g->request->largest < 9 ? g->request->largest : 9;
    *out = result(g, 2, n, d, 0, 0);
    EMIT("  param %s[23, %d] ~ normal(0, 1)\n", table, d);
    EMIT("  %s[i, d] = %s[ids[i], d]\n", out->name, table);
    return true;
}

static bool op_roll(Generator *g, Value *out)
{
    Value *x = pick(g, 2);
    int shift = draw(g, 7);
    if (!x) return false;
    *out = result(g, 2, x->dims[0], x->dims[1], 0, 0);
    EMIT("  %s[i, j] = %s[(i + %d) %% %d, (j - %d) %% %d] * cos(0.1 * i * j) for i < %d, j < %d\n", out->name, x->name, shift, x->dims[0],
         shift, x->dims[1], x->dims[0], x->dims[1]);
    return true;
}

static bool op_repeat(Generator *g, Value *out)
{
    Value *x = pick(g, 2);
    int turns = 1 + draw(g, 4), s = g->statement, hidden = draw_size(g);
    if (!x || x->dims[0] * hidden > LIMIT) return false;
    *out = result(g, 2, x->dims[0], x->dims[1], 0, 0);
    EMIT("  %s = %s\n", out->name, x->name);
    EMIT("  repeat l < %d { %s = layer(%s, %d) @ r%d[l] }\n", turns, out->name, out->name, hidden, s);
    return true;
}

static bool op_recurrence(Generator *g, Value *out)
{
    Value *x = pick(g, 2);
    int s = g->statement;
    if (!x || x->dims[0] > 33) return false;
    const char *u = parameter(g), *h0 = parameter(g);
    int d = x->dims[1];
    *out = result(g, 2, x->dims[0], d, 0, 0);
    EMIT("  param %s[%d, %d]\n  param %s[%d]\n  h%d = %s\n", u, d, d, h0, d, s, h0);
    EMIT("  repeat t < %d {\n    xt%d[d] = %s[t, d]\n    h%d[d] = tanh(xt%d[d] + sum[e](%s[d, e] * h%d[e]))\n    %s[t, d] = h%d[d]\n  }\n", x->dims[0], s, x->name, s, s,
         u, s, out->name, s);
    return true;
}

static bool op_pool(Generator *g, Value *out)
{
    Value *x = pick(g, 0);
    int stride = 1 + draw(g, 3), maximum = draw(g, 2);
    if (!x) return false;
    int extent = x->dims[x->rank - 1], n = extent / stride;
    if (n < 1) return false;
    *out = result(g, x->rank, x->dims[0], x->dims[1], x->dims[2], x->dims[3]);
    out->dims[x->rank - 1] = n;
    EMIT("  %s[.., i] = %s[u](%s[.., i*%d + u]) for i < %d, u < %d\n", out->name, maximum ? "max" : "mean", x->name, stride, n, stride);
    return true;
}

static bool op_pair(Generator *g, Value *out)
{
    Value *x = pick(g, 0);
    int s = g->statement, gate = draw(g, 2);
    if (!x || x->dims[x->rank - 1] % 2) return false;
    *out = result(g, x->rank, x->dims[0], x->dims[1], x->dims[2], x->dims[3]);
    out->dims[x->rank - 1] /= 2;
    EMIT("  u%d, v%d = halves(%s)\n", s, s, x->name);
    if (gate) EMIT("  %s = u%d * (v%d + 1)\n", out->name, s, s);
    else EMIT("  %s[%s] = swish(u%d[%s]) * v%d[%s]\n", out->name, indices(g, x->rank), s, indices(g, x->rank), s, indices(g, x->rank));
    return true;
}

static bool op_batched(Generator *g, Value *out)
{
    Value *x = pick(g, 3);
    int form = draw(g, 3);
    if (!x) return false;
    int b = x->dims[0], n = x->dims[1], d = x->dims[2];
    if (b * n * n > LIMIT || b * d * d > LIMIT) return false;
    const char *w = parameter(g);
    if (form == 0) {
        *out = result(g, 3, b, n, n, 0);
        EMIT("  %s[b, i, j] = sum[k](%s[b, i, k] * %s[b, j, k]) / %d\n", out->name, x->name, x->name, d);
    } else if (form == 1) {
        *out = result(g, 3, b, d, d, 0);
        EMIT("  %s[b, i, j] = sum[k](%s[b, k, i] * %s[b, k, j]) / %d\n", out->name, x->name, x->name, n);
    } else {
        int m = 1 + n % 5;
        *out = result(g, 2, b, m, 0, 0);
        EMIT("  param %s[%d, %d, %d]\n  %s[b, m] = sum[i, k](%s[b, i, k] * %s[m, i, k])\n", w, m, n, d, out->name, x->name, w);
    }
    return true;
}

typedef bool Operation(Generator *g, Value *out);
static Operation *const operations[] = {op_dense, op_dense, op_dense, op_tokens, op_tokens, op_element, op_element, op_norm, op_norm, op_residual, op_residual, op_slice,
                                        op_concat, op_transpose, op_split, op_merge, op_reduce, op_convolution, op_attention, op_embed, op_roll, op_repeat,
                                        op_recurrence, op_pool, op_pair, op_batched};

static const char prelude[] =
    "block soft(x[.., C]) -> [.., C] {\n  m[..] = max[c](x[.., c])\n  e[.., c] = exp(x[.., c] - m[..])\n  z[..] = sum[c](e[.., c])\n"
    "  y[.., c] = e[.., c] / z[..]\n  return y\n}\n"
    "block norm(x[.., C]) -> [.., C] {\n  param weight[C] ~ ones\n  param bias[C] ~ zeros\n  mu[..] = mean[c](x[.., c])\n"
    "  var[..] = mean[c]((x[.., c] - mu[..]) * (x[.., c] - mu[..]))\n  y[.., c] = (x[.., c] - mu[..]) * rsqrt(var[..] + 0.1) * weight[c] + bias[c]\n  return y\n}\n"
    "block rms(x[.., C]) -> [.., C] {\n  param weight[C] ~ ones\n  s[..] = rsqrt(mean[c](x[.., c] * x[.., c]) + 0.1)\n  y[.., c] = x[.., c] * s[..] * weight[c]\n  return y\n}\n"
    "block dense(x[.., K], M) -> [.., M] {\n  param weight[M, K]\n  param bias[M] ~ zeros\n  y[.., m] = sum[k](x[.., k] * weight[m, k]) + bias[m]\n  return y\n}\n"
    "block layer(x[N, C], H) -> [N, C] {\n  h = norm(x) @ norm |> dense(H) @ fc1\n  h = tanh(h)\n  return x + dense(h, C) @ fc2\n}\n"
    "block halves(x[.., C]) -> [.., C/2], [.., C/2] {\n  u[.., c] = x[.., c] for c < C/2\n  v[.., c] = x[.., c + C/2] for c < C/2\n  return u, v\n}\n"
    "block swish(x[..]) -> [..] {\n  return x * sigmoid(x)\n}\n";

static bool reads(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *p = text; (p = strstr(p, name)); p += length)
        if (p[length] < '0' || p[length] > '9') return true;
    return false;
}

const char *random_model_text(Arena *arena, const RandomModel *model, int *statements)
{
    Generator generator = {.arena = arena, .request = model, .state = model->seed * 2654435761u + 12345}, *g = &generator;
    Text head = text_new(arena);
    g->outputs = text_new(arena);
    int inputs = 1 + draw(g, 2), total = 3 + draw(g, MAX_STATEMENTS - 6);
    text_printf(&head, "%s\nmodel random() {\n", prelude);
    for (int i = 0; i < inputs; i++) {
        Value v = {.rank = 2 + draw(g, 2), .statement = -1};
        for (int k = 0; k < 3; k++) v.dims[k] = draw_size(g);
        if (v.rank == 3)
            while (elements(&v) > LIMIT) v.dims[2] = (v.dims[2] + 1) / 2, v.dims[1] = (v.dims[1] + 1) / 2;
        v.name[0] = 'x', v.name[1] = (char)('0' + i);
        if (v.rank == 2) text_printf(&head, "  input %s[%d, %d]\n", v.name, v.dims[0], v.dims[1]);
        else text_printf(&head, "  input %s[%d, %d, %d]\n", v.name, v.dims[0], v.dims[1], v.dims[2]);
        g->values[g->count++] = v;
    }
    int last = -1;
    const char *texts[MAX_STATEMENTS] = {0};
    for (int s = 0; s < total; s++) {
        g->statement = s;
        g->parameter = 0;
        Operation *operation = operations[draw(g, sizeof operations / sizeof operations[0])];
        uint64_t after = g->state + 0x1234567; /* each statement draws from its own stream, so failures of one don't move the others */
        Value out;
        g->body = text_new(arena);
        bool made = operation(g, &out);
        if (!made) {
            g->body = text_new(arena);
            g->parameter = 0;
            made = op_element(g, &out);
        }
        g->state = after;
        if (!made) continue;
        const char *text = text_string(&g->body);
        bool dead = model->off[s];
        for (int p = 0; p < s && !dead; p++)
            if (g->dead[p]) dead = reads(text, arena_printf(arena, "t%d", p));
        g->dead[s] = dead;
        g->values[g->count++] = out;
        texts[s] = text;
        if (!dead) last = s;
    }
    *statements = total;
    for (int s = 0; s < total; s++)
        if (texts[s] && !g->dead[s] && strstr(texts[s], "ids[")) {
            int n = model->largest && model->largest < 9 ? model->largest : 9;
            text_printf(&head, "  input ids: i32[%d]\n", n);
            break;
        }
    for (int s = 0; s < total; s++)
        if (texts[s] && !g->dead[s]) text_add(&head, texts[s]);
    for (int i = 0; i < g->count; i++) {
        Value *v = &g->values[i];
        if (v->statement < 0 || g->dead[v->statement]) continue;
        bool used = false;
        for (int s = v->statement + 1; s < total; s++) used |= texts[s] && !g->dead[s] && reads(texts[s], v->name);
        if (!used || v->statement == last) text_printf(&head, "  output y%d = %s\n", v->statement, v->name);
    }
    text_printf(&head, "}\n");
    return last < 0 ? NULL : text_string(&head);
}
