"""The engines: how each one's artifacts are prepared, loaded and run. An artifact is a file or directory that a fresh process needs; an engine may
have several for one model (forms of the model, settings), all of which are measured, so that none is judged by a bad one.

    versions()                            text
    prepare(job) -> {candidate: path}     slow; job has .case, .directory, .batch, .onnx(form), .modules(), .inputs
    load(path, threads, inputs) -> run    run() returns the list of outputs
"""
import ctypes
import json
import os
import subprocess

import numpy as np


def read(path):
    if not os.path.exists(path):
        return ''
    with open(path) as text:
        return text.read()


class Gmlpc:
    """The compiled shared object in the process, its weights read into huge pages."""
    name, title, own = 'gmlpc', 'gmlpc', True
    target = 'all'

    def versions(self):
        cc = subprocess.run(['cc', '--version'], capture_output=True, text=True).stdout.splitlines()[0]
        return f'{subprocess.run([os.environ["GMLPC"], "--version"], capture_output=True, text=True).stdout.split()[1]}, {cc}'

    def prepare(self, job):
        """A shared object to measure, and where the job asks for a host a C program around the model: the smallest deployment."""
        directory = job.path(self.name)
        os.makedirs(directory, exist_ok=True)
        gmlpc, top, at = os.environ['GMLPC'], os.environ['GMLPC_SOURCE'], lambda name: os.path.join(directory, name)
        call = [os.path.join(top, job.case.gm), '--target', self.target, *(['--model', job.case.model] if job.case.model else [])]
        call += [f'--set={name}={value}' for name, value in job.case.sets.items()]
        batch = [f'--batch={job.batch}'] if job.batch > 1 else []
        before = read(at('model.c'))
        subprocess.run([gmlpc, *call, *batch, '-o', at('model.c')], check=True)
        made = ['model.so', *(['model.o', 'first'] if job.host else [])]
        if read(at('model.c')) != before or not all(os.path.exists(at(name)) for name in made):
            self.compile(directory, top, job.host)
        weights = job.weights()
        source = ['--weights', weights, *(['--bind', job.case.bind] if job.case.bind else [])] if weights else ['--random', '1']
        subprocess.run([gmlpc, 'pack', *call, *batch, *source, '-o', at('model.gmw')], check=True)
        with open(at('info.json'), 'w') as out:
            subprocess.run([gmlpc, 'info', '--json', *call], check=True, stdout=out)
        return {'c': directory}

    def compile(self, directory, top, host):
        name = self.entry(directory)
        runtime = [f'{top}/runtime/gm_runtime.c', *(f'{top}/runtime/hosted/{name}.c' for name in ('gm_pool', 'gm_cpu', 'gm_map', 'gm_memory'))]
        cc = ['cc', '-O2', '-std=c11', '-D_GNU_SOURCE', f'-I{top}/runtime', f'-I{top}/runtime/hosted', f'-I{directory}']
        subprocess.run([*cc, '-c', '-fPIC', f'{directory}/model.c', '-o', f'{directory}/model.o'], check=True)
        subprocess.run([*cc, '-fPIC', '-shared', '-pthread', f'{directory}/model.o', *runtime, '-lm', '-o', f'{directory}/model.so'], check=True)
        if host:
            subprocess.run([*cc, f'-DMODEL={name}', '-DHEADER="model.h"', f'{top}/tests/bench/first_answer.c', f'{top}/runtime/gm_runtime.c', f'{top}/runtime/hosted/gm_map.c', f'{top}/runtime/hosted/gm_memory.c',
                            f'{directory}/model.o', '-lm', '-o', f'{directory}/first'], check=True)

    def entry(self, directory):
        return read(f'{directory}/model.h').split('_model(void);')[0].split('*')[-1]

    def load(self, path, threads, inputs):
        class Executor(ctypes.Structure):
            pass

        class Tensor(ctypes.Structure):
            _fields_ = [('name', ctypes.c_char_p), ('type', ctypes.c_int), ('rank', ctypes.c_int), ('extents', ctypes.POINTER(ctypes.c_int64))]

        pointers = ctypes.POINTER(ctypes.c_void_p)

        class Model(ctypes.Structure):
            _fields_ = [('name', ctypes.c_char_p), ('input_count', ctypes.c_int), ('output_count', ctypes.c_int), ('inputs', ctypes.POINTER(Tensor)),
                        ('outputs', ctypes.POINTER(Tensor)), ('arena_bytes', ctypes.c_size_t), ('alignment', ctypes.c_size_t), ('blob_bytes', ctypes.c_size_t),
                        ('selftest_bytes', ctypes.c_size_t), ('weights_bytes', ctypes.c_size_t), ('blob', ctypes.c_void_p),
                        ('bind', ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)),
                        ('run', ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, pointers, pointers)),
                        ('run_on', ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, pointers, pointers)),
                        ('selftest', ctypes.c_void_p), ('form', ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)), ('choose_form', ctypes.c_void_p)]

        class Mapping(ctypes.Structure):
            _fields_ = [('data', ctypes.c_void_p), ('bytes', ctypes.c_size_t), ('loaded', ctypes.c_int), ('error', ctypes.c_char * 160)]

        types = [np.float32, np.int32, np.int64, np.uint8]
        library = ctypes.CDLL(f'{path}/model.so')
        entry = getattr(library, f'{self.entry(path)}_model')
        entry.restype = ctypes.POINTER(Model)
        model = entry().contents
        blob = Mapping()
        if library.gm_load(ctypes.byref(blob), f'{path}/model.gmw'.encode()):
            raise RuntimeError(blob.error.decode())
        weights = np.zeros(model.weights_bytes + 64, np.uint8)
        library.gm_memory_new.restype, library.gm_memory_new.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        arena = library.gm_memory_new(model.arena_bytes + 64)
        status = model.bind(weights.ctypes.data, blob.data, blob.bytes)
        if status:
            raise RuntimeError(f'bind answers {status}')
        shape = lambda tensor: tuple(tensor.extents[axis] for axis in range(tensor.rank))
        given = [np.ascontiguousarray(inputs[model.inputs[i].name.decode()], types[model.inputs[i].type]) for i in range(model.input_count)]
        samples = 1
        if given and given[0].size != int(np.prod(shape(model.inputs[0]))):
            samples = len(given[0])  # compiled for one sample: one run each
        outputs = [np.zeros((samples, *shape(model.outputs[i])), types[model.outputs[i].type]) for i in range(model.output_count)]
        calls = []
        for s in range(samples):
            ins = [(value[s] if samples > 1 else value).ctypes.data for value in given]
            calls.append(((ctypes.c_void_p * len(ins))(*ins), (ctypes.c_void_p * len(outputs))(*(value[s].ctypes.data for value in outputs))))
        pool = None
        if threads > 1:
            library.gm_pool_new.restype = library.gm_pool_executor.restype = ctypes.c_void_p
            library.gm_pool_executor.argtypes = [ctypes.c_void_p]
            pool = library.gm_pool_executor(library.gm_pool_new(threads))
        keep = (blob, weights, given, library)

        def run():
            for ins, outs in calls:
                if pool:
                    model.run_on(weights.ctypes.data, arena, pool, ins, outs)
                else:
                    model.run(weights.ctypes.data, arena, ins, outs)
            return outputs
        run.keep = keep
        run.note = model.form(weights.ctypes.data).decode()
        return run


