"""kernels: single products and equations, gmlpc beside libraries and engines, all in one process and taking turns. Called by tests/bench/kernels, which says what the
options mean. A library that isn't there is listed with the reason; of several ways to use one, the fastest is shown."""
import argparse
import ctypes
import ctypes.util
import glob
import json
import os
import random
import resource
import subprocess
import sys
import time

import contest
import machine
import report

PRODUCTS = [  # dense is y = x w' + b for x[rows, reduced]; tokens is y = w x + b for x[reduced, columns]
    ('dense', 196, 256, 1536), ('dense', 196, 768, 256), ('tokens', 196, 196, 768), ('dense', 196, 768, 3072), ('dense', 196, 3072, 768), ('tokens', 384, 196, 768),
    ('tokens', 196, 384, 768), ('dense', 197, 384, 1536), ('dense', 197, 384, 1152), ('tokens', 196, 196, 384), ('dense', 49, 768, 3072), ('dense', 128, 384, 1536),
    ('dense', 1568, 256, 1536),
]
LIBRARY = ''.join(f'import "{name}.gm"\n' for name in ('activations', 'attention', 'conv', 'dense', 'norms'))
ACTIVATION = 'input x[196, 1536]\n  output y = {0}(x)'
EQUATIONS = [  # name, model text, torch's counterpart, shapes of inputs, names and shapes of weights
    ('copy with a factor, 196 x 1536', 'input x[196, 1536]\n  output y[i, c] = 0.5 * x[i, c]', lambda f, x: x * 0.5, [(196, 1536)], {}),
    ('GELU, 196 x 1536', ACTIVATION.format('gelu'), lambda f, x: f.gelu(x), [(196, 1536)], {}),
    ('tanh GELU, 196 x 1536', ACTIVATION.format('gelu_tanh'), lambda f, x: f.gelu(x, approximate='tanh'), [(196, 1536)], {}),
    ('SiLU, 196 x 1536', ACTIVATION.format('silu'), lambda f, x: f.silu(x), [(196, 1536)], {}),
    ('softmax, 1182 x 197', 'input x[1182, 197]\n  output y = softmax(x)', lambda f, x: f.softmax(x, -1), [(1182, 197)], {}),
    ('layer norm, 196 x 768', 'input x[196, 768]\n  output y = layernorm(x) @ .', lambda f, x, w, b: f.layer_norm(x, (768,), w, b, 1e-6), [(196, 768)],
     {'weight': (768,), 'bias': (768,)}),
    ('attention, 6 heads of 197 x 64', 'input q[6, 197, 64]\n  input k[6, 197, 64]\n  input v[6, 197, 64]\n  output y = attend(q, k, v)',
     lambda f, q, k, v: f.scaled_dot_product_attention(q[None], k[None], v[None])[0].transpose(0, 1).reshape(197, 384), [(6, 197, 64)] * 3, {}),
    ('convolution 3 x 3, 64 to 64, 56 x 56', 'input x[64, 56, 56]\n  output y = conv(x, 64, 3, PAD = 1) @ .', lambda f, x, w, b: f.conv2d(x[None], w, b, padding=1)[0],
     [(64, 56, 56)], {'weight': (64, 64, 3, 3), 'bias': (64,)}),
    ('depthwise 9 x 9, 768, 32 x 32', 'input x[768, 32, 32]\n  output y = depthwise(x, 9) @ .', lambda f, x, w, b: f.conv2d(x[None], w, b, padding=4, groups=768)[0],
     [(768, 32, 32)], {'weight': (768, 1, 9, 9), 'bias': (768,)}),
]


def parse():
    parser = argparse.ArgumentParser(prog='tests/bench/kernels')
    parser.add_argument('--only', default='', help='a part of the names')
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--calls', type=int, default=5)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--work', required=True)
    parser.add_argument('--results', required=True)
    parser.add_argument('--missing', action='append', default=[])
    parser.add_argument('--report', action='store_true')
    parser.add_argument('--publish', action='store_true')
    return parser.parse_args()


