"""What is measured: a model file of ours beside a PyTorch module that computes the same with the same names of weights. Modules come from timm and
transformers by name, or from modules.py; FORMS are second ways to write a part, since which one an engine likes better is not ours to guess."""
import dataclasses
import importlib
import math
import types

import numpy as np


@dataclasses.dataclass
class Case:
    name: str
    gm: str                      # path from the top of the repository
    module: callable             # makes the module, with whatever weights
    inputs: callable             # batch -> {name of the model's input: array with the batch in front}
    sets: dict = dataclasses.field(default_factory=dict)
    bind: str = ''
    model: str = ''              # which of the file
    forms: dict = dataclasses.field(default_factory=dict)  # name -> function that rewrites the module's forward methods in place
    title: str = ''

    def build(self):
        """The module with seeded weights that hide nothing: no zero, no identity."""
        import torch
        torch.manual_seed(1)
        module = self.module().eval()
        with torch.no_grad():
            for value in module.parameters():
                if value.dim() >= 2 and value.shape[0] > 1:
                    value.normal_(0, 1 / math.sqrt(value[0].numel()))
                else:
                    value.add_(torch.randn_like(value) * 0.05)
            for name, value in module.named_buffers():
                if name.endswith('running_mean'):
                    value.normal_(0, 0.1)
                elif name.endswith('running_var'):
                    value.uniform_(0.5, 1.5)
        return module.requires_grad_(False)


def image(size, name='pixels'):
    def make(batch):
        return {name: np.random.default_rng(2).standard_normal((batch, 3, size, size), dtype=np.float32)}
    return make


def tokens(words, **lengths):
    """Word pieces; what is called mask is all ones, types are all zeros."""
    def make(batch):
        draw = np.random.default_rng(2)
        values = {'mask': lambda shape: np.ones(shape, np.int64), 'types': lambda shape: np.zeros(shape, np.int64)}
        return {name: values.get(name, lambda shape: draw.integers(0, words, shape))((batch, length)) for name, length in lengths.items()}
    return make


def samples(name, count):
    def make(batch):
        return {name: np.random.default_rng(2).standard_normal((batch, count), dtype=np.float32)}
    return make


def regions_and_words(batch):
    """Ids from 1 on; the last place has none."""
    draw = np.random.default_rng(2)
    ids = draw.integers(1, 13746, (batch, 20))
    ids[:, -1] = 0
    return {'regions': draw.standard_normal((batch, 196, 512), dtype=np.float32), 'ids': ids}


def ours(name, source='modules'):
    def make():
        return getattr(importlib.import_module(source), name)()
    return make


def text(name):
    return ours(name, 'modules_language')


def rewritten(name, source='modules'):
    def rewrite(module):
        getattr(importlib.import_module(source), name)(module)
    return rewrite


def timm_model(name, **options):
    def make():
        import timm
        return timm.create_model(name, **options)
    return make


# ---- token mixing as W x instead of transpose, dense layer, transpose

def mix(layer, x):
    return layer.weight @ x + layer.bias[:, None]


def gate_matmul(module):
    def forward(self, x):
        u, v = x.chunk(2, dim=-1)
        return u * mix(self.proj, self.norm(v))
    for part in module.modules():
        if type(part).__name__ == 'SpatialGatingUnit':
            part.forward = types.MethodType(forward, part)


def mixer_matmul(module):
    def forward(self, x):
        y = self.norm1(x)
        x = x + mix(self.mlp_tokens.fc2, self.mlp_tokens.act(mix(self.mlp_tokens.fc1, y)))
        return x + self.mlp_channels(self.norm2(x))
    for part in module.modules():
        if type(part).__name__ == 'MixerBlock':
            part.forward = types.MethodType(forward, part)


def resmlp_matmul(module):
    def forward(self, x):
        x = x + self.ls1 * mix(self.linear_tokens, self.norm1(x))
        return x + self.ls2 * self.mlp_channels(self.norm2(x))
    for part in module.modules():
        if type(part).__name__ == 'ResBlock':
            part.forward = types.MethodType(forward, part)


def plain_attention(module):
    """softmax(Q K') V spelt out, where the module calls the fused operator."""
    for part in module.modules():
        if hasattr(part, 'fused_attn'):
            part.fused_attn = False