class GmlpcAvx2(Gmlpc):
    """The same for 256-bit vectors: measured against a peak of its own."""
    name, title, target = 'gmlpc-avx2', 'gmlpc, AVX2 alone', 'avx2'


class OnnxRuntime:
    name, title, package, own = 'onnxruntime', 'ONNX Runtime', 'onnxruntime', False

    def versions(self):
        import onnxruntime
        return onnxruntime.__version__

    def prepare(self, job):
        found = {}
        for form in job.forms():
            found[form] = job.onnx(form)
            fused = job.path(f'onnx-{form}-fused', f'model.onnx')
            try:  # its own offline fusions: attention, skip + norm, bias + GELU
                if not os.path.exists(fused):
                    from onnxruntime.transformers import optimizer
                    kind = {'vit': 'vit', 'swin': 'swin'}.get(job.case.name.split('_')[0], 'bert')
                    os.makedirs(os.path.dirname(fused), exist_ok=True)
                    optimizer.optimize_model(found[form], model_type=kind, opt_level=1).save_model_to_file(fused)
                found[f'{form}, fused offline'] = fused
            except Exception as problem:
                job.note(f'{self.title}: no offline fusion of {form}: {problem}')
        return found

    def load(self, path, threads, inputs):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
        feeds = {i.name: inputs[i.name] for i in session.get_inputs()}
        return lambda: session.run(None, feeds)