class Way:
    """One way to compute a case: run() leaves the answer in what answer() returns."""

    def __init__(self, engine, name, run, answer=None):
        self.engine, self.name, self.run, self.rows = engine, name, run, []
        self.answer = answer or run
        self.error = None


class Libraries:
    """What there is on this machine; .missing says what there isn't, and why."""

    def __init__(self, work, threads):
        self.work, self.threads, self.missing, self.versions = work, threads, [], {}
        self.openblas = self.cblas('openblas', 'OpenBLAS')
        self.blis = self.cblas('blis', 'BLIS')
        self.onednn = self.built('product_onednn.cpp', 'g++', ['-ldnnl'], 'oneDNN')
        self.libxsmm = self.built('product_libxsmm.c', 'cc', ['-lxsmm', '-lxsmmnoblas', '-lm', '-ldl', '-lpthread'], 'libxsmm')
        self.torch = self.imported('torch', 'PyTorch')
        self.onnxruntime = self.imported('onnxruntime', 'ONNX Runtime')
        self.openvino = self.imported('openvino', 'OpenVINO')
        if self.torch:
            self.torch.set_num_threads(threads)

    def imported(self, package, title):
        try:
            module = __import__(package)
            self.versions[title] = module.__version__
            return module
        except Exception as problem:
            self.missing.append(f'{title}: {problem}')

    def cblas(self, name, title):
        try:
            library = ctypes.CDLL(ctypes.util.find_library(name) or f'lib{name}.so')
            run = library.cblas_sgemm
            i, p = ctypes.c_int, ctypes.c_void_p
            run.argtypes = [i, i, i, i, i, i, ctypes.c_float, p, i, p, i, ctypes.c_float, p, i]
            version = getattr(library, {'openblas': 'openblas_get_config', 'blis': 'bli_info_get_version_str'}[name])
            version.restype = ctypes.c_char_p
            self.versions[title] = version().decode().strip()
            return run
        except (OSError, AttributeError) as problem:
            self.missing.append(f'{title}: {problem}')

    def built(self, source, compiler, libraries, title):
        path = os.path.join(self.work, source.split('.')[0] + '.so')
        call = subprocess.run([compiler, '-O2', '-shared', '-fPIC', os.path.join(contest.HERE, source), *libraries, '-o', path], capture_output=True, text=True)
        if call.returncode:
            self.missing.append(f'{title}: {next((line for line in call.stderr.splitlines() if "error" in line), "does not compile")}')
            return None
        library = ctypes.CDLL(path)
        library.product_version.restype = ctypes.c_char_p
        library.product_new.restype = ctypes.c_void_p
        library.product_run.argtypes = [ctypes.c_void_p]
        self.versions[title] = library.product_version().decode()
        return library


def compiled(name, text, weights, inputs, work, threads):
    """The way of gmlpc: a model of one equation."""
    import numpy as np
    import engines
    directory = os.path.join(work, 'equations', ''.join(c if c.isalnum() else '-' for c in name))
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, 'equation.gm'), 'w') as out:
        out.write(text)
    checkpoint = os.path.join(directory, 'weights.npz')
    np.savez(checkpoint, **weights)

    class Job:
        host, batch = False, 1

        class case:
            gm, sets, bind, model = os.path.join(directory, 'equation.gm'), {}, '', ''
        path = staticmethod(lambda *parts: os.path.join(directory, *parts))
        weights = staticmethod(lambda: checkpoint if weights else None)
    engine = engines.Gmlpc()
    path = engine.prepare(Job)['c']
    with open(os.path.join(path, 'info.json')) as info:
        macs = json.load(info)['macs']
    return Way('gmlpc', 'compiled C', engine.load(path, threads, inputs)), macs


def address(array):
    return array.ctypes.data


