"""prepare CASE BATCH ENGINE DIRECTORY: makes an engine's artifacts for a case; prints {"candidates": {name: path}, "version", "notes"} as its last line.
A process of its own, so that an engine that crashes or isn't there takes nothing with it."""
import functools
import json
import os
import sys
import traceback

import numpy as np

import cases
import engines


class Job:
    """What an engine's prepare() is given. Files are shared between engines and kept: a second call makes nothing again."""

    host = True

    def __init__(self, case, batch, directory):
        self.case, self.batch, self.directory = case, batch, directory
        self.inputs = case.inputs(batch)
        self.notes = []
        self.thorough = bool(os.environ.get('PEERS_THOROUGH'))

    def path(self, *parts):
        return os.path.join(self.directory, *(part.replace(" ", "-") for part in parts))

    def note(self, text):
        self.notes.append(text)

    def forms(self):
        return ['as published', *self.case.forms]

    @functools.lru_cache(maxsize=1)
    def module(self, form):
        module = self.case.build()
        if form in self.case.forms:
            self.case.forms[form](module)
        return module

    def weights(self):
        """The checkpoint, as safetensors under the module's own names; floats only."""
        path = self.path('weights.safetensors')
        if not os.path.exists(path):
            import safetensors.torch
            tensors = {name: value.detach().clone().contiguous() for name, value in self.module('as published').state_dict().items() if value.is_floating_point()}
            safetensors.torch.save_file(tensors, path)
        return path

    def reference(self):
        """Inputs, and the outputs of the module in double precision."""
        path = self.path('reference.npz')
        if not os.path.exists(path):
            import torch
            values = [torch.from_numpy(v) for v in self.inputs.values()]
            with torch.inference_mode():
                y = self.case.build().double()(*(v.double() if v.is_floating_point() else v for v in values))
            y = y if isinstance(y, (tuple, list)) else [y]
            np.savez(path, **{f'in {name}': value for name, value in self.inputs.items()}, **{f'out {k}': v.numpy() for k, v in enumerate(y)})
        return path

    def onnx(self, form):
        path = self.path(f'onnx-{form.replace(" ", "-")}', 'model.onnx')
        if not os.path.exists(path):
            import torch
            os.makedirs(os.path.dirname(path), exist_ok=True)
            values = tuple(torch.from_numpy(v) for v in self.inputs.values())
            outputs = self.module(form)(*values)
            names = [f'y{k}' for k in range(len(outputs))] if isinstance(outputs, (tuple, list)) else ['y']
            torch.onnx.export(self.module(form), values, path, dynamo=True, opset_version=20, external_data=False, input_names=list(self.inputs), output_names=names,
                              verbose=False)
        return path


def main():
    name, batch, engine, directory = sys.argv[1:5]
    os.makedirs(directory, exist_ok=True)
    answers = os.dup(1)
    os.dup2(2, 1)  # exporters chat on the standard output
    job = Job(cases.find(name), int(batch), directory)
    try:
        if engine == 'reference':
            job.weights()
            answer = {'reference': job.reference()}
        else:
            answer = {'candidates': engines.ENGINES[engine].prepare(job), 'version': engines.ENGINES[engine].versions()}
    except Exception as problem:
        traceback.print_exc()
        answer = {'missing': f'{type(problem).__name__}: {problem}'.splitlines()[0][:200]}
    os.write(answers, (json.dumps({**answer, 'notes': job.notes}) + '\n').encode())


if __name__ == '__main__':
    main()
