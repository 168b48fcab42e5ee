"""Plain PyTorch modules for models of text, as modules.py has them for pictures: what no package carries is written from the papers' equations, with the names
of weights that the models of examples/ have."""
import torch
import torch.nn.functional as F
from torch import nn


def seen(tokens):
    """[tokens, tokens]: true where the column comes no later than the row."""
    return torch.ones(tokens, tokens, dtype=torch.bool).tril()


class Gate(nn.Module):
    """Groups of channels of the normed v, each under a matrix over the tokens: free, or with one weight a distance (the causal one: a distance back)."""
    def __init__(self, width, tokens, heads=1, distances=False, causal=False):
        super().__init__()
        shape = (heads, tokens, tokens) if not distances else (heads, tokens if causal else 2 * tokens - 1)
        self.heads, self.norm, self.weight, self.bias = heads, nn.LayerNorm(width), nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(heads, tokens))
        distance = torch.arange(tokens)[:, None] - torch.arange(tokens)
        self.register_buffer('distance', (distance.clamp(min=0) if causal else distance + tokens - 1) if distances else None, persistent=False)
        self.register_buffer('seen', seen(tokens) if causal else None, persistent=False)

    def forward(self, v):
        w = self.weight if self.distance is None else self.weight[:, self.distance]
        if self.seen is not None:
            w = torch.where(self.seen, w, w.new_zeros(()))
        v = self.norm(v)
        if self.heads == 1:
            return w[0] @ v + self.bias[0][:, None]
        b, n, c = v.shape
        return (w @ v.reshape(b, n, self.heads, -1).transpose(1, 2) + self.bias[..., None]).transpose(1, 2).reshape(b, n, c)


class TinyAttention(nn.Module):
    """One head, added to a gate."""
    def __init__(self, width, size, out, tokens, causal=False):
        super().__init__()
        self.to_qkv, self.to_out = nn.Linear(width, 3 * size, bias=False), nn.Linear(size, out)
        self.register_buffer('seen', seen(tokens) if causal else None, persistent=False)

    def forward(self, x):
        q, k, v = (y[:, None] for y in self.to_qkv(x).chunk(3, -1))
        return self.to_out(F.scaled_dot_product_attention(q, k, v, attn_mask=self.seen)[:, 0])


class LanguageBlock(nn.Module):
    """x + proj_out(u * gate(v)), u and v the halves of gelu(proj_in(norm(x))); with an attention beside it, the gate plus that."""
    def __init__(self, width, hidden, tokens, distances=False, attention=0):
        super().__init__()
        self.fn = nn.Module()
        self.fn.norm, self.fn.fn = nn.LayerNorm(width), nn.Module()
        self.fn.fn.fn = inner = nn.Module()
        inner.proj_in, inner.proj_out = nn.Sequential(nn.Linear(width, hidden)), nn.Linear(hidden // 2, width)
        inner.sgu, inner.attn = Gate(hidden // 2, tokens, distances=distances), TinyAttention(width, attention, hidden // 2, tokens) if attention else None

    def forward(self, x):
        inner, y = self.fn.fn.fn, self.fn.norm(x)
        u, v = F.gelu(inner.proj_in(y)).chunk(2, -1)
        gate = inner.sgu(v)
        return x + inner.proj_out(u * (gate if inner.attn is None else gate + inner.attn(y)))


class GmlpLanguage(nn.Module):
    """Masked language model of gMLP's paper, its embedding tied to its head."""
    def __init__(self, words=32000, tokens=128, width=512, hidden=3072, depth=36, **options):
        super().__init__()
        self.to_embed, self.layers = nn.Embedding(words, width), nn.Sequential(*(LanguageBlock(width, hidden, tokens, **options) for _ in range(depth)))
        self.to_logits = nn.ModuleList([nn.LayerNorm(width), nn.Module()])
        self.to_logits[1].bias = nn.Parameter(torch.zeros(words))

    def forward(self, ids):
        return F.linear(self.to_logits[0](self.layers(self.to_embed(ids))), self.to_embed.weight, self.to_logits[1].bias)


def gmlp_base():
    return GmlpLanguage(tokens=512, depth=48, distances=True)


def amlp_base():
    return GmlpLanguage(tokens=512, depth=36, distances=True, attention=64)


class CausalBlock(nn.Module):
    def __init__(self, width, hidden, tokens, heads=8, look=48):
        super().__init__()
        self.norm, self.fc1, self.fc2 = nn.LayerNorm(width), nn.Linear(width, hidden), nn.Linear(hidden // 2, width)
        self.gate, self.attn = Gate(hidden // 2, tokens, heads, distances=True, causal=True), TinyAttention(width, look, hidden // 2, tokens, causal=True)

    def forward(self, x):
        y = self.norm(x)
        u, v = F.gelu(self.fc1(y)).chunk(2, -1)
        return x + self.fc2(u * (self.gate(v) + self.attn(y)))


class Bible(nn.Module):
    """The small causal aMLP of examples/kjv."""
    def __init__(self, pieces=1024, tokens=128, width=144, hidden=432, depth=6):
        super().__init__()
        self.embed, self.blocks, self.norm = nn.Embedding(pieces, width), nn.Sequential(*(CausalBlock(width, hidden, tokens) for _ in range(depth))), nn.LayerNorm(width)

    def forward(self, ids):
        return F.linear(self.norm(self.blocks(self.embed(ids))), self.embed.weight)


def bert_base():
    """transformers' BERT-Base: states of all tokens, and the pooled first one."""
    from transformers import BertConfig, BertModel

    class Encoder(BertModel):
        def forward(self, ids, types, mask):
            y = super().forward(input_ids=ids, token_type_ids=types, attention_mask=mask)
            return y.last_hidden_state, y.pooler_output
    return Encoder(BertConfig())


class MaskedBert(nn.Module):
    """The same under the head of masked language models, whose matrix is the embedding."""
    def __init__(self):
        super().__init__()
        from transformers import BertConfig, BertModel
        config = BertConfig()
        width, words = config.hidden_size, config.vocab_size
        self.bert, self.cls = BertModel(config, add_pooling_layer=False), nn.Module()
        self.cls.predictions = head = nn.Module()
        head.transform, head.bias = nn.Module(), nn.Parameter(torch.zeros(words))
        head.transform.dense, head.transform.LayerNorm = nn.Linear(width, width), nn.LayerNorm(width, 1e-12)

    def forward(self, ids, types, mask):
        x = self.bert(input_ids=ids, token_type_ids=types, attention_mask=mask).last_hidden_state
        head = self.cls.predictions
        return F.linear(head.transform.LayerNorm(F.gelu(head.transform.dense(x))), self.bert.embeddings.word_embeddings.weight, head.bias)


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