def product_ways(have, kind, m, k, n, x, w, b):
    import numpy as np
    y = lambda: np.zeros((m, n), np.float32)
    tokens = kind == 'tokens'
    for title, sgemm in (('OpenBLAS', have.openblas), ('BLIS', have.blis)):
        if not sgemm:
            continue
        turned = np.ascontiguousarray(w.T)
        for name, args in ([('', (111, 111, w, k, x, n))] if tokens else [("x w'", (111, 112, x, k, w, k)), ('weights turned beforehand', (111, 111, x, k, turned, n))]):
            out = y()
            yield Way(title, name, lambda sgemm=sgemm, a=args, out=out: sgemm(101, a[0], a[1], m, n, k, 1.0, address(a[2]), a[3], address(a[4]), a[5], 0.0, address(out), n),
                      lambda out=out: out + (b[:, None] if tokens else b))
    pointers = [ctypes.c_void_p] * 4
    if have.onednn:
        new = have.onednn.product_new
        new.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long, ctypes.c_long, *pointers]
        for packed in (0, 1):
            out = y()
            handle = new(tokens, packed, m, k, n, address(x), address(w), address(b), address(out))
            if handle:
                yield Way('oneDNN', 'packed' if packed else 'plain', lambda h=handle: have.onednn.product_run(h), lambda out=out: out)
    if have.libxsmm and have.threads == 1:
        new = have.libxsmm.product_new
        new.argtypes = [ctypes.c_int] * 3 + [ctypes.c_long] * 3 + pointers[:3]
        for height, width in ((14, 32), (14, 64), (28, 64), (49, 32), (49, 64), (196, 32), (196, 64), (196, 48), (28, 128)):
            out = y()
            handle = new(tokens, height, width, m, k, n, address(x), address(w), address(out))
            if handle:
                yield Way('libxsmm', f'blocks of {height} x {width}', lambda h=handle: have.libxsmm.product_run(h), lambda out=out: out + (b[:, None] if tokens else b))
    if have.torch:
        yield from torch_ways(have.torch, tokens, m, x, w, b)
    yield from graph_ways(have, tokens, m, k, n, x, w, b)


def torch_ways(torch, tokens, m, x, w, b):
    tx, tw, tb = torch.from_numpy(x), torch.from_numpy(w), torch.from_numpy(b)

    def way(name, f):
        def run():
            with torch.inference_mode():
                return f()
        try:
            run()
            return [Way('PyTorch', name, run, lambda: run().numpy())]
        except Exception:
            return []  # an operator of its own that this version lacks
    if tokens:
        yield from way('addmm', lambda: torch.addmm(tb[:, None], tw, tx))
        return
    linear = torch.nn.functional.linear
    yield from way('linear', lambda: linear(tx, tw, tb))
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(tw, m)
        yield from way('oneDNN, packed', lambda: torch.ops.mkldnn._linear_pointwise(tx, packed, tb, 'none', [], ''))
    except Exception:
        pass
    try:
        prepared = torch.ops.mkl._mkl_reorder_linear_weight(tw.to_mkldnn(), m)
        yield from way('MKL, packed', lambda: torch.ops.mkl._mkl_linear(tx, prepared, tw, tb, m))
    except Exception:
        pass


def graph_ways(have, tokens, m, k, n, x, w, b):
    """A graph of one product for the engines."""
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return
    import numpy as np
    constants = [numpy_helper.from_array(w if tokens else np.ascontiguousarray(w.T), 'w'), numpy_helper.from_array(b[:, None] if tokens else b, 'b')]
    nodes = [helper.make_node('MatMul', ['w', 'x'] if tokens else ['x', 'w'], ['p']), helper.make_node('Add', ['p', 'b'], ['y'])]
    graph = helper.make_graph(nodes, 'product', [helper.make_tensor_value_info('x', TensorProto.FLOAT, x.shape)], [helper.make_tensor_value_info('y', TensorProto.FLOAT, (m, n))],
                              constants)
    path = os.path.join(have.work, 'product.onnx')
    with open(path, 'wb') as out:
        out.write(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=9).SerializeToString())
    yield from engine_ways(have, path, {'x': x}, 'MatMul, Add')