class OpenVino:
    name, title, package, own = 'openvino', 'OpenVINO', 'openvino', False

    def versions(self):
        import openvino
        return openvino.__version__.split('-')[0]

    def prepare(self, job):
        import openvino
        found = {}
        for form in job.forms():
            path = job.path(f'openvino-{form}', 'model.xml')
            if not os.path.exists(path):
                openvino.save_model(openvino.convert_model(job.onnx(form)), path, compress_to_fp16=False)
            found[form] = path
        return found

    def load(self, path, threads, inputs):
        import openvino
        core = openvino.Core()
        model = core.compile_model(path, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32', 'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_NUM_THREADS': threads,
                                                 'NUM_STREAMS': 1, 'ENABLE_CPU_PINNING': False})
        request = model.create_infer_request()
        for port in model.inputs:
            request.set_tensor(port, openvino.Tensor(np.ascontiguousarray(inputs[port.get_any_name()]), shared_memory=True))
        outputs = [request.get_output_tensor(k) for k in range(len(model.outputs))]

        def run():
            request.infer()
            return [o.data for o in outputs]
        return run


class Torch:
    name, title, package, own = 'torch', 'PyTorch', 'torch', False

    def versions(self):
        import torch
        return torch.__version__

    def prepare(self, job):
        import torch
        found = {}
        names = list(job.inputs)
        values = tuple(torch.from_numpy(job.inputs[name]) for name in names)
        for form in job.forms():
            base = job.path(f'torch-{form}')
            os.makedirs(base, exist_ok=True)
            module = job.module(form)
            plans = {'eager': lambda path: torch.save(module, path), 'compiled': lambda path: self.compile(torch, module, values, path, {})}
            if job.thorough:
                plans['frozen script'] = lambda path: self.script(torch, module, values, path)
                plans['compiled, max autotune'] = lambda path: self.compile(torch, module, values, path, {'max_autotune': True})
            for plan, make in plans.items():
                path = f'{base}/{plan.replace(" ", "-").replace(",", "")}.{"pt2" if plan.startswith("compiled") else "pt"}'
                try:
                    if not os.path.exists(path):
                        make(path)
                    with open(f'{path}.inputs', 'w') as out:
                        json.dump(names, out)
                    found[f'{form}, {plan}'] = path
                except Exception as problem:
                    job.note(f'{self.title}: {form}, {plan}: {str(problem).strip().splitlines()[:1]}')
        return found

    def script(self, torch, module, values, path):
        with torch.no_grad():
            torch.jit.freeze(torch.jit.trace(module, values, check_trace=False)).save(path)

    def compile(self, torch, module, values, path, options):
        import torch._inductor.config as config
        with torch.no_grad(), config.patch(freezing=True, **options):
            exported = torch.export.export(module, values)
            torch._inductor.aoti_compile_and_package(exported, package_path=path, inductor_configs={'freezing': True, **options})

    def load(self, path, threads, inputs):
        import torch
        torch.set_num_threads(threads)
        with open(f'{path}.inputs') as names:
            values = tuple(torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in json.load(names))
        if path.endswith('.pt2'):
            from torch._inductor import aoti_load_package
            model = aoti_load_package(path)
        elif 'script' in os.path.basename(path):
            with torch.no_grad():
                model = torch.jit.optimize_for_inference(torch.jit.load(path))
        else:
            model = torch.load(path, weights_only=False)

        def run():
            with torch.inference_mode():
                y = model(*values)
            return [v.numpy() for v in (y if isinstance(y, (tuple, list)) else [y])]
        return run


class Jax:
    name, title, package, own = 'jax', 'JAX (XLA)', 'jax', False

    def versions(self):
        import jax
        return jax.__version__

    def prepare(self, job):
        return {form: job.onnx(form) for form in job.forms()}

    def load(self, path, threads, inputs):
        os.environ['JAX_PLATFORMS'] = 'cpu'
        import jax
        import onnx
        import onnx_jax
        function, weights = onnx_jax.load(path)
        values = [jax.numpy.asarray(inputs[i.name]) for i in onnx.load(path, load_external_data=False).graph.input]
        weights = jax.device_put(weights)
        compiled = jax.jit(function).lower(weights, *values).compile()
        return lambda: [np.asarray(y) for y in compiled(weights, *values)]


ENGINES = {engine.name: engine for engine in (Gmlpc(), GmlpcAvx2(), OnnxRuntime(), OpenVino(), Torch(), Jax())}
