/* libxsmm for one product: its kernels over panels of packed weights, since a whole product is more than it makes code for. The bias is left out, in
 * its favour. Dense: y[m, n] = x[m, k] w[n, k]'; tokens: y[m, n] = w[m, k] x[k, n]. libxsmm counts columns first: what is row-major here is transposed there. */
#include <libxsmm.h>

#include <stdlib.h>
#include <string.h>

typedef struct {
    int tokens, height, width;
    long m, k, n;
    const float *x, *panels;
    float *y;
    libxsmm_smmfunction inner, last; /* last: the rows that `height` leaves over */
} Product;

const char *product_version(void) { return LIBXSMM_VERSION; }

static libxsmm_smmfunction kernel(int columns, int rows, int k, int lda, int ldb, int ldc)
{
    const float one = 1, zero = 0;
    const int flags = LIBXSMM_GEMM_FLAG_NONE;
    return libxsmm_smmdispatch(columns, rows, k, &lda, &ldb, &ldc, &one, &zero, &flags, NULL);
}

/* Blocks of height x width outputs. NULL: the sizes don't divide, or the library makes no code. */
void *product_new(int tokens, int height, int width, long m, long k, long n, const float *x, const float *w, float *y)
{
    if (n % width) return NULL;
    if (height > m) height = (int)m;
    Product *p = calloc(1, sizeof *p);
    *p = (Product){.tokens = tokens, .height = height, .width = width, .m = m, .k = k, .n = n, .x = x, .y = y};
    int rest = (int)(m % height);
    if (tokens) { /* the activations are the panels; they lie where they are, the weights are already rows */
        p->panels = w;
        p->inner = kernel(width, height, (int)k, (int)n, (int)k, (int)n);
        p->last = rest ? kernel(width, rest, (int)k, (int)n, (int)k, (int)n) : p->inner;
    } else {
        float *panels = aligned_alloc(64, (size_t)(n * k) * 4);
        for (long j = 0; j < n; j += width)
            for (long i = 0; i < k; i++)
                for (long c = 0; c < width; c++) panels[j * k + i * width + c] = w[(j + c) * k + i];
        p->panels = panels;
        p->inner = kernel(width, height, (int)k, width, (int)k, (int)n);
        p->last = rest ? kernel(width, rest, (int)k, width, (int)k, (int)n) : p->inner;
    }
    return p->inner && p->last ? p : NULL;
}

void product_run(void *product)
{
    const Product *p = product;
    for (long j = 0; j < p->n; j += p->width)
        for (long i = 0; i < p->m; i += p->height) {
            libxsmm_smmfunction run = i + p->height <= p->m ? p->inner : p->last;
            if (p->tokens) run(p->x + j, p->panels + i * p->k, p->y + i * p->n + j);
            else run(p->panels + j * p->k, p->x + i * p->k, p->y + i * p->n + j);
        }
}
