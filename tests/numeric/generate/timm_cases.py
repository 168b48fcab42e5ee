"""Cases from timm: gMLP, Mixer, gMixer, ResMLP (also under Facebook's names), ViT in its variants, distilled DeiT, Swin,
ConvMixer, PoolFormer."""
from functools import partial

import timm
import torch
from timm.layers import GatedMlp, GluMlp, GroupNorm1
from timm.models.convmixer import ConvMixer
from timm.models.deit import VisionTransformerDistilled
from timm.models.metaformer import MetaFormer
from timm.models.mlp_mixer import Affine, MlpMixer, ResBlock, SpatialGatingBlock
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer

from common import pixels, randomize, rounded, run_both, write_case

VERSIONS = {"timm": timm.__version__, "torch": torch.__version__.split("+")[0]}


def classifier(name, model, seed, image, *, dtype=torch.float32, channels=3, about="", rename=None, output="logits"):
    model = rounded(randomize(model, seed), dtype)
    x = pixels(seed + 1, channels, *image)
    wide, narrow = run_both(model, lambda m, to: {output: m(to(x)[None])[0]})
    state = {key: value.to(dtype) for key, value in model.float().state_dict().items()}
    if rename:
        state, bind = rename(state)
    else:
        bind = None
    write_case(name, wide, narrow, {"pixels": x}, state, VERSIONS, bind=bind, about=about)


def gmlp(image, patch, dim, ratio, depth, classes, channels=3):
    return MlpMixer(num_classes=classes, img_size=image, in_chans=channels, patch_size=patch, num_blocks=depth, embed_dim=dim,
                    mlp_ratio=ratio, block_layer=SpatialGatingBlock, mlp_layer=GatedMlp)


def mixer(image, patch, dim, depth, classes, channels=3, **more):
    return MlpMixer(num_classes=classes, img_size=image, in_chans=channels, patch_size=patch, num_blocks=depth, embed_dim=dim, **more)


def facebook(state):
    """timm's ResMLP under the names and shapes of facebookresearch/deit."""
    out = {}
    for key, value in state.items():
        key = key.replace("stem.", "patch_embed.").replace("linear_tokens", "attn").replace("mlp_channels", "mlp")
        key = key.replace(".ls1", ".gamma_1").replace(".ls2", ".gamma_2")
        out[key] = value.reshape(-1) if key.endswith(("alpha", "beta")) else value
    return out, "facebook"