def engine_ways(have, path, inputs, name):
    import engines
    for title, engine, there in (('ONNX Runtime', 'onnxruntime', have.onnxruntime), ('OpenVINO', 'openvino', have.openvino)):
        if there:
            run = engines.ENGINES[engine].load(path, have.threads, inputs)
            yield Way(title, name, run, lambda run=run: run()[0])


def exported(have, name, counterpart, inputs, weights):
    """The counterpart as an ONNX file, weights inside, by PyTorch's exporter."""
    torch = have.torch
    path = os.path.join(have.work, ''.join(c if c.isalnum() else '-' for c in name) + '.onnx')

    class Equation(torch.nn.Module):
        def forward(self, *values):
            return counterpart(torch.nn.functional, *values, *(torch.from_numpy(v) for v in weights.values()))
    if not os.path.exists(path):
        torch.onnx.export(Equation().eval(), tuple(torch.from_numpy(v) for v in inputs.values()), path, dynamo=True, opset_version=20, external_data=False, input_names=list(inputs),
                          output_names=['y'], verbose=False)
    return path


def measure(ways, probe, options):
    """Turns in a random order each round; the first call of a turn brings its data near and isn't counted."""
    order = random.Random(0)
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, probe.cores)
    for number in range(options.rounds):
        live = ways
        if number >= 4:
            best = {}
            for way in ways:
                best[way.engine] = min(best.get(way.engine, 1e99), contest.middle(way.rows))
            live = [way for way in ways if contest.middle(way.rows) <= contest.RETIRE * best[way.engine]]
        order.shuffle(live := list(live))
        for way in live:
            way.run()
            before, rows = probe(), []
            way.run()
            for _ in range(options.calls):
                switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
                begin = time.perf_counter()
                way.run()
                passed = (time.perf_counter() - begin) * 1e3
                rows.append([passed, resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches])
            after = probe()
            way.rows += [row + [min(before[0], after[0]), min(before[1], after[1])] for row in rows]
    os.sched_setaffinity(0, allowed)


def check(ways, expected):
    import numpy as np
    for way in ways:
        way.run()
        got = way.answer()
        got = np.asarray(got[0] if isinstance(got, (list, tuple)) else got).reshape(expected.shape)
        way.error = float(np.max(np.abs(got - expected))) / max(1.0, float(np.max(np.abs(expected))))
    return [way for way in ways if way.error < contest.TOLERANCE], [f'{way.engine}, {way.name}: outputs differ by {way.error:.2g}' for way in ways if not way.error < contest.TOLERANCE]


def product(have, kind, m, k, n):
    import numpy as np
    draw = np.random.default_rng(3)
    tokens = kind == 'tokens'
    x = draw.standard_normal((k, n) if tokens else (m, k), dtype=np.float32)
    w = draw.standard_normal((m, k) if tokens else (n, k), dtype=np.float32) / np.float32(k ** 0.5)
    b = draw.standard_normal(m if tokens else n, dtype=np.float32)
    name = f'{kind} {m} x {k} -> {n}'
    text = (f'model m() {{\n  input x[{k}, {n}]\n  param w[{m}, {k}]\n  param b[{m}]\n  output y[i, c] = sum[j](w[i, j] * x[j, c]) + b[i]\n}}\n' if tokens else
            f'model m() {{\n  input x[{m}, {k}]\n  param w[{n}, {k}]\n  param b[{n}]\n  output y[i, c] = sum[j](x[i, j] * w[c, j]) + b[c]\n}}\n')
    ours, macs = compiled(name, text, {'w': w, 'b': b}, {'x': x}, have.work, have.threads)
    wide = (w.astype(np.float64) @ x + b[:, None]) if tokens else (x.astype(np.float64) @ w.T + b)
    return name, macs, [ours, *product_ways(have, kind, m, k, n, x, w, b)], wide


