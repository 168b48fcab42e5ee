"""Cases under Google's names: MLP-Mixer and ViT as .npz of flax arrays. The numbers come from timm's modules with the GELU that
google-research/vision_transformer uses (flax nn.gelu: tanh form), and once more with the exact form that timm itself runs."""
import numpy as np
import timm
import torch
from timm.models.mlp_mixer import MlpMixer
from timm.models.vision_transformer import VisionTransformer

from common import pixels, randomize, run_both, to_numpy, write_case

VERSIONS = {"timm": timm.__version__, "torch": torch.__version__.split("+")[0]}


def tanh_gelu(module):
    for child in module.modules():
        if isinstance(child, torch.nn.GELU):
            child.approximate = "tanh"
    return module


def dense(out, name, state, key):
    out[f"{name}/kernel"] = to_numpy(state[f"{key}.weight"].T)
    out[f"{name}/bias"] = to_numpy(state[f"{key}.bias"])


def norm(out, name, state, key):
    out[f"{name}/scale"] = to_numpy(state[f"{key}.weight"])
    out[f"{name}/bias"] = to_numpy(state[f"{key}.bias"])


def convolution(out, name, state, key):
    out[f"{name}/kernel"] = to_numpy(state[f"{key}.weight"].permute(2, 3, 1, 0))
    out[f"{name}/bias"] = to_numpy(state[f"{key}.bias"])


def mixer_arrays(state, depth):
    out = {}
    convolution(out, "stem", state, "stem.proj")
    for i in range(depth):
        norm(out, f"MixerBlock_{i}/LayerNorm_0", state, f"blocks.{i}.norm1")
        norm(out, f"MixerBlock_{i}/LayerNorm_1", state, f"blocks.{i}.norm2")
        for ours, theirs in (("token_mixing", "mlp_tokens"), ("channel_mixing", "mlp_channels")):
            dense(out, f"MixerBlock_{i}/{ours}/Dense_0", state, f"blocks.{i}.{theirs}.fc1")
            dense(out, f"MixerBlock_{i}/{ours}/Dense_1", state, f"blocks.{i}.{theirs}.fc2")
    norm(out, "pre_head_layer_norm", state, "norm")
    dense(out, "head", state, "head")
    return out


def vit_arrays(state, depth, dim, heads):
    out = {"cls": to_numpy(state["cls_token"]), "Transformer/posembed_input/pos_embedding": to_numpy(state["pos_embed"])}
    convolution(out, "embedding", state, "patch_embed.proj")
    each = dim // heads
    for i in range(depth):
        block = f"Transformer/encoderblock_{i}"
        norm(out, f"{block}/LayerNorm_0", state, f"blocks.{i}.norm1")
        norm(out, f"{block}/LayerNorm_2", state, f"blocks.{i}.norm2")
        weights = state[f"blocks.{i}.attn.qkv.weight"].reshape(3, heads, each, dim)
        biases = state[f"blocks.{i}.attn.qkv.bias"].reshape(3, heads, each)
        for part, name in enumerate(("query", "key", "value")):
            out[f"{block}/MultiHeadDotProductAttention_1/{name}/kernel"] = to_numpy(weights[part].permute(2, 0, 1))
            out[f"{block}/MultiHeadDotProductAttention_1/{name}/bias"] = to_numpy(biases[part])
        out[f"{block}/MultiHeadDotProductAttention_1/out/kernel"] = to_numpy(
            state[f"blocks.{i}.attn.proj.weight"].reshape(dim, heads, each).permute(1, 2, 0))
        out[f"{block}/MultiHeadDotProductAttention_1/out/bias"] = to_numpy(state[f"blocks.{i}.attn.proj.bias"])
        dense(out, f"{block}/MlpBlock_3/Dense_0", state, f"blocks.{i}.mlp.fc1")
        dense(out, f"{block}/MlpBlock_3/Dense_1", state, f"blocks.{i}.mlp.fc2")
    norm(out, "Transformer/encoder_norm", state, "norm")
    dense(out, "head", state, "head")
    return out


class Representation(torch.nn.Module):
    """A ViT with the layer that Google's in21k models have before the head: tanh(pre_logits(class token))."""

    def __init__(self, vit, width):
        super().__init__()
        self.vit = vit
        self.pre_logits = torch.nn.Linear(vit.embed_dim, width)
        self.head = torch.nn.Linear(width, vit.num_classes)

    def forward(self, x):
        return self.head(torch.tanh(self.pre_logits(self.vit.forward_features(x)[:, 0])))