def generate():
    classifier("gmlp_square", gmlp((32, 32), 8, 24, 6, 2, 10), 100, (32, 32), about="gMLP, 16 tokens, the library's whole model")
    classifier("gmlp_5x7", gmlp((35, 49), 7, 29, 2.56, 3, 13), 110, (35, 49),
               about="gMLP, 5 x 7 patches, width 29, hidden 74: library blocks")
    classifier("gmlp_prime_plain", gmlp((26, 2), 2, 31, 46 / 31 + 1e-9, 2, 17), 120, (26, 2),
               about="gMLP, 13 tokens in a column, width 31, hidden 46: plain equations, no import")
    classifier("gmlp_one_token", gmlp((6, 6), 6, 19, 2, 2, 7), 130, (6, 6), about="gMLP with a single token")
    classifier("gmlp_deep_f16", gmlp((24, 40), 8, 32, 4, 6, 11), 140, (24, 40), dtype=torch.float16,
               about="gMLP, six blocks, checkpoint in f16")
    classifier("mixer_prime", mixer((24, 16), 4, 23, 2, 10), 200, (24, 16), about="Mixer, 6 x 4 patches, width 23, token hidden 11")
    classifier("mixer_plain", mixer((21, 9), 3, 37, 2, 5), 210, (21, 9), about="Mixer, 7 x 3 patches, width 37: plain equations")
    classifier("gmixer", mixer((20, 12), 4, 26, 2, 9, mlp_ratio=(1.0, 4.0), mlp_layer=GluMlp, act_layer=torch.nn.SiLU), 220, (20, 12),
               about="gMixer, 15 tokens, width 26")
    classifier("gmixer_prime", mixer((22, 2), 2, 34, 2, 11, mlp_ratio=(1.0, 4.0), mlp_layer=GluMlp, act_layer=torch.nn.SiLU), 230,
               (22, 2), about="gMixer, 11 tokens, width 34, halves of 17")
    resmlp = partial(mixer, block_layer=partial(ResBlock, init_values=0.1), norm_layer=Affine, mlp_ratio=4)
    classifier("resmlp_prime", resmlp((20, 20), 4, 41, 3, 10), 300, (20, 20), about="ResMLP, 25 tokens, width 41, timm's names")
    classifier("resmlp_facebook", resmlp((12, 20), 4, 24, 2, 6), 310, (12, 20), rename=facebook,
               about="ResMLP under the names and shapes of facebookresearch/deit")

    def vit(image, patch, dim, depth, heads, classes, **more):
        return VisionTransformer(img_size=image, patch_size=patch, num_classes=classes, embed_dim=dim, depth=depth, num_heads=heads,
                                 **more)

    classifier("vit_class_token", vit((32, 32), 8, 24, 2, 3, 10), 400, (32, 32), about="ViT with class token")
    classifier("vit_average", vit((12, 20), 4, 30, 2, 5, 7, global_pool="avg"), 410, (12, 20),
               about="ViT, mean over the patches, then fc_norm; the class token takes part but is not pooled")
    classifier("vit_no_class", vit((21, 15), 3, 22, 2, 2, 9, class_token=False, global_pool="avg"), 420, (21, 15),
               about="ViT without class token")
    classifier("vit_registers", vit((16, 24), 4, 28, 2, 4, 8, reg_tokens=4, no_embed_class=True, init_values=0.1), 430, (16, 24),
               about="ViT with four registers, positions on patches alone, layer scale")
    classifier("vit_registers_embedded", vit((8, 28), 4, 18, 2, 3, 5, reg_tokens=3, qkv_bias=False), 440, (8, 28),
               about="ViT with three registers, positions on all tokens, no qkv bias")
    classifier("vit_qk_norm", vit((15, 25), 5, 33, 2, 3, 10, qk_norm=True), 450, (15, 25), about="ViT with qk norm, heads of 11")
    classifier("vit_one_token", vit((7, 7), 7, 13, 2, 1, 6, class_token=False, global_pool="avg"), 460, (7, 7),
               about="ViT with a single token, width 13")
    classifier("vit_scale_bf16", vit((24, 24), 8, 40, 4, 4, 10, init_values=0.1, global_pool="avg"), 470, (24, 24),
               dtype=torch.bfloat16, about="ViT with layer scale, checkpoint in bf16")
    classifier("vit_plain", vit((10, 22), 2, 26, 2, 2, 10), 480, (10, 22), about="ViT, 5 x 11 patches, plain equations")
    classifier("vit_pre_norm", vit((12, 12), 4, 20, 2, 4, 10, pre_norm=True, act_layer="quick_gelu"), 490, (12, 12),
               about="ViT as CLIP has it: norm before the blocks, quick GELU")
    distilled = VisionTransformerDistilled(img_size=(20, 12), patch_size=4, num_classes=10, embed_dim=21, depth=2, num_heads=3)
    classifier("deit_distilled", distilled, 500, (20, 12), about="DeiT with a distillation token: the mean of both heads")
    swin = SwinTransformer(img_size=(28, 44), patch_size=2, num_classes=10, embed_dim=12, depths=(2, 2), num_heads=(2, 4), window_size=4,
                           norm_layer=partial(torch.nn.LayerNorm, eps=1e-5))
    classifier("swin", swin, 510, (28, 44), about="Swin: 14 x 22 map padded to windows of 4, shifted; merged to 7 x 11; plain equations")
    classifier("swin_odd", SwinTransformer(img_size=(39, 57), patch_size=3, num_classes=9, embed_dim=15, depths=(2, 3), num_heads=(3, 2),
                                           window_size=4, mlp_ratio=3.0), 520, (39, 57),
               about="Swin: 13 x 19 map padded to 16 x 20, odd map merged to 7 x 10; the library's whole model")
    classifier("swin_small_map", SwinTransformer(img_size=(16, 32), patch_size=4, num_classes=6, embed_dim=10, depths=(2, 2, 1),
                                                 num_heads=(1, 2, 5), window_size=7), 530, (16, 32),
               about="Swin: 4 x 8 map with windows of 7, so 4 x 7 shifted along rows alone; then 2 x 4 and 1 x 2")
    classifier("convmixer_timm", ConvMixer(dim=13, depth=2, kernel_size=5, patch_size=5, num_classes=7), 560, (37, 53),
               about="ConvMixer: 7 x 10 patches of 37 x 53 pixels, kernel 5")
    classifier("convmixer_even_relu", ConvMixer(dim=11, depth=3, kernel_size=6, patch_size=3, num_classes=10, act_layer=torch.nn.ReLU), 570,
               (21, 33), about="ConvMixer with ReLU and an even kernel, which pads more behind than before")
    classifier("poolformer_timm", MetaFormer(depths=[1, 2, 1], dims=[10, 15, 21], num_classes=9, downsample_norm=None, mlp_act=torch.nn.GELU,
                                             mlp_bias=True, norm_layers=GroupNorm1, layer_scale_init_values=1e-5, res_scale_init_values=None,
                                             use_mlp_head=False), 580, (45, 61),
               about="PoolFormer as timm builds it: mean, then layer norm; 11 x 15, 6 x 8, 3 x 4 cells")