def equation(have, name, text, counterpart, shapes, parameters):
    import numpy as np
    torch = have.torch
    draw = np.random.default_rng(3)
    names = [line.split()[1].split('[')[0] for line in text.splitlines() if line.strip().startswith('input')]
    inputs = {name: draw.standard_normal(shape, dtype=np.float32) for name, shape in zip(names, shapes)}
    weights = {name: draw.standard_normal(shape, dtype=np.float32) / np.float32(np.prod(shape[1:]) ** 0.5) for name, shape in parameters.items()}
    ours, macs = compiled(name, f'{LIBRARY}model m() {{\n  {text}\n}}\n', weights, inputs, have.work, have.threads)
    values = [torch.from_numpy(v) for v in (*inputs.values(), *weights.values())]
    f = torch.nn.functional

    def run(g=counterpart):
        with torch.inference_mode():
            return g(f, *values)
    ways = [ours, Way('PyTorch', 'eager', run, lambda: run().numpy())]
    if 'conv' in name or 'depthwise' in name:
        values_last = [values[0], values[1].contiguous(memory_format=torch.channels_last), values[2]]
        first = values[0][None].contiguous(memory_format=torch.channels_last)

        def last():
            with torch.inference_mode():
                return counterpart(f, first[0], *values_last[1:])
        ways.append(Way('PyTorch', 'channels last', last, lambda: last().contiguous().numpy()))
    try:
        ways += engine_ways(have, exported(have, name, counterpart, inputs, weights), inputs, 'exported')
    except Exception as problem:
        have.missing.append(f'{name}: {type(problem).__name__}: {problem}'.splitlines()[0][:160])
    wide = counterpart(f, *(v.double() for v in values)).numpy()
    return name, macs, ways, wide


def prepare(options):
    """Every case asked for: (title, multiply-adds, ways that compute the right thing, notes)."""
    have = Libraries(options.work, options.threads)
    makers = [(f'{p[0]} {p[1]} x {p[2]} -> {p[3]}', lambda p=p: product(have, *p)) for p in PRODUCTS]
    makers += [(e[0], lambda e=e: equation(have, *e)) for e in EQUATIONS if have.torch]
    for name, make in makers:
        if any(part in name for part in options.only.split(';')):
            name, macs, ways, expected = make()
            ways, notes = check(ways, expected)
            yield name, macs, ways, notes, have


def store(options, name, macs, ways, notes, have):
    data = dict(case=name, title=name, batch=1, threads=options.threads, macs=macs, versions=have.versions, notes=options.missing + have.missing + notes, machine=machine.describe(),
                revision=machine.revision(), measured=time.strftime('%Y-%m-%d %H:%M'),
                rows=[dict(engine=w.engine, candidate=w.name, failed=None, error=w.error, rows=w.rows, first={}) for w in ways])
    with open(os.path.join(options.results, ''.join(c if c.isalnum() else '-' for c in name) + f'-t{options.threads}.json'), 'w') as out:
        json.dump(data, out)
    print(report.lines(data), flush=True)


def begin(options):
    """Threads, before any library looks. Returns the probe."""
    for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'BLIS_NUM_THREADS'):
        os.environ[name] = str(options.threads)
    os.makedirs(options.work, exist_ok=True)
    os.makedirs(options.results, exist_ok=True)
    return machine.Probe(machine.probe(options.work), 0, contest.cores_for(options.threads))


def main():
    options = parse()
    if not options.report and not options.publish:
        probe = begin(options)
        for case in prepare(options):
            measure(case[2], probe, options)
            store(options, *case)
    print(report.write(options.results))
    if options.publish:
        report.publish(options.results, 'kernels')


if __name__ == '__main__':
    main()