def representation_arrays(state, depth, dim, heads):
    inner = {key.removeprefix("vit."): value for key, value in state.items()}
    out = vit_arrays(inner, depth, dim, heads)
    dense(out, "pre_logits", state, "pre_logits")
    dense(out, "head", state, "head")
    return out


def big_vision_arrays(state, depth, dim, heads, stacked=False):
    """google-research/big_vision: other numbers, positions beside the transformer, params/ before all; stacked: depth is an axis."""
    numbers = (("LayerNorm_2", "LayerNorm_1"), ("MultiHeadDotProductAttention_1", "MultiHeadDotProductAttention_0"), ("MlpBlock_3", "MlpBlock_0"),
               ("Transformer/posembed_input/pos_embedding", "pos_embedding"))
    out = {}
    for name, value in vit_arrays({"cls_token": state["pos_embed"][:, :1], **state}, depth, dim, heads).items():
        for google, big_vision in numbers:
            name = name.replace(google, big_vision)
        if name != "cls" or "cls_token" in state:
            out["params/" + name] = value
    if stacked:
        for name in [name for name in out if "/encoderblock_0/" in name]:
            layers = [out.pop(name.replace("encoderblock_0", f"encoderblock_{i}")) for i in range(depth)]
            out[name.replace("encoderblock_0", "encoderblock")] = np.stack(layers)
    return out


def case(name, model, seed, image, arrays, *, tanh, form, about, bind="google", forms_differ=True):
    model = randomize(model, seed)
    if tanh:
        tanh_gelu(model)
    x = pixels(seed + 1, 3, *image)
    wide, narrow = run_both(model, lambda m, to: {"logits": m(to(x)[None])[0]})
    write_case(name, wide, narrow, {"pixels": x}, arrays(model.float().state_dict()), VERSIONS, bind=bind,
               sets=["ACT=gelu_tanh"] if tanh else ["ACT=gelu"], wrong=([] if not forms_differ else ["ACT=gelu"] if tanh else ["ACT=gelu_tanh"]), form=form, about=about)


def generate():
    def mixer(depth):
        return MlpMixer(num_classes=10, img_size=(24, 20), patch_size=4, num_blocks=depth, embed_dim=32)

    def vit(depth):
        return VisionTransformer(img_size=(12, 20), patch_size=4, num_classes=7, embed_dim=24, depth=depth, num_heads=3)

    case("mixer_google_tanh", mixer(11), 600, (24, 20), lambda s: mixer_arrays(s, 11), tanh=True, form="npz",
         about="Google's Mixer names (MixerBlock_10 after MixerBlock_9), tanh GELU as in flax")
    case("mixer_google_exact", mixer(2), 610, (24, 20), lambda s: mixer_arrays(s, 2), tanh=False, form="npz-compressed",
         about="Google's Mixer names, exact GELU as timm runs such weights; deflated")
    case("vit_google_tanh", vit(2), 620, (12, 20), lambda s: vit_arrays(s, 2, 24, 3), tanh=True, form="npz-compressed",
         about="Google's ViT names, tanh GELU as in flax; deflated")
    inner = VisionTransformer(img_size=(12, 12), patch_size=4, num_classes=7, embed_dim=24, depth=2, num_heads=3)
    case("vit_google_representation", Representation(inner, 31), 640, (12, 12), lambda s: representation_arrays(s, 2, 24, 3), tanh=True,
         form="npz", about="Google's ViT with pre_logits of 31 and tanh before the head")
    case("vit_google_exact", vit(3), 630, (12, 20), lambda s: vit_arrays(s, 3, 24, 3), tanh=False, form="npz",
         about="Google's ViT names, exact GELU as timm runs such weights")
    with_class = VisionTransformer(img_size=(12, 20), patch_size=4, num_classes=7, embed_dim=24, depth=2, num_heads=3, no_embed_class=True)
    case("vit_big_vision", with_class, 650, (12, 20), lambda s: big_vision_arrays(s, 2, 24, 3), tanh=True, form="npz-compressed",
         about="big_vision's ViT names, a class token", bind="big_vision")
    mean = VisionTransformer(img_size=(20, 12), patch_size=4, num_classes=5, embed_dim=18, depth=3, num_heads=2, class_token=False,
                             global_pool="avg", fc_norm=False)
    case("vit_big_vision_stacked", mean, 660, (20, 12), lambda s: big_vision_arrays(s, 3, 18, 2, stacked=True), tanh=True, form="npz",
         about="big_vision's ViT names, blocks along an axis, the mean after the norm", bind="big_vision_stacked", forms_differ=False)
