"""An ONNX graph as a function of JAX arrays: what XLA is given to compile. Integer tensors whose values are known stay numpy arrays, since shapes,
axes and slices must be known when tracing; an operator without a row in OPERATORS is an error naming it."""
import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import numpy_helper


def known(*values):
    return all(value is None or isinstance(value, (np.ndarray, np.generic)) for value in values)


def of(*values):
    """numpy for what is known, else jax.numpy."""
    return np if known(*values) else jnp


def ints(value):
    return [int(v) for v in np.atleast_1d(np.asarray(value))]


def axes_of(inputs, attributes, position):
    if len(inputs) > position and inputs[position] is not None:
        return tuple(ints(inputs[position]))
    axes = attributes.get('axes')
    return tuple(axes) if axes is not None else None


def gemm(i, a):
    x, w = (i[0].T if a.get('transA') else i[0]), (i[1].T if a.get('transB') else i[1])
    y = a.get('alpha', 1.0) * (x @ w)
    return y if len(i) < 3 else y + a.get('beta', 1.0) * i[2]


def windows(a, rank):
    pads = a.get('pads', [0] * (2 * rank))
    return dict(strides=a.get('strides', [1] * rank), padding=list(zip(pads[:rank], pads[rank:])), dilation=a.get('dilations', [1] * rank))


def conv(i, a):
    rank = i[1].ndim - 2
    w = windows(a, rank)
    y = jax.lax.conv_general_dilated(i[0], jnp.asarray(i[1]), w['strides'], w['padding'], rhs_dilation=w['dilation'], feature_group_count=a.get('group', 1))
    return y if len(i) < 3 or i[2] is None else y + i[2].reshape((-1,) + (1,) * rank)


def pool(reduce, start):
    def run(i, a):
        rank = len(a['kernel_shape'])
        w = windows(a, rank)
        around = dict(window_dimensions=(1, 1, *a['kernel_shape']), window_strides=(1, 1, *w['strides']), padding=((0, 0), (0, 0), *w['padding']))
        y = jax.lax.reduce_window(i[0], start, reduce, **around)
        if reduce is jax.lax.max:
            return y
        if a.get('count_include_pad') or not any(p for pair in w['padding'] for p in pair):
            return y / np.prod(a['kernel_shape'])
        return y / jax.lax.reduce_window(jnp.ones_like(i[0]), start, reduce, **around)
    return run


def layer_norm(i, a):
    axes = tuple(range(a.get('axis', -1) % i[0].ndim, i[0].ndim))
    centred = i[0] - i[0].mean(axes, keepdims=True)
    y = centred * jax.lax.rsqrt((centred * centred).mean(axes, keepdims=True) + a.get('epsilon', 1e-5)) * i[1]
    return y if len(i) < 3 or i[2] is None else y + i[2]


def group_norm(i, a):
    x, groups = i[0], a['num_groups']
    y = x.reshape(x.shape[0], groups, -1)
    y = y - y.mean(-1, keepdims=True)
    y = (y * jax.lax.rsqrt((y * y).mean(-1, keepdims=True) + a.get('epsilon', 1e-5))).reshape(x.shape)
    shape = (-1,) + (1,) * (x.ndim - 2)
    return y * i[1].reshape(shape) + i[2].reshape(shape)


def batch_norm(i, a):
    shape = (-1,) + (1,) * (i[0].ndim - 2)
    x, scale, bias, mean, variance = i[0], *(v.reshape(shape) for v in i[1:5])
    return (x - mean) * (scale / np.sqrt(variance + a.get('epsilon', 1e-5)) if known(scale, variance) else scale * jax.lax.rsqrt(variance + a.get('epsilon', 1e-5))) + bias


def split(i, a):
    axis = a.get('axis', 0)
    if len(i) > 1 and i[1] is not None:
        return of(i[0]).split(i[0], np.cumsum(ints(i[1]))[:-1], axis)
    return of(i[0]).split(i[0], a['num_outputs'], axis)


