"""Combiner (Ren et al. 2021) in its four causal forms as a language model, plain PyTorch from the paper's equations: every token attends under one softmax to
tokens and to summaries of spans before it. Scores that a token may not see are minus infinity. Shapes: [batch, heads, …, size of a head]."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from modules_language import seen


class Kernel(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(shape))

    def spread(self, x):
        """[B, T, C] -> [B, H, T, D]"""
        c, h, d = self.kernel.shape
        return (x @ self.kernel.reshape(c, h * d)).reshape(*x.shape[:2], h, d).transpose(1, 2)

    def merge(self, o):
        """[B, H, T, D] -> [B, T, C]"""
        h, d, c = self.kernel.shape
        return o.transpose(1, 2).reshape(o.shape[0], o.shape[2], h * d) @ self.kernel.reshape(h * d, c)


def hide(scores, visible):
    return scores.masked_fill(~visible, -math.inf)


def look(parts):
    """Pairs of scores [.., N, M] and values [.., M, D] under one softmax."""
    a = torch.cat([scores for scores, _ in parts], -1).softmax(-1)
    weights = a.split([scores.shape[-1] for scores, _ in parts], -1)
    return sum(w @ values for w, (_, values) in zip(weights, parts))


def summaries(q, k, v):
    """Of spans [.., L, D]: the largest key, and what the largest query finds among the members."""
    query = q.amax(-2, keepdim=True)
    return k.amax(-2), ((query @ k.transpose(-1, -2)).softmax(-1) @ v).squeeze(-2)


class Mix(nn.Module):
    def __init__(self, width, heads, segment, tokens):
        super().__init__()
        size = width // heads
        self.query, self.key, self.value, self.out = *(Kernel(width, heads, size) for _ in range(3)), Kernel(heads, size, width)
        self.segment, self.spans, self.scale = segment, tokens // segment, size ** -0.5
        self.register_buffer('inside', seen(segment), persistent=False)                      # [i, j]: j <= i
        self.register_buffer('earlier', seen(self.spans).logical_xor(torch.eye(self.spans, dtype=torch.bool)), persistent=False)  # [r, g]: g < r

    def heads(self, x):
        return self.query.spread(x) * self.scale, self.key.spread(x), self.value.spread(x)

    def rows(self, y):
        return y.unflatten(2, (self.spans, self.segment))

    def forward(self, x):
        return self.out.merge(self.attend(x, *self.heads(x)))


class Fixed(Mix):
    def attend(self, x, q, k, v):
        rq, rk, rv = self.rows(q), self.rows(k), self.rows(v)
        ks, vs = summaries(rq, rk, rv)
        near = hide(rq @ rk.transpose(-1, -2), self.inside)
        far = hide(self.rows(q @ ks.transpose(-1, -2)), self.earlier[:, None])
        return look([(near, rv), (far, vs[:, :, None])]).flatten(2, 3)


class LogSparse(Mix):
    def attend(self, x, q, k, v):
        t = q.shape[2]
        scores, values, span = [(q * k).sum(-1)], [v], 1
        position = torch.arange(t, device=x.device)
        while span < t - 1:
            if span == 1:
                ks, vs = k, v
            else:
                cut = lambda y: y[:, :, :t // span * span].unflatten(2, (t // span, span))
                ks, vs = summaries(cut(q), cut(k), cut(v))
            place = (position // span - 1).clamp(min=0)
            scores.append(((q * ks[:, :, place]).sum(-1)).masked_fill(position // span % 2 == 0, -math.inf))
            values.append(vs[:, :, place])
            span *= 2
        a = torch.stack(scores, -1).softmax(-1)
        return sum(a[..., n, None] * value for n, value in enumerate(values))


class Axial(Mix):
    def __init__(self, width, heads, segment, tokens):
        super().__init__(width, heads, segment, tokens)
        self.row = nn.Module()
        self.row.out, self.row.norm, self.row.key = Kernel(heads, width // heads, width), nn.LayerNorm(width, 1e-6), Kernel(width, heads, width // heads)

    def attend(self, x, q, k, v):
        rq, rk, rv = self.rows(q), self.rows(k), self.rows(v)
        every = rq @ rk.transpose(-1, -2)
        found = every.softmax(-1) @ rv
        ks = self.rows(self.row.key.spread(self.row.norm(x + self.row.out.merge(found.flatten(2, 3)))))
        turn = lambda y: y.transpose(2, 3)  # rows and columns
        far = hide(turn(rq) @ turn(ks).transpose(-1, -2), self.earlier)
        a = torch.cat([hide(every, self.inside), turn(far)], -1).softmax(-1)
        near, far = a.split([self.segment, self.spans], -1)
        return (near @ rv + turn(turn(far) @ turn(found))).flatten(2, 3)


def largest_so_far(x):
    """The running maximum along the axis before the last, in doubling steps."""
    step, count = 1, x.shape[-2]
    while step < count:
        x = torch.maximum(x, F.pad(x[..., :-step, :], (0, 0, step, 0), value=-math.inf))
        step *= 2
    return x


class Mixture(Mix):
    def __init__(self, width, heads, segment, tokens):
        super().__init__(width, heads, segment, tokens)
        self.register_buffer('above', seen(self.spans), persistent=False)
        self.register_buffer('others', ~torch.eye(segment, dtype=torch.bool), persistent=False)

    def running(self, q, k, v, visible):
        """Summaries along the axis before the last, up to each member: keys and values."""
        keys = largest_so_far(k)
        return keys, hide(largest_so_far(q) @ k.transpose(-1, -2), visible).softmax(-1) @ v

    def attend(self, x, q, k, v):
        turn, back = lambda y: y.transpose(2, 3), lambda y: y.flip(3)
        q, k, v = self.rows(q), self.rows(k), self.rows(v)           # [B, H, rows, columns, D]
        qc, kc, vc = turn(q), turn(k), turn(v)                       # [B, H, columns, rows, D]
        kd, vd = map(turn, self.running(qc, kc, vc, self.above))
        kl, vl = map(turn, self.running(q, k, v, self.inside))
        kr, vr = (turn(back(y)) for y in self.running(back(q), back(k), back(v), self.inside))
        last = lambda y: torch.cat([y[:, :, :1], y[:, :, :-1]], 2)   # what the row above, or the column before, has
        next = lambda y: torch.cat([y[:, :, 1:], y[:, :, -1:]], 2)
        first = torch.arange(self.segment, device=x.device)[:, None, None]
        row = hide(q @ k.transpose(-1, -2), self.inside)
        above = hide(q @ last(kd).transpose(-1, -2), self.others & (torch.arange(self.spans, device=x.device) > 0)[:, None, None])
        column = hide(qc @ kc.transpose(-1, -2), self.earlier)
        before = hide(qc @ last(kl).transpose(-1, -2), self.earlier & (first > 0))
        after = hide(qc @ next(kr).transpose(-1, -2), self.earlier & (first < self.segment - 1))
        a = torch.cat([row, above, turn(column), turn(before), turn(after)], -1).softmax(-1)
        row, above, column, before, after = a.split([self.segment, self.segment, self.spans, self.spans, self.spans], -1)
        columns = turn(column) @ vc + turn(before) @ last(vl) + turn(after) @ next(vr)
        return (row @ v + above @ last(vd) + turn(columns)).flatten(2, 3)


class Layer(nn.Module):
    def __init__(self, width, hidden, mix):
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(width, 1e-6), mix, nn.LayerNorm(width, 1e-6)
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.fc2(F.relu(self.fc1(self.norm2(x))))


class Combiner(nn.Module):
    def __init__(self, mix, words=32000, tokens=2048, width=512, hidden=2048, heads=8, depth=6, segment=32):
        super().__init__()
        self.embed, self.norm, self.head = nn.Embedding(words, width), nn.LayerNorm(width, 1e-6), nn.Linear(width, words)
        self.layers = nn.Sequential(*(Layer(width, hidden, mix(width, heads, segment, tokens)) for _ in range(depth)))
        half = width // 2
        angle = torch.arange(tokens, dtype=torch.float64)[:, None] * torch.exp(-torch.arange(half, dtype=torch.float64) * math.log(10000) / (half - 1))
        self.register_buffer('positions', torch.cat([angle.sin(), angle.cos()], 1).float(), persistent=False)

    def forward(self, ids):
        return self.head(self.norm(self.layers(self.embed(ids) + self.positions)))


def combiner_fixed():
    return Combiner(Fixed)


def combiner_logsparse():
    return Combiner(LogSparse)


def combiner_axial():
    return Combiner(Axial)


def combiner_mixture():
    return Combiner(Mixture)
