"""Cases of language models: gMLP in the forms of g-mlp-pytorch, BERT with everything around it, attention-free transformers."""
import pathlib
import tempfile
from importlib.metadata import version

import numpy as np
import scipy.linalg
import torch
import transformers
from aft_pytorch import AFTFull, AFTLocal, AFTSimple
from g_mlp_pytorch import gMLP
from labml_nn.transformers.aft import AFTLocal as LabmlLocal
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining

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


def exact_keys(model, name, seed, size):
    """Keys are sums of quarters times quarters: exact in float32 whatever their size, so that what is tested is what follows."""
    with torch.no_grad():
        key = dict(model.named_parameters())
        weight, bias = key[f"{name}.weight"], key[f"{name}.bias"]
        weight.copy_(torch.round(4 * normal(seed, weight.shape, 0.0, size / weight.shape[1] ** 0.5)) / 4)
        bias.copy_(torch.round(4 * normal(seed + 1, bias.shape, 0.0, 1.0)) / 4)


def quarters(seed, *shape):
    return (torch.round(4 * normal(seed, shape, 0.0, 1.0)) / 4).float()


def aft():
    versions = {**TORCH, "aft-pytorch": version("aft-pytorch")}

    def case(name, model, x, about, call=lambda m, x: m(x[None])[0], state=None, versions=versions, **more):
        state = {key: value.clone().float() for key, value in (state or model.state_dict()).items()}

        def both(m, to):
            torch.set_default_dtype(to(x).dtype)
            return {"y": call(m, to(x))}

        wide, narrow = run_both(model, both)
        torch.set_default_dtype(torch.float32)
        write_case(name, wide, narrow, {"x": x}, state, versions, about=about, **more)

    model = randomize(AFTFull(max_seqlen=17, dim=9, hidden_dim=23), 930)
    exact_keys(model, "to_k", 931, 90)
    x = quarters(933, 11, 9)
    case("aft_full_large_keys", model, x, "AFT-full, 11 of 17 tokens, keys up to 250: its own float32 form overflows")
    model = randomize(AFTSimple(max_seqlen=19, dim=15, hidden_dim=21), 940)
    exact_keys(model, "to_k", 941, 60)
    case("aft_simple", model, quarters(943, 19, 15), "AFT-simple over 19 tokens, large keys")
    model = randomize(AFTLocal(max_seqlen=21, dim=13, hidden_dim=10, s=4), 950)
    x = normal(951, (17, 13), 0.0, 1.0).float()
    case("aft_local", model, x, "AFT-local, window 4, 17 of 21 tokens; what the file has outside of the window is arbitrary")

    rank, count = 5, 15
    model = randomize(AFTFull(max_seqlen=count, dim=14, hidden_dim=11), 960)
    u, v = (normal(961 + k, (count, rank), 0.0, 0.6).float().double() for k in range(2))
    with torch.no_grad():
        model.double().wbias.copy_(u @ v.T)
    state = {**{key: value for key, value in model.state_dict().items() if key != "wbias"}, "u": u, "v": v}
    case("aft_full_low_rank", model, normal(963, (count, 14), 0.0, 1.0).float(), "AFT-full, wbias = u v^T of rank 5", state=state)

    count, window = 23, 5
    versions = {**TORCH, "labml-nn": version("labml-nn")}

    def causal(m, x):
        mask = torch.ones(len(x), len(x)).tril().bool()[:, :, None]
        return m(query=x[:, None], key=x[:, None], value=x[:, None], mask=mask)[:, 0]

    for name, size in (("aft_local_causal", 1.5), ("aft_local_causal_later_keys", 40)):
        model = randomize(LabmlLocal(11, count, window), 970)
        mask = LabmlLocal.create_local_mask(count, window)
        with torch.no_grad():
            model.local_mask = torch.nn.Parameter(mask, requires_grad=False)
            model.pos_bias.mul_(4)
            exact_keys(model, "key", 971, size)
        x = quarters(973, count, 11)
        if size > 2:
            x[15:] *= 2
            keys = model.key(x).detach()
            assert (keys[20] - keys[:4].amax(0)).max() > 88
        state = {key: value for key, value in model.state_dict().items() if key != "local_mask"}
        case(name, model, x, "AFT-local, causal, window 5" + (", later keys above earlier ones by more than 88" if size > 2 else ""),
             causal, {**state, "local_mask": mask}, versions, bind="labml")

    model = randomize(LabmlLocal(14, 18, 1), 980)
    with torch.no_grad():
        model.pos_bias.zero_()
        exact_keys(model, "key", 981, 30)
    x = quarters(983, 18, 14)
    x[9:] *= 2
    names = {"query": "to_q", "key": "to_k", "value": "to_v", "output": "project"}
    state = {f"{names[key.split('.')[0]]}.{key.split('.')[1]}": value for key, value in model.state_dict().items() if "." in key}
    case("aft_simple_causal", model, x, "AFT-simple, causal (AFT-local without biases), large keys, later ones larger", causal, state, versions)


