"""Cases from Hugging Face's transformers: ViT with and without head, BERT, FNet. The checkpoints are the files that
save_pretrained writes."""
import pathlib
import tempfile

import torch
import transformers
from transformers import BertConfig, BertModel, FNetConfig, FNetModel, ViTConfig, ViTForImageClassification, ViTModel

from common import pixels, randomize, run_both, write_case

VERSIONS = {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}


def checkpoint(model):
    with tempfile.TemporaryDirectory() as folder:
        model.float().save_pretrained(folder)
        return (pathlib.Path(folder) / "model.safetensors").read_bytes()


def ids(seed, count, below):
    return torch.randint(0, below, (count,), generator=torch.Generator().manual_seed(seed))


def generate():
    config = dict(num_channels=3, attn_implementation="eager")
    model = randomize(ViTForImageClassification(ViTConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=53,
                                                          image_size=(20, 12), patch_size=4, num_labels=10, **config)), 700)
    x = pixels(701, 3, 20, 12)
    wide, narrow = run_both(model, lambda m, to: {"logits": m(pixel_values=to(x)[None]).logits[0]})
    write_case("vit_huggingface", wide, narrow, {"pixels": x}, checkpoint(model), VERSIONS, bind="huggingface",
               about="ViTForImageClassification, layernorm 1e-12, hidden 53")

    model = randomize(ViTModel(ViTConfig(hidden_size=22, num_hidden_layers=2, num_attention_heads=2, intermediate_size=61, image_size=(12, 28),
                                         patch_size=4, **config)), 710)
    x = pixels(711, 3, 12, 28)

    def vit(m, to):
        out = m(pixel_values=to(x)[None])
        return {"tokens": out.last_hidden_state[0], "pooled": out.pooler_output[0]}

    wide, narrow = run_both(model, vit)
    write_case("vit_huggingface_features", wide, narrow, {"pixels": x}, checkpoint(model), VERSIONS,
               bind="huggingface_encoder", about="ViTModel with its pooler: two outputs, hidden 61")

    model = randomize(BertModel(BertConfig(vocab_size=97, hidden_size=26, num_hidden_layers=2, num_attention_heads=2, intermediate_size=59,
                                           max_position_embeddings=24, attn_implementation="eager")), 720)
    words, kinds = ids(721, 17, 97), ids(722, 17, 2)

    def bert(m, _):
        out = m(input_ids=words[None], token_type_ids=kinds[None])
        return {"tokens": out.last_hidden_state[0], "pooled": out.pooler_output[0]}

    wide, narrow = run_both(model, bert)
    write_case("bert", wide, narrow, {"ids": words.numpy(), "types": kinds.int().numpy()}, checkpoint(model), VERSIONS,
               about="BertModel: ids as i64, types as i32, 17 tokens of 24 positions, hidden 59; two outputs")

    model = randomize(FNetModel(FNetConfig(vocab_size=53, hidden_size=19, num_hidden_layers=2, intermediate_size=37,
                                           max_position_embeddings=13, type_vocab_size=4, use_tpu_fourier_optimizations=False)), 730)
    words, kinds = ids(731, 13, 53), ids(732, 13, 4)
    wide, narrow = run_both(model, lambda m, _: {"tokens": m(input_ids=words[None], token_type_ids=kinds[None]).last_hidden_state[0]})
    write_case("fnet", wide, narrow, {"ids": words.int().numpy(), "types": kinds.int().numpy()}, checkpoint(model), VERSIONS,
               about="FNetModel: cosine and sine tables instead of attention, gelu_new, 13 tokens of width 19")

    model = randomize(FNetModel(FNetConfig(vocab_size=61, hidden_size=24, num_hidden_layers=2, intermediate_size=50,
                                           max_position_embeddings=20, type_vocab_size=2, use_tpu_fourier_optimizations=False)), 740)
    words, kinds = ids(741, 16, 61), ids(742, 16, 2)

    def fnet(m, _):
        out = m(input_ids=words[None], token_type_ids=kinds[None])
        return {"tokens": out.last_hidden_state[0], "pooled": out.pooler_output[0]}

    wide, narrow = run_both(model, fnet)
    write_case("fnet_pooled", wide, narrow, {"ids": words.int().numpy(), "types": kinds.int().numpy()}, checkpoint(model), VERSIONS,
               about="FNetModel with its pooler: 16 tokens of 20 positions, the library's whole model; two outputs")