def slices(i, a):
    starts, ends = (ints(v) for v in i[1:3])
    axes = ints(i[3]) if len(i) > 3 and i[3] is not None else range(len(starts))
    steps = ints(i[4]) if len(i) > 4 and i[4] is not None else [1] * len(starts)
    where = [slice(None)] * i[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        where[axis] = slice(start, None if step < 0 and end < -i[0].shape[axis] else end, step)
    return i[0][tuple(where)]


def reshape(i, a):
    shape = [i[0].shape[k] if n == 0 and not a.get('allowzero') else n for k, n in enumerate(ints(i[1]))]
    return i[0].reshape(shape)


def pad(i, a):
    pads = ints(i[1])
    value = float(np.asarray(i[2])) if len(i) > 2 and i[2] is not None and np.asarray(i[2]).size else 0
    axes = ints(i[3]) if len(i) > 3 and i[3] is not None else range(i[0].ndim)
    widths = [(0, 0)] * i[0].ndim
    for k, axis in enumerate(axes):
        widths[axis] = (pads[k], pads[k + len(pads) // 2])
    mode = a.get('mode', b'constant').decode()
    return jnp.pad(i[0], widths, constant_values=value) if mode == 'constant' else jnp.pad(i[0], widths, mode={'wrap': 'wrap', 'edge': 'edge', 'reflect': 'reflect'}[mode])


def unsqueeze(i, a):
    return of(i[0]).expand_dims(i[0], axes_of(i, a, 1))


def expand(i, a):
    return of(i[0]).broadcast_to(i[0], np.broadcast_shapes(i[0].shape, tuple(ints(i[1]))))


def reduced(name):
    def run(i, a):
        return getattr(of(i[0]), name)(i[0], axis=axes_of(i, a, 1), keepdims=bool(a.get('keepdims', 1)))
    return run


def element(name):
    return lambda i, a: getattr(of(*i), name)(*i)


def minimum(name):
    def run(i, a):
        result = i[0]
        for other in i[1:]:
            result = getattr(of(result, other), name)(result, other)
        return result
    return run


def divide(i, a):
    if np.issubdtype(i[0].dtype, np.integer):
        return i[0] // i[1]
    return i[0] / i[1]


def clip(i, a):
    low, high = (i[k] if len(i) > k else None for k in (1, 2))
    return jnp.clip(i[0], low, high)


def gather_elements(i, a):
    return jnp.take_along_axis(i[0], i[1], a.get('axis', 0))


def cast(i, a):
    return i[0].astype(onnx.helper.tensor_dtype_to_np_dtype(a['to']))


def gelu(i, a):
    return jax.nn.gelu(i[0], approximate=a.get('approximate', b'none') == b'tanh')


OPERATORS = {
    'Add': lambda i, a: i[0] + i[1], 'Sub': lambda i, a: i[0] - i[1], 'Mul': lambda i, a: i[0] * i[1], 'Div': divide, 'Neg': lambda i, a: -i[0],
    'Pow': lambda i, a: i[0] ** (i[1].astype(i[0].dtype) if hasattr(i[1], 'astype') else i[1]), 'Sqrt': element('sqrt'), 'Exp': element('exp'), 'Log': element('log'),
    'Sin': element('sin'), 'Cos': element('cos'), 'Tanh': element('tanh'), 'Abs': element('abs'), 'Floor': element('floor'), 'Mod': element('mod'),
    'Reciprocal': lambda i, a: 1 / i[0], 'Erf': lambda i, a: jax.lax.erf(i[0]), 'Sigmoid': lambda i, a: jax.nn.sigmoid(i[0]), 'Relu': lambda i, a: jnp.maximum(i[0], 0),
    'HardSigmoid': lambda i, a: jnp.clip(i[0] * a.get('alpha', 0.2) + a.get('beta', 0.5), 0, 1), 'Softplus': lambda i, a: jax.nn.softplus(i[0]), 'Gelu': gelu,
    'Max': minimum('maximum'), 'Min': minimum('minimum'), 'Clip': clip, 'Where': element('where'), 'Equal': element('equal'), 'Less': element('less'),
    'Greater': element('greater'), 'LessOrEqual': element('less_equal'), 'GreaterOrEqual': element('greater_equal'), 'And': element('logical_and'),
    'Or': element('logical_or'), 'Not': element('logical_not'),
    'MatMul': lambda i, a: i[0] @ i[1], 'Gemm': gemm, 'Einsum': lambda i, a: jnp.einsum(a['equation'].decode(), *i), 'Conv': conv,
    'MaxPool': pool(jax.lax.max, -np.inf), 'AveragePool': pool(jax.lax.add, 0.0), 'GlobalAveragePool': lambda i, a: i[0].mean(tuple(range(2, i[0].ndim)), keepdims=True),
    'LayerNormalization': layer_norm, 'GroupNormalization': group_norm, 'BatchNormalization': batch_norm,
    'Softmax': lambda i, a: jax.nn.softmax(i[0], a.get('axis', -1)), 'LogSoftmax': lambda i, a: jax.nn.log_softmax(i[0], a.get('axis', -1)),
    'ReduceMean': reduced('mean'), 'ReduceSum': reduced('sum'), 'ReduceMax': reduced('max'), 'ReduceMin': reduced('min'), 'ReduceProd': reduced('prod'),
    'CumSum': lambda i, a: jnp.cumsum(i[0], ints(i[1])[0]),
    'Transpose': lambda i, a: of(i[0]).transpose(i[0], a.get('perm')), 'Reshape': reshape, 'Flatten': lambda i, a: i[0].reshape(int(np.prod(i[0].shape[:a.get('axis', 1)])), -1),
    'Concat': lambda i, a: of(*i).concatenate(i, a['axis']), 'Split': split, 'Slice': slices, 'Gather': lambda i, a: of(*i).take(i[0], i[1], a.get('axis', 0)),
    'GatherElements': gather_elements, 'Expand': expand, 'Tile': lambda i, a: of(i[0]).tile(i[0], ints(i[1])), 'Pad': pad, 'Unsqueeze': unsqueeze,
    'Squeeze': lambda i, a: of(i[0]).squeeze(i[0], axes_of(i, a, 1)), 'Shape': lambda i, a: np.array(i[0].shape, np.int64), 'Cast': cast,
    'Identity': lambda i, a: i[0], 'Dropout': lambda i, a: i[0], 'ConstantOfShape': lambda i, a: np.full(ints(i[0]), a['value'][0] if 'value' in a else np.float32(0)),
    'Range': lambda i, a: np.arange(*(np.asarray(v).item() for v in i)), 'Trilu': lambda i, a: (of(i[0]).triu if a.get('upper', 1) else of(i[0]).tril)(i[0], int(i[1]) if len(i) > 1 else 0),
}


def attribute(value):
    found = onnx.helper.get_attribute_value(value)
    return numpy_helper.to_array(found) if isinstance(found, onnx.TensorProto) else found


def load(path):
    """Returns (function(weights, *inputs) -> outputs, weights): the large floats are weights, arguments of the compiled function."""
    graph = onnx.load(path).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    weights = {name: value for name, value in constants.items() if value.dtype == np.float32 and value.size > 64}
    constants = {name: value for name, value in constants.items() if name not in weights}

    def function(weights, *inputs):
        values = {'': None, **constants, **weights, **dict(zip((i.name for i in graph.input), inputs))}
        for node in graph.node:
            attributes = {a.name: attribute(a) for a in node.attribute}
            if node.op_type == 'Constant':
                result = next(np.asarray(v) for v in attributes.values())
            elif node.op_type in OPERATORS:
                result = OPERATORS[node.op_type]([values[name] for name in node.input], attributes)
            else:
                raise NotImplementedError(f'ONNX operator {node.op_type}')
            for name, value in zip(node.output, result if isinstance(result, (list, tuple)) else [result]):
                values[name] = value
        return [values[o.name] for o in graph.output]

    return function, weights