def aft_conv_by_sums(x, weights, columns, heads, window, dtype):
    """The paper's equation, pair by pair: w for the keys in the square around a token, 0 for all others."""
    x, w = x.astype(dtype), {key: value.astype(dtype) for key, value in weights.items()}
    q, k, v = (x @ w[f"to_{c}.weight"].T + w[f"to_{c}.bias"] for c in "qkv")
    filters = w["conv.weight"]
    flat = filters.reshape(heads, -1)
    flat = (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True) * w["conv.gamma"][:, None] + w["conv.beta"][:, None]
    filters, around, each = flat.reshape(filters.shape), window // 2, v.shape[1] // heads
    y = np.empty_like(q)
    for t in range(len(x)):
        for h in range(heads):
            logits = k[:, h].copy()
            for s in range(len(x)):
                a, b = s // columns - t // columns + around, s % columns - t % columns + around
                if 0 <= a < window and 0 <= b < window:
                    logits[s] += filters[h, a, b]
            share = np.exp(logits - logits.max())
            y[t, h * each:(h + 1) * each] = share @ v[:, h * each:(h + 1) * each] / share.sum()
    y = y / (1 + np.exp(-q))
    return y @ w["project.weight"].T + w["project.bias"]


def aft_conv():
    for name, columns, rows, width, heads, window, size in (("aft_conv", 7, 5, 12, 3, 3, 0), ("aft_conv_large_keys", 5, 6, 14, 7, 5, 60)):
        seed = 990 + heads
        weights = {f"to_{c}.weight": normal(seed + 10 * k, (heads if c == "k" else width, width), 0.0, 1.2 / width ** 0.5)
                   for k, c in enumerate("qkv")}
        weights |= {f"to_{c}.bias": normal(seed + 10 * k + 1, (heads if c == "k" else width,), 0.1, 0.3) for k, c in enumerate("qkv")}
        weights |= {"project.weight": normal(seed + 40, (width, width), 0.0, 1.2 / width ** 0.5),
                    "project.bias": normal(seed + 41, (width,), 0.1, 0.3), "conv.weight": normal(seed + 42, (heads, window, window), 0.3, 1.4),
                    "conv.gamma": normal(seed + 43, (heads,), 0.7, 0.2), "conv.beta": normal(seed + 44, (heads,), 0.4, 0.2)}
        x = quarters(seed + 45, rows * columns, width)
        if size:
            weights["to_k.weight"] = torch.round(4 * normal(seed + 46, (heads, width), 0.0, size / width ** 0.5)) / 4
            weights["to_k.bias"] = torch.round(4 * normal(seed + 47, (heads,), 0.0, 1.0)) / 4
        weights = {key: value.float() for key, value in weights.items()}
        arrays = {key: value.numpy() for key, value in weights.items()}
        wide, narrow = ({"y": aft_conv_by_sums(x.numpy(), arrays, columns, heads, window, dtype)} for dtype in (np.float64, np.float32))
        write_case(name, wide, narrow, {"x": x}, weights, {"numpy": np.__version__},
                   about=f"AFT-conv by its equation, pair by pair: a map of {rows} x {columns}, {heads} heads, window {window}"
                   + (", keys up to 150" if size else ""))


def bert():
    versions = {"transformers": transformers.__version__, **TORCH}

    def checkpoint(model):
        with tempfile.TemporaryDirectory() as folder:
            model.float().save_pretrained(folder)
            return (pathlib.Path(folder) / "model.safetensors").read_bytes()

    config = dict(num_hidden_layers=2, attn_implementation="eager", initializer_range=0.5)
    model = randomize(BertForMaskedLM(BertConfig(vocab_size=83, hidden_size=21, num_attention_heads=3, intermediate_size=45,
                                                 max_position_embeddings=31, type_vocab_size=3, hidden_act="gelu_new", **config)), 1000)
    model.tie_weights()
    count = 19
    words, kinds = ids(1001, count, 83), ids(1002, count, 3)
    mask = torch.ones(count, dtype=torch.int64)
    mask[[3, 11, 16, 17, 18]] = 0
    wide, narrow = run_both(model, lambda m, to: {"logits": m(input_ids=words[None], token_type_ids=kinds[None],
                                                              attention_mask=mask[None]).logits[0]})
    state = checkpoint(model)
    assert b"cls.predictions.decoder.weight" not in state
    write_case("bert_masked_lm", wide, narrow, {"ids": words.int().numpy(), "types": kinds.int().numpy(), "mask": mask.int().numpy()},
               state, versions, about="BertForMaskedLM: attention mask with holes, three token types, gelu_new, the decoder tied and absent "
               "from the file, 19 tokens of 31, hidden 45")

    model = randomize(BertForPreTraining(BertConfig(vocab_size=61, hidden_size=24, num_attention_heads=4, intermediate_size=37,
                                                    max_position_embeddings=16, **config)), 1010)
    model.tie_weights()
    count = 13
    words, kinds = ids(1011, count, 61), ids(1012, count, 2)
    mask = (torch.arange(count) < 9).long()

    def call(m, to):
        out = m(input_ids=words[None], token_type_ids=kinds[None], attention_mask=mask[None])
        return {"logits": out.prediction_logits[0], "follows": out.seq_relationship_logits[0]}

    wide, narrow = run_both(model, call)
    old = {}
    for key, value in model.float().state_dict().items():
        if "decoder" in key:
            continue
        old[key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")] = value.clone()
    old["bert.embeddings.position_ids"] = torch.arange(16)[None]
    assert "bert.embeddings.LayerNorm.gamma" in old
    write_case("bert_old_names", wide, narrow, {"ids": words.numpy(), "types": kinds.numpy(), "mask": mask.int().numpy()}, old, versions,
               bind="gamma_beta", about="BertForPreTraining under the names of the first files (gamma, beta, position_ids): both heads, "
               "four tokens masked, hidden 37")


def generate():
    gmlp()
    aft()
    aft_conv()
    bert()