CASES = [
    Case('gmlp_s16', 'examples/gmlp_s16/gmlp_s16.gm', timm_model('gmlp_s16_224'), image(224), forms={'matmul': gate_matmul}, title='gMLP-S/16'),
    Case('gmlp_ti16', 'examples/gmlp_s16/gmlp_s16.gm', timm_model('gmlp_ti16_224'), image(224), {'DIM': 128}, forms={'matmul': gate_matmul}, title='gMLP-Ti/16'),
    Case('mixer_b16', 'examples/mixer_b16/mixer_b16.gm', timm_model('mixer_b16_224'), image(224), forms={'matmul': mixer_matmul}, title='Mixer-B/16'),
    Case('mixer_s16', 'examples/mixer_b16/mixer_b16.gm', timm_model('mixer_s16_224'), image(224), {'DIM': 512, 'DEPTH': 8}, forms={'matmul': mixer_matmul},
         title='Mixer-S/16'),
    Case('resmlp_s24', 'examples/resmlp_s24/resmlp_s24.gm', timm_model('resmlp_24_224'), image(224), forms={'matmul': resmlp_matmul}, title='ResMLP-S24'),
    Case('vit_s16', 'examples/vit_s16/vit_s16.gm', timm_model('vit_small_patch16_224'), image(224), forms={'plain': plain_attention}, title='ViT-S/16'),
    # the other full-size examples
    Case('swin_t', 'examples/swin_t/swin_t.gm', timm_model('swin_tiny_patch4_window7_224'), image(224), forms={'plain': plain_attention}, title='Swin-T'),
    Case('poolformer_s12', 'examples/poolformer_s12/poolformer_s12.gm', timm_model('poolformer_s12'), image(224), title='PoolFormer-S12'),
    Case('convmixer_768_32', 'examples/convmixer_768_32/convmixer_768_32.gm', timm_model('convmixer_768_32'), image(224), title='ConvMixer-768/32'),
    Case('convmixer_1024_20', 'examples/convmixer_1024_20/convmixer_1024_20.gm', timm_model('convmixer_1024_20_ks9_p14'), image(224), title='ConvMixer-1024/20'),
    Case('cyclemlp_b1', 'examples/cyclemlp_b1/cyclemlp_b1.gm', ours('cyclemlp_b1'), image(224), title='CycleMLP-B1'),
    Case('vip_s7', 'examples/vip_s7/vip_s7.gm', ours('vip_s7'), image(224), title='ViP-Small/7'),
    Case('s2mlp_wide', 'examples/s2mlp_wide/s2mlp_wide.gm', ours('S2Mlp'), image(224), title='S2-MLP-wide'),
    Case('minilm', 'examples/minilm/minilm.gm', text('sentence_encoder'), tokens(30522, ids=64, mask=64), model='minilm_64', title='MiniLM-L6, 64 tokens'),
    Case('fnet_base', 'examples/fnet_base/fnet_base.gm', text('fnet_base'), tokens(32000, ids=512, types=512), forms={'products': rewritten('fourier_products', 'modules_language')}, title='FNet-Base'),
    Case('aft_full_tiny', 'examples/aft/aft.gm', ours('aft_full_tiny'), image(224), model='aft_full_tiny', title='AFT-full tiny'),
    Case('aft_conv_tiny', 'examples/aft/aft.gm', ours('aft_conv_tiny'), image(224), model='aft_conv_tiny', title='AFT-conv tiny'),
    Case('gmlp_language', 'examples/gmlp_language/gmlp_language.gm', text('GmlpLanguage'), tokens(32000, ids=128), model='gmlp_ablation', title='gMLP for language, 128 tokens'),
    Case('aft_full_small', 'examples/aft/aft.gm', ours('aft_full_small'), image(224), model='aft_full_small', title='AFT-full small'),
    Case('aft_conv_small', 'examples/aft/aft.gm', ours('aft_conv_small'), image(224), model='aft_conv_small', title='AFT-conv small'),
    Case('bert_base', 'examples/bert/bert.gm', text('bert_base'), tokens(30522, ids=128, types=128, mask=128), model='bert_base', title='BERT-Base, 128 tokens'),
    Case('bert_base_masked', 'examples/bert/bert.gm', text('MaskedBert'), tokens(30522, ids=128, types=128, mask=128), model='bert_base_masked',
         title='BERT-Base, masked language model'),
    Case('san_lstm', 'examples/san_vqa/san_vqa.gm', ours('san_lstm'), regions_and_words, model='san_lstm', title='SAN, LSTM'),
    Case('san_conv', 'examples/san_vqa/san_vqa.gm', ours('san_conv'), regions_and_words, model='san_conv', title='SAN, convolutional'),
    Case('ltpa_vgg', 'examples/ltpa_vgg/ltpa_vgg.gm', ours('AttentionVgg'), image(32), title='VGG with attention modules'),
    Case('kw_mlp', 'examples/kw_mlp/kw_mlp.gm', ours('Keywords'), samples('samples', 16000), forms={'convolution': rewritten('cepstrum_convolution')}, title='KW-MLP, from samples'),
    Case('kjv', 'examples/kjv/kjv.gm', text('Bible'), tokens(1024, ids=128), title='kjv, a causal aMLP'),
    Case('amlp_base', 'examples/gmlp_language/gmlp_language.gm', text('amlp_base'), tokens(32000, ids=512), model='amlp_base', title='aMLP-Base, language'),
    Case('gmlp_base', 'examples/gmlp_language/gmlp_language.gm', text('gmlp_base'), tokens(32000, ids=512), model='gmlp_base', title='gMLP-Base, language'),
    *(Case(f'combiner_{form}', 'examples/combiner/combiner.gm', ours(f'combiner_{form}', 'modules_combiner'), tokens(32000, ids=2048), model=f'combiner_{form}_lm',
           title=f'Combiner, {name}, 2,048 tokens') for form, name in (('fixed', 'fixed'), ('logsparse', 'log-sparse'), ('axial', 'axial'), ('mixture', 'axial mixture'))),
]


def find(name):
    for case in CASES:
        if case.name == name:
            return case
    raise SystemExit(f"no case '{name}': {', '.join(case.name for case in CASES)}")
