"""Plain PyTorch modules for systems that no package carries, written as one would for an engine to optimise, with the names of weights that the
models of examples/ have. What they compute is checked by the benchmark itself: outputs of every engine, gmlpc included, are compared first."""
import torch
import torch.nn.functional as F
from torch import nn


class Mlp(nn.Module):
    def __init__(self, width, hidden, out=None):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, out or width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Patches(nn.Module):
    """[B, 3, H, W] -> [B, rows, columns, width]"""
    def __init__(self, width, patch, channels=3, **options):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, options.pop('stride', patch), **options)

    def forward(self, x):
        return self.proj(x).permute(0, 2, 3, 1)


class Between(Patches):
    def forward(self, x):
        return super().forward(x.permute(0, 3, 1, 2))


def weighted(layers, h, w, c):
    """Three maps weighted by a softmax of three for each channel."""
    a = layers(h.mean((1, 2)) + w.mean((1, 2)) + c.mean((1, 2)))
    p = a.reshape(a.shape[0], 1, 1, -1, 3).softmax(-1)
    return p[..., 0] * h + p[..., 1] * w + p[..., 2] * c


class PermuteMlp(nn.Module):
    def __init__(self, width, segments, size):
        super().__init__()
        self.segments, long = segments, size * (width // segments)
        self.mlp_h, self.mlp_w, self.mlp_c = nn.Linear(long, long, bias=False), nn.Linear(long, long, bias=False), nn.Linear(width, width, bias=False)
        self.reweight, self.proj = Mlp(width, width // 4, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        b, rows, columns, width = x.shape
        s = width // self.segments
        parts = x.reshape(b, rows, columns, self.segments, s)
        h = self.mlp_h(parts.permute(0, 3, 2, 1, 4).reshape(b, self.segments, columns, rows * s))
        h = h.reshape(b, self.segments, columns, rows, s).permute(0, 3, 2, 1, 4).reshape(x.shape)
        w = self.mlp_w(parts.permute(0, 1, 3, 2, 4).reshape(b, rows, self.segments, columns * s))
        w = w.reshape(b, rows, self.segments, columns, s).permute(0, 1, 3, 2, 4).reshape(x.shape)
        return self.proj(weighted(self.reweight, h, w, self.mlp_c(x)))


class Cycle(nn.Module):
    """A 1 x 1 convolution whose input channel c is read one cell beside, by turns, along one axis."""
    def __init__(self, width, axis):
        super().__init__()
        self.weight, self.bias, self.axis = nn.Parameter(torch.zeros(width, width, 1, 1)), nn.Parameter(torch.zeros(width)), axis

    def forward(self, x):
        width, axis = x.shape[-1], self.axis
        padded = F.pad(x, (0, 0, 1, 1) if axis == 2 else (0, 0, 0, 0, 1, 1))
        near = torch.arange(width, device=x.device)
        offsets = (near + 1) % 3 - 1
        y = sum(torch.where(offsets == o, padded.narrow(axis, 1 + o, x.shape[axis]), x.new_zeros(())) for o in (-1, 0, 1))
        return F.linear(y, self.weight[:, :, 0, 0], self.bias)


class CycleMlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.sfc_h, self.sfc_w, self.mlp_c = Cycle(width, 2), Cycle(width, 1), nn.Linear(width, width, bias=False)
        self.reweight, self.proj = Mlp(width, width // 4, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        return self.proj(weighted(self.reweight, self.sfc_h(x), self.sfc_w(x), self.mlp_c(x)))


class Residuals(nn.Module):
    """x + attn(norm1(x)), then x + mlp(norm2(x))"""
    def __init__(self, width, mix, hidden, eps=1e-5):
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = nn.LayerNorm(width, eps), mix, nn.LayerNorm(width, eps), Mlp(width, hidden)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Pyramid(nn.Module):
    """Maps [B, rows, columns, channels] through a network of parts, then the mean of all cells and a dense layer."""
    def __init__(self, stem, parts, width):
        super().__init__()
        self.patch_embed, self.network, self.norm, self.head = stem, nn.ModuleList(parts), nn.LayerNorm(width, 1e-5), nn.Linear(width, 1000)

    def forward(self, pixels):
        x = self.patch_embed(pixels)
        for part in self.network:
            x = part(x)
        return self.head(self.norm(x).mean((1, 2)))


def vip_s7():
    stage = lambda width, segments, size, depth: nn.Sequential(*(Residuals(width, PermuteMlp(width, segments, size), 3 * width) for _ in range(depth)))
    return Pyramid(Patches(192, 7), [stage(192, 32, 32, 4), Between(384, 2, 192), stage(384, 16, 16, 3), stage(384, 16, 16, 8), stage(384, 16, 16, 3)], 384)


def cyclemlp_b1():
    widths, parts = [64, 128, 320, 512], []
    for k, depth in enumerate([2, 2, 4, 2]):
        if k:
            parts.append(Between(widths[k], 3, widths[k - 1], stride=2, padding=1))
        parts.append(nn.Sequential(*(Residuals(widths[k], CycleMlp(widths[k]), 4 * widths[k]) for _ in range(depth))))
    return Pyramid(Patches(64, 7, stride=4, padding=2), parts, 512)


class Shift(nn.Module):
    """Quarters of the channels come from above, below, left and right; edges keep their own."""
    def forward(self, x):
        a, b, c, d = x.chunk(4, -1)
        return torch.cat([torch.cat([a[:, :1], a[:, :-1]], 1), torch.cat([b[:, 1:], b[:, -1:]], 1), torch.cat([c[:, :, :1], c[:, :, :-1]], 2),
                          torch.cat([d[:, :, 1:], d[:, :, -1:]], 2)], -1)


class Normed(nn.Module):
    def __init__(self, width, hidden, between):
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(width), nn.Sequential(nn.Linear(width, hidden), nn.GELU(), between, nn.Linear(hidden, width))

    def forward(self, x):
        return x + self.fn(self.norm(x))


class Stage(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.model = nn.ModuleList(nn.Sequential(Normed(width, width, Shift()), Normed(width, 4 * width, nn.Identity())) for _ in range(depth))

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        for block in self.model:
            x = block(x)
        return x


class S2Mlp(nn.Module):
    def __init__(self, width=768, depth=12):
        super().__init__()
        self.stages, self.mlp_head = nn.ModuleList([nn.Sequential(nn.Conv2d(3, width, 16, 16), Stage(width, depth))]), nn.Sequential(nn.Identity(), nn.Linear(width, 1000))

    def forward(self, pixels):
        return self.mlp_head(self.stages[0](pixels).mean((1, 2)))


class AftFull(nn.Module):
    """exp(w) exp(k) v / exp(w) exp(k), w = u v': two products, the largest taken out first."""
    def __init__(self, width, tokens=196, rank=128):
        super().__init__()
        self.u, self.v = nn.Parameter(torch.zeros(tokens, rank)), nn.Parameter(torch.zeros(tokens, rank))
        self.to_q, self.to_k, self.to_v, self.project = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x):
        w = self.u @ self.v.T
        f = torch.exp(w - w.amax(1, keepdim=True))
        k = self.to_k(x)
        e = torch.exp(k - k.amax(1, keepdim=True))
        return self.project(torch.sigmoid(self.to_q(x)) * (f @ (e * self.to_v(x))) / (f @ e))


class AftConv(nn.Module):
    def __init__(self, width, heads=32, window=11):
        super().__init__()
        self.heads, self.conv = heads, nn.Module()
        self.conv.weight, self.conv.gamma, self.conv.beta = nn.Parameter(torch.zeros(heads, window, window)), nn.Parameter(torch.zeros(heads)), nn.Parameter(torch.zeros(heads))
        self.to_q, self.to_k, self.to_v, self.project = nn.Linear(width, width), nn.Linear(width, heads), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        b, t, width = x.shape
        side, each = int(t ** 0.5), width // self.heads
        w = self.conv.weight
        centred = w - w.mean((1, 2), keepdim=True)
        scale = torch.rsqrt((centred * centred).mean((1, 2), keepdim=True)) * self.conv.gamma[:, None, None]
        f = (torch.exp(centred * scale + self.conv.beta[:, None, None]) - 1)[:, None]
        k = self.to_k(x)
        e = torch.exp(k - k.amax(1, keepdim=True))
        ev = (e[..., None] * self.to_v(x).reshape(b, t, self.heads, each)).reshape(b, side, side, width).permute(0, 3, 1, 2)
        e = e.reshape(b, side, side, self.heads).permute(0, 3, 1, 2)
        around = f.shape[-1] // 2
        num = F.conv2d(ev, f.repeat_interleave(each, 0), padding=around, groups=width) + ev.sum((2, 3), keepdim=True)
        den = F.conv2d(e, f, padding=around, groups=self.heads) + e.sum((2, 3), keepdim=True)
        y = (num / den.repeat_interleave(each, 1)).permute(0, 2, 3, 1).reshape(x.shape)
        return self.project(torch.sigmoid(self.to_q(x)) * y)


class Tokens(nn.Module):
    """Layers over the patches of a picture, the mean of all tokens, a dense layer."""
    def __init__(self, width, depth, mix):
        super().__init__()
        self.patch_embed, self.blocks = Patches(width, 16), nn.Sequential(*(Residuals(width, mix(), 4 * width, 1e-6) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width, 1e-6), nn.Linear(width, 1000)

    def forward(self, pixels):
        return self.head(self.norm(self.blocks(self.patch_embed(pixels).flatten(1, 2))).mean(1))


def aft_full_tiny():
    return Tokens(192, 12, lambda: AftFull(192))


def aft_conv_tiny():
    return Tokens(192, 12, lambda: AftConv(192))


class Gate(nn.Module):
    def __init__(self, width, tokens):
        super().__init__()
        self.norm, self.weight, self.bias = nn.LayerNorm(width), nn.Parameter(torch.zeros(1, tokens, tokens)), nn.Parameter(torch.zeros(1, tokens))

    def forward(self, v):
        return self.weight[0] @ self.norm(v) + self.bias[0][:, None]


class LanguageBlock(nn.Module):
    """x + proj_out(u * gate(v)), u and v the halves of gelu(proj_in(norm(x)))"""
    def __init__(self, width, hidden, tokens):
        super().__init__()
        self.fn = nn.Module()
        self.fn.norm, self.fn.fn = nn.LayerNorm(width), nn.Module()
        self.fn.fn.fn = inner = nn.Module()
        inner.proj_in, inner.sgu, inner.proj_out = nn.Sequential(nn.Linear(width, hidden)), Gate(hidden // 2, tokens), nn.Linear(hidden // 2, width)

    def forward(self, x):
        inner = self.fn.fn.fn
        u, v = F.gelu(inner.proj_in(self.fn.norm(x))).chunk(2, -1)
        return x + inner.proj_out(u * inner.sgu(v))


class GmlpLanguage(nn.Module):
    """Masked language model of 128 tokens, its embedding tied to its head."""
    def __init__(self, words=32000, tokens=128, width=512, hidden=3072, depth=36):
        super().__init__()
        self.to_embed, self.layers = nn.Embedding(words, width), nn.Sequential(*(LanguageBlock(width, hidden, tokens) for _ in range(depth)))
        self.to_logits = nn.ModuleList([nn.LayerNorm(width), nn.Module()])
        self.to_logits[1].bias = nn.Parameter(torch.zeros(words))

    def forward(self, ids):
        return F.linear(self.to_logits[0](self.layers(self.to_embed(ids))), self.to_embed.weight, self.to_logits[1].bias)


def sentence_encoder():
    """transformers' BERT in the sizes of MiniLM-L6, the mean over its tokens, length 1."""
    from transformers import BertConfig, BertModel

    class Sentence(BertModel):
        def forward(self, ids, mask):
            x = super().forward(input_ids=ids, attention_mask=mask).last_hidden_state
            kept = mask[..., None].to(x.dtype)
            return F.normalize((x * kept).sum(1) / kept.sum(1).clamp(min=1e-9), dim=-1, eps=1e-12)
    config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, max_position_embeddings=512)
    return Sentence(config, add_pooling_layer=False)


class Fourier(nn.Module):
    """The real part of a Fourier transform over tokens and channels as four products: what engines without a fast one are given."""
    def forward(self, x):
        n, c = x.shape[1:]
        turn = lambda m: torch.outer(torch.arange(m, dtype=torch.float64), torch.arange(m, dtype=torch.float64)) * (-2 * torch.pi / m)
        tokens, channels = turn(n), turn(c)
        part = lambda f, a: f(a).to(x.dtype)
        return (part(torch.cos, tokens) @ (x @ part(torch.cos, channels)) - part(torch.sin, tokens) @ (x @ part(torch.sin, channels)),)


def fnet_base():
    """transformers' FNet; its states of all tokens, and the pooled first one."""
    from transformers import FNetConfig, FNetModel

    class Net(FNetModel):
        def forward(self, ids, types):
            y = super().forward(input_ids=ids, token_type_ids=types)
            return y.last_hidden_state, y.pooler_output
    return Net(FNetConfig())


def fourier_products(module):
    for part in module.modules():
        if type(part).__name__ == 'FNetBasicFourierTransform':
            part.forward = Fourier().forward
