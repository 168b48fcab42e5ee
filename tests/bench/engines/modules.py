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


def aft_full_small():
    return Tokens(384, 12, lambda: AftFull(384))


def aft_conv_small():
    return Tokens(384, 12, lambda: AftConv(384, heads=16))


class Look(nn.Module):
    """u plus the mean of the regions, weighted by what the query u finds."""
    def __init__(self, width, hidden):
        super().__init__()
        self.image, self.sent, self.combined = nn.Linear(width, hidden), nn.Linear(width, hidden), nn.Linear(hidden, 1)

    def forward(self, v, u):
        s = torch.tanh(self.combined(torch.tanh(self.image(v)) + torch.tanh(self.sent(u))[:, None]))
        return u + (s.softmax(1) * v).sum(1)


class Words(nn.Module):
    """Rows of a table; words count from 1, 0 is none."""
    def __init__(self, words, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(words, width))

    def forward(self, ids):
        return F.embedding((ids - 1).clamp(min=0), self.weight) * (ids > 0)[..., None].to(self.weight.dtype)


class RecurrentQuestion(nn.Module):
    """The last state of an LSTM whose cell leaves as it is, and which stands still where no word is."""
    def __init__(self, words=13746, width=500, hidden=1024):
        super().__init__()
        self.w_emb, self.sent_lstm = Words(words, width), nn.Module()
        lstm, zeros = self.sent_lstm, lambda *shape: nn.Parameter(torch.zeros(shape))
        lstm.w_x, lstm.w_h, lstm.b_h = zeros(4 * hidden, width), zeros(4 * hidden, hidden), zeros(4 * hidden)

    def forward(self, ids):
        lstm = self.sent_lstm
        gates = F.linear(self.w_emb(ids), lstm.w_x, lstm.b_h)
        present = (ids > 0)[..., None]
        h = s = gates.new_zeros(gates.shape[0], gates.shape[2] // 4)
        for t in range(ids.shape[1]):
            i, f, o, n = (gates[:, t] + F.linear(h, lstm.w_h)).chunk(4, -1)
            cell = torch.sigmoid(f) * s + torch.sigmoid(i) * torch.tanh(n)
            h, s = torch.where(present[:, t], torch.sigmoid(o) * cell, h), torch.where(present[:, t], cell, s)
        return h


class ConvolvedQuestion(nn.Module):
    """One, two and three words through a matrix each, the largest over the question."""
    def __init__(self, words=13746, width=500, counts=(256, 512, 512)):
        super().__init__()
        self.w_emb = Words(words, width)
        self.conv_unigram, self.conv_bigram, self.conv_trigram = (nn.Conv1d(width, count, k + 1) for k, count in enumerate(counts))

    def forward(self, ids):
        e = self.w_emb(ids).transpose(1, 2)
        return torch.cat([torch.tanh(conv(e)).amax(-1) for conv in (self.conv_unigram, self.conv_bigram, self.conv_trigram)], -1)


class StackedAttention(nn.Module):
    def __init__(self, question, width, hidden=512, features=512, classes=1000):
        super().__init__()
        self.question, self.image_mlp = question, nn.Linear(features, width)
        self.attention, self.combined_mlp = nn.ModuleList(Look(width, hidden) for _ in range(2)), nn.Linear(width, classes)

    def forward(self, regions, ids):
        v, u = torch.tanh(self.image_mlp(regions)), self.question(ids)
        for look in self.attention:
            u = look(v, u)
        return self.combined_mlp(u)


def san_lstm():
    return StackedAttention(RecurrentQuestion(), 1024)


def san_conv():
    return StackedAttention(ConvolvedQuestion(), 1280)


class Convolutions(nn.Module):
    """COUNT times convolution, batch norm, relu; with a pool behind each where asked."""
    def __init__(self, inputs, outputs, count, pool=False):
        super().__init__()
        parts = []
        for k in range(count):
            parts += [nn.Conv2d(outputs if k else inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), *([nn.MaxPool2d(2)] if pool else [])]
        self.op = nn.Sequential(*parts)

    def forward(self, x):
        return self.op(x)


class Compatibility(nn.Module):
    """The cells of a map weighted by a softmax of <op, l + g>; the sum, and the scores."""
    def __init__(self, width):
        super().__init__()
        self.op = nn.Conv2d(width, 1, 1, bias=False)

    def forward(self, l, g):
        s = self.op(l + g[..., None, None])
        a = s.flatten(2).softmax(-1)
        return (l.flatten(2) * a).sum(-1), s[:, 0]


class AttentionVgg(nn.Module):
    def __init__(self, classes=10, widths=(64, 128, 256, 512, 512, 512)):
        super().__init__()
        before = (3, *widths)
        for k, count in enumerate((2, 2, 3, 3, 3, 2)):
            setattr(self, f'conv_block{k + 1}', Convolutions(before[k], widths[k], count, pool=k == 5))
        self.dense, self.projector = nn.Conv2d(512, 512, 1), nn.Module()
        self.projector.op = nn.Conv2d(256, 512, 1, bias=False)
        self.attn1, self.attn2, self.attn3, self.classify = Compatibility(512), Compatibility(512), Compatibility(512), nn.Linear(1536, classes)

    def forward(self, pixels):
        l1 = self.conv_block3(self.conv_block2(self.conv_block1(pixels)))
        l2 = self.conv_block4(F.max_pool2d(l1, 2))
        l3 = self.conv_block5(F.max_pool2d(l2, 2))
        g = self.dense(self.conv_block6(F.max_pool2d(l3, 2))).mean((2, 3))
        looks = [module(l, g) for module, l in ((self.attn1, self.projector.op(l1)), (self.attn2, l2), (self.attn3, l3))]
        return self.classify(torch.cat([y for y, _ in looks], -1)), *(s for _, s in looks)


class Cepstrum(nn.Module):
    """Samples to mel-frequency cepstral coefficients: librosa's numerics, the Fourier transform of each window as products with a table."""
    def __init__(self, rate=16000, window=480, hop=160, mels=40):
        super().__init__()
        real = dict(dtype=torch.float64)
        self.window, self.hop, bins = window, hop, torch.arange(window // 2 + 1, **real)
        n = torch.arange(window, **real)
        angle = 2 * torch.pi / window * (bins[:, None] * n).remainder(window)
        hann = 0.5 - 0.5 * torch.cos(2 * torch.pi / window * n)
        self.table('waves', torch.cat([torch.cos(angle) * hann, torch.sin(angle) * hann]))
        log_step, top = torch.log(torch.tensor(6.4, **real)) / 27, rate / 2
        last = 15 + torch.log(torch.tensor(top / 1000, **real)) / log_step
        mel = last * torch.arange(mels + 2, **real) / (mels + 1)
        edge = torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp(log_step * (mel - 15)))
        f, low, middle, high = bins * rate / window, edge[:-2, None], edge[1:-1, None], edge[2:, None]
        self.table('filters', torch.minimum((f - low) / (middle - low), (high - f) / (high - middle)).clamp(min=0) * 2 / (high - low))
        q = torch.arange(mels, **real)
        cosines = torch.cos(torch.pi / (2 * mels) * q[:, None] * (2 * q + 1)) * (2 / mels) ** 0.5
        cosines[0] /= 2 ** 0.5
        self.table('cosines', cosines)

    def table(self, name, value):
        self.register_buffer(name, value.float(), persistent=False)

    def spectrum(self, samples):
        """[B, S] -> [B, frames, 2 bins]"""
        return F.linear(samples.unfold(1, self.window, self.hop), self.waves)

    def forward(self, samples):
        y = self.spectrum(samples)
        power = sum(part * part for part in y.chunk(2, -1))
        d = 10 * torch.log10(F.linear(power, self.filters).clamp(min=1e-10))
        return F.linear(torch.maximum(d, d.amax((1, 2), keepdim=True) - 80), self.cosines)


def cepstrum_convolution(module):
    """The windows as a convolution of as many filters as waves."""
    def spectrum(samples):
        part = module.cepstrum
        return F.conv1d(samples[:, None], part.waves[:, None], stride=part.hop).transpose(1, 2)
    module.cepstrum.spectrum = spectrum


class KeywordBlock(nn.Module):
    """x + norm(proj_out(u * gate(v)))"""
    def __init__(self, width, hidden, tokens):
        super().__init__()
        self.fn = nn.Module()
        self.fn.norm, self.fn.fn = nn.LayerNorm(width), nn.Module()
        inner = self.fn.fn
        inner.proj_in, inner.sgu, inner.proj_out = nn.Sequential(nn.Linear(width, hidden)), nn.Module(), nn.Linear(hidden // 2, width)
        inner.sgu.norm, inner.sgu.proj = nn.LayerNorm(hidden // 2), nn.Conv1d(tokens, tokens, 1)

    def forward(self, x):
        inner = self.fn.fn
        u, v = F.gelu(inner.proj_in(x)).chunk(2, -1)
        return x + self.fn.norm(inner.proj_out(u * inner.sgu.proj(inner.sgu.norm(v))))


class Keywords(nn.Module):
    """KW-MLP behind its front end: a second of samples to words."""
    def __init__(self, width=64, hidden=256, depth=12, tokens=98, classes=35):
        super().__init__()
        self.cepstrum, self.to_patch_embed = Cepstrum(), nn.Sequential(nn.Identity(), nn.Linear(40, width))
        self.layers = nn.Sequential(*(KeywordBlock(width, hidden, tokens) for _ in range(depth)))
        self.to_logits = nn.Sequential(nn.LayerNorm(width), nn.Identity(), nn.Linear(width, classes))

    def forward(self, samples):
        return self.to_logits[2](self.to_logits[0](self.layers(self.to_patch_embed(self.cepstrum(samples)))).mean(1))
