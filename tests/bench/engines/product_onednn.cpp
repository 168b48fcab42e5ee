/* oneDNN for one product with constant weights, which it may reorder as it likes beforehand: y = x w' + b for x[m, k], w[n, k], or, for tokens,
 * y = w x + b for w[m, k], x[k, n], computed as y' = x' w'. */
#include <dnnl.hpp>

#include <cstdio>

using namespace dnnl;

namespace {
struct Product {
    engine cpu{engine::kind::cpu, 0};
    stream queue{cpu};
    matmul primitive;
    memory source, weights, bias, result;
};
}

extern "C" {

const char *product_version(void)
{
    static char text[32];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

/* packed: weights in the library's own layout. Pointers stay in use. NULL: the library refuses. */
void *product_new(int tokens, int packed, long m, long k, long n, float *x, float *w, float *b, float *y)
{
    using tag = memory::format_tag;
    const auto f32 = memory::data_type::f32;
    try {
        Product *p = new Product;
        long rows = tokens ? n : m, columns = tokens ? m : n;
        memory::desc source({rows, k}, f32, tokens ? tag::ba : tag::ab), plain({k, columns}, f32, tag::ba), any({k, columns}, f32, tag::any);
        memory::desc bias({1, columns}, f32, tag::ab), result({rows, columns}, f32, tokens ? tag::ba : tag::ab);
        primitive_attr attributes;
#if DNNL_VERSION_MAJOR >= 3
        matmul::primitive_desc chosen(p->cpu, source, packed ? any : plain, bias, result, attributes);
#else
        matmul::primitive_desc chosen({source, packed ? any : plain, bias, result}, attributes, p->cpu);
#endif
        p->source = memory(source, p->cpu, x);
        memory given(plain, p->cpu, w);
        p->weights = given;
        if (chosen.weights_desc() != plain) {
            p->weights = memory(chosen.weights_desc(), p->cpu);
            reorder(given, p->weights).execute(p->queue, given, p->weights);
            p->queue.wait();
        }
        p->bias = memory(bias, p->cpu, b);
        p->result = memory(result, p->cpu, y);
        p->primitive = matmul(chosen);
        return p;
    } catch (const error &) {
        return nullptr;
    }
}

void product_run(void *product)
{
    Product *p = static_cast<Product *>(product);
    p->primitive.execute(p->queue, {{DNNL_ARG_SRC, p->source}, {DNNL_ARG_WEIGHTS, p->weights}, {DNNL_ARG_BIAS, p->bias}, {DNNL_ARG_DST, p->result}});
    p->queue.wait();
}
}
