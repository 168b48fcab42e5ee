"""Cases from torch.nn itself and from small packages of layers: convolutions, group norm, LSTM, causal transformers, cross-attention,
sine positions, language gMLP (g-mlp-pytorch), attention-free transformers (aft-pytorch)."""
from importlib.metadata import version

import numpy as np
import scipy.linalg
import torch
from aft_pytorch import AFTFull
from g_mlp_pytorch import gMLP
from torch import nn

from common import pixels, randomize, run_both, write_case

TORCH = {"torch": torch.__version__.split("+")[0]}


def ids(seed, count, below):
    return torch.randint(0, below, (count,), generator=torch.Generator().manual_seed(seed))


class Cnn(nn.Module):
    """Everything a small convolutional net has: stride, padding, groups, depthwise, dilation, batch norm, pools."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 10, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(10)
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(10, 10, 5, padding=2, groups=10)
        self.bn2 = nn.BatchNorm2d(10)
        self.grouped = nn.Conv2d(10, 14, 3, groups=2, padding=1)
        self.dilated = nn.Conv2d(14, 13, (3, 2), stride=(1, 2), padding=(2, 0), dilation=(2, 1))
        self.pool2 = nn.AvgPool2d(2)
        self.head = nn.Linear(13, 7)

    def forward(self, x):
        x = self.pool1(torch.relu(self.bn1(self.conv1(x))))
        x = x + nn.functional.hardswish(self.bn2(self.depthwise(x)))
        x = nn.functional.silu(self.grouped(x))
        x = self.pool2(nn.functional.softplus(self.dilated(x)))
        return self.head(x.mean((2, 3)))


class Groups(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.GroupNorm(1, 15)
        self.norm2 = nn.GroupNorm(5, 15)
        self.pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.conv = nn.Conv2d(15, 11, 1)

    def forward(self, x):
        n = self.norm1(x)
        x = x + self.pool(n) - n
        x = self.conv(self.norm2(x))
        return x, x.amax((2, 3))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(23, 9)
        self.lstm = nn.LSTM(9, 17, batch_first=True)
        self.gru = nn.GRU(17, 7, batch_first=True)
        self.head = nn.Linear(7, 5)

    def forward(self, tokens):
        y, (h, c) = self.lstm(self.embedding(tokens)[None])
        z, last = self.gru(y)
        return y[0], h[0, 0], c[0, 0], self.head(last[0, 0])


class Causal(nn.Module):
    """Two pre-norm layers of torch.nn with a causal mask, the table of sines added: names in_proj_weight, linear1, norm1."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(41, 22)
        layer = nn.TransformerEncoderLayer(22, 2, dim_feedforward=47, dropout=0.0, activation="gelu", norm_first=True, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(22), enable_nested_tensor=False)
        self.head = nn.Linear(22, 41, bias=False)

    def forward(self, tokens):
        t = np.arange(len(tokens))[:, None]
        angle = t / 10000.0 ** (2 * np.arange(11)[None] / 22)
        table = torch.tensor(np.stack([np.sin(angle), np.cos(angle)], -1).reshape(len(tokens), 22)).to(self.embed.weight.dtype)
        mask = torch.triu(torch.ones(len(tokens), len(tokens), dtype=torch.bool), 1)
        x = self.encoder((self.embed(tokens) + table)[None], mask=mask)[0]
        return self.head(x)


