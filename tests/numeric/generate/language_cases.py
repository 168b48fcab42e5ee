"""Cases of language models: gMLP in the forms of g-mlp-pytorch, BERT with everything around it, attention-free transformers."""
from importlib.metadata import version

import numpy as np
import scipy.linalg
import torch
from g_mlp_pytorch import gMLP

from common import randomize, run_both, write_case

TORCH = {"torch": torch.__version__.split("+")[0]}


def ids(seed, count, below):
    return torch.randint(0, below, (count,), generator=torch.Generator().manual_seed(seed))


def normal(seed, shape, mean, deviation):
    return mean + deviation * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gmlp():
    versions = {**TORCH, "g-mlp-pytorch": version("g-mlp-pytorch")}

    def case(name, model, tokens, about, given, state=None):
        wide, narrow = run_both(model, lambda m, to: {"logits": m(tokens[None])[0]})
        state = state or dict(model.float().state_dict())
        write_case(name, wide, narrow, {"ids": given}, {key: value.float() for key, value in state.items()}, versions, about=about)

    tokens = ids(901, 15, 41)
    model = randomize(gMLP(num_tokens=41, dim=27, depth=2, seq_len=15, heads=3, ff_mult=2, attn_dim=11, shift_tokens=2,
                           act=torch.nn.Tanh()), 900)
    case("gmlp_heads_tanh", model, tokens, "language gMLP, not causal: three gate heads, tanh on the gate, tiny attention, tokens shifted by "
         "-2..2 with two channels left over", tokens.int().numpy())

    tokens = ids(911, 13, 31)
    model = randomize(gMLP(num_tokens=31, dim=26, depth=2, seq_len=19, heads=13, ff_mult=3, causal=True, circulant_matrix=True,
                           shift_tokens=2), 910)
    with torch.no_grad():
        for k, (name, value) in enumerate(model.named_parameters()):
            if "circulant_pos" in name:
                value.copy_(normal(912 + k, value.shape, 0.9, 0.4))
            elif name.endswith("sgu.weight"):
                value.copy_(normal(912 + k, value.shape, 0.0, 0.5))
    case("gmlp_circulant_short", model, tokens, "language gMLP, causal, circulant_matrix with 13 heads, tokens shifted by 0..2, 13 tokens of a "
         "sequence of 19", tokens.numpy())

    count = 17
    tokens = ids(921, count, 43)
    model = randomize(gMLP(num_tokens=43, dim=22, depth=2, seq_len=count, ff_mult=6, attn_dim=8), 920)
    model.to_logits[1].weight = model.to_embed.weight
    state = dict(model.state_dict())
    del state["to_logits.1.weight"]
    with torch.no_grad():
        for layer in range(2):
            key = f"layers.{layer}.fn.fn.fn.sgu.weight"
            few = normal(922 + layer, (1, 2 * count - 1), 0.0, 0.3).float().double()
            index = scipy.linalg.toeplitz(np.arange(count - 1, 2 * count - 1), np.arange(count - 1, -1, -1))
            model.state_dict()[key].copy_(few[:, torch.tensor(index)])
            state[key] = few
    case("gmlp_toeplitz_tied", model, tokens, "language gMLP with shift-invariant spatial weights (2 N - 1 of them; the matrix by "
         "scipy.linalg.toeplitz), tiny attention, the embedding tied to the head", tokens.int().numpy(), state)


def generate():
    gmlp()
