"""What every case needs: random weights that hide nothing, the authors' model in float64 and float32, and the files of a case.

A case is a folder of tests/numeric: model.gm is written by hand, the rest by generate.py:
  weights.safetensors or weights.npz    the checkpoint, under the authors' names
  inputs.npz                            by input name
  expected.npz                          by output name, float64: the authors' implementation
  case.json                             versions, --bind, --set, the authors' own float32 error, the tolerance; "wrong_set" are --set
                                        values that must give other numbers
"""
import json
import math
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
torch.set_num_threads(1)


def randomize(module, seed):
    """No scale stays 1 and no bias 0; matrices keep the size of what they multiply."""
    generator = torch.Generator().manual_seed(seed)

    def normal(shape, mean, deviation):
        return mean + deviation * torch.randn(shape, generator=generator, dtype=torch.float64)

    with torch.no_grad():
        for name, value in list(module.named_parameters()) + list(module.named_buffers()):
            last = name.rsplit(".", 1)[-1]
            if not value.is_floating_point() or last == "attn_mask":
                continue
            if last == "running_var":
                new = 0.5 + torch.rand(value.shape, generator=generator, dtype=torch.float64)
            elif name.endswith("gate.proj.bias"):
                new = normal(value.shape, 1.0, 0.3)
            elif last in ("alpha", "gamma", "ls1", "ls2", "scale", "layer_scale_1", "layer_scale_2") or (last == "weight" and value.ndim == 1):
                new = normal(value.shape, 0.9, 0.3)
            elif last in ("cls_token", "dist_token", "reg_token", "pos_embed", "position_embeddings"):
                new = normal(value.shape, 0.0, 0.7)
            elif value.ndim <= 1 or "bias" in last or last == "beta":
                new = normal(value.shape, 0.05, 0.25)
            elif "embedding" in name or "embed.weight" in name:
                new = normal(value.shape, 0.0, 0.8)
            else:
                new = normal(value.shape, 0.0, 1.2 / math.sqrt(value[0].numel()))
            value.copy_(new.to(value.dtype))
    return module.eval()


def rounded(module, dtype):
    """Rounds every weight to what the checkpoint can hold."""
    with torch.no_grad():
        for value in list(module.parameters()) + list(module.buffers()):
            if value.is_floating_point():
                value.copy_(value.to(dtype).to(value.dtype))
    return module


def pixels(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relative_error(ours, theirs):
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max()))


def to_numpy(tensor):
    return tensor.detach().cpu().numpy()


def write_case(name, outputs64, outputs32, inputs, state, versions, *, bind=None, sets=(), form="safetensors", wrong=(), about=""):
    """state: a dict of tensors (safetensors) or arrays (npz), or a bytes object: the authors' own file."""
    folder = ROOT / name
    folder.mkdir(exist_ok=True)
    if not (folder / "model.gm").exists():
        raise SystemExit(f"{name}: no model.gm")
    for old in ("weights.safetensors", "weights.npz"):
        (folder / old).unlink(missing_ok=True)
    if isinstance(state, bytes):
        (folder / "weights.safetensors").write_bytes(state)
    elif form == "safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, folder / "weights.safetensors")
    elif form == "npz":
        np.savez(folder / "weights.npz", **state)
    else:
        np.savez_compressed(folder / "weights.npz", **state)
    outputs64 = {key: to_numpy(value) if torch.is_tensor(value) else value for key, value in outputs64.items()}
    outputs32 = {key: to_numpy(value) if torch.is_tensor(value) else value for key, value in outputs32.items()}
    for key, value in outputs64.items():
        assert np.isfinite(value).all(), f"{name}: {key} is not finite"
    np.savez_compressed(folder / "inputs.npz", **{key: to_numpy(v) if torch.is_tensor(v) else v for key, v in inputs.items()})
    np.savez_compressed(folder / "expected.npz", **outputs64)
    error = max(relative_error(outputs32[key], outputs64[key]) for key in outputs64)
    case = {"about": about, "made_with": versions, "bind": bind, "set": list(sets), "wrong_set": list(wrong),
            "f32_error": error if math.isfinite(error) else None, "tolerance": max(2e-5, 10 * error) if math.isfinite(error) else 2e-5,
            "outputs": {key: {"shape": list(value.shape), "largest": float(np.abs(value).max()),
                              "deviation": float(value.std())} for key, value in outputs64.items()}}
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < 1_000_000, f"{name}: {size} bytes"
    largest = max(entry["largest"] for entry in case["outputs"].values())
    print(f"{name}: f32 error {error:.1e}, largest output {largest:.2f}, {size} bytes", flush=True)


def run_both(module, call):
    """call(module, to) with to(x) putting a floating input into the module's type: outputs in float64, then in float32."""
    with torch.no_grad():
        wide = call(module.double(), lambda x: x.double() if x.is_floating_point() else x)
        narrow = call(module.float(), lambda x: x.float() if x.is_floating_point() else x)
    return wide, narrow