class Toeplitz(nn.Module):
    """The spatial gate with shift-invariant weights; the matrix by scipy.linalg.toeplitz."""

    def __init__(self, tokens, width):
        super().__init__()
        self.norm = nn.LayerNorm(width // 2)
        self.weight = nn.Parameter(torch.zeros(2 * tokens - 1))
        self.bias = nn.Parameter(torch.zeros(tokens))
        self.tokens = tokens

    def forward(self, x):
        u, v = x.chunk(2, dim=-1)
        first = self.tokens - 1
        index = scipy.linalg.toeplitz(np.arange(first, 2 * first + 1), np.arange(first, -1, -1))
        return u * (self.weight[torch.tensor(index)] @ self.norm(v) + self.bias[:, None])


def generate():
    def simple(name, model, seed, inputs, outputs, about, versions=TORCH, arrays=None):
        model = randomize(model, seed)

        def call(m, to):
            out = m(*[to(x) for x in inputs.values()])
            return dict(zip(outputs, out if isinstance(out, tuple) else (out,)))

        wide, narrow = run_both(model, call)
        write_case(name, wide, narrow, arrays or inputs, dict(model.float().state_dict()), versions, about=about)

    class Batched(nn.Module):
        """A model of batches, run on one sample; its names stay as they are."""

        def __init__(self, inner):
            super().__init__()
            self.inner = [inner]
            for key, child in inner.named_children():
                self.add_module(key, child)
            for key, value in inner.named_parameters(recurse=False):
                self.register_parameter(key, value)

        def forward(self, *x):
            out = self.inner[0](*[v[None] for v in x])
            return tuple(v[0] for v in out) if isinstance(out, tuple) else out[0]

    simple("cnn", Batched(Cnn()), 800, {"pixels": pixels(801, 3, 29, 37)}, ["logits"],
           "conv with stride, padding, groups, dilation, unequal sides; depthwise; batch norm; max and mean pools; 29 x 37 pixels")
    simple("groupnorm", Batched(Groups()), 810, {"x": pixels(811, 15, 7, 11)}, ["map", "peaks"],
           "GroupNorm of 1 and 5 groups, mean pool that does not count padding, two outputs")
    tokens = ids(821, 12, 23)
    simple("lstm", Recurrent(), 820, {"ids": tokens}, ["states", "last", "cell", "logits"],
           "Embedding, LSTM, GRU by repeat: four outputs", arrays={"ids": tokens.int()})
    tokens = ids(831, 14, 41)
    simple("causal_transformer", Causal(), 830, {"ids": tokens}, ["logits"],
           "TransformerEncoder with a causal mask and sine positions, ids as i64, hidden 47")
    model = nn.MultiheadAttention(21, 3, kdim=13, vdim=13, batch_first=True)
    mask = torch.zeros(11, 19)
    mask[:, 15:] = -3.5

    class Cross(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = model

        def forward(self, x, memory, bias):
            out, weights = self.attention(x[None], memory[None], memory[None], attn_mask=bias, average_attn_weights=False)
            return out[0], weights[0]

    simple("cross_attention", Cross(), 840, {"x": pixels(841, 11, 21), "memory": pixels(842, 19, 13), "bias": mask}, ["y", "weights"],
           "MultiheadAttention of 11 tokens to 19 others with an additive mask: three inputs, two outputs")
    simple("toeplitz_gate", Batched(Toeplitz(23, 26)), 850, {"x": pixels(851, 23, 26)}, ["y"],
           "spatial gate with shift-invariant weights over 23 tokens", versions={**TORCH, "scipy": scipy.__version__})

    versions = {**TORCH, "g-mlp-pytorch": version("g-mlp-pytorch")}
    tokens = ids(861, 16, 37)
    language = gMLP(num_tokens=37, dim=18, depth=2, seq_len=16, ff_mult=3, causal=True, attn_dim=8, prob_survival=1.0)
    simple("gmlp_causal_attention", Batched(language), 860, {"ids": tokens}, ["logits"],
           "language gMLP, causal, with a tiny attention added to the gate (aMLP)", versions=versions)
    versions = {**TORCH, "aft-pytorch": version("aft-pytorch")}
    simple("aft_full", Batched(AFTFull(max_seqlen=13, dim=10, hidden_dim=14)), 870, {"x": pixels(871, 13, 10)}, ["y"],
           "AFT-full over 13 tokens", versions=versions)
    simple("one_token_attention", Batched(SelfAttention()), 880, {"x": pixels(881, 1, 20), "scale": torch.tensor(1.7)}, ["y", "squares"],
           "attention with a single token; a rank-0 input; two outputs")


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(20, 4, batch_first=True)

    def forward(self, x, scale):
        y = x + scale[..., None] * self.attention(x, x, x)[0]
        return y, (y * y).sum(-1)
