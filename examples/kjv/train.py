#!/usr/bin/env python3
"""Trains the language model of kjv.gm on the King James Bible and writes vocabulary.txt and kjv.safetensors.

    ./text FOLDER; python3 train.py FOLDER [--steps 3000] [--seconds 150] [--out kjv.safetensors]

Needs torch and safetensors; runs on one thread. With --seconds it stops after that time and keeps its state in FOLDER: run it again to
go on. The tensors' names are those of kjv.gm; what is saved is an exponential moving average of the weights, rounded to f16.
"""
import argparse
import collections
import math
import os
import re
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

PIECES, TOKENS, DIM, FFN, DEPTH, HEADS, LOOK = 1024, 128, 144, 432, 6, 8, 48


# --- the vocabulary: pieces of words, by byte pair merges; text is cut by the longest piece that fits ---------------------------------

def learn_pieces(text):
    words = collections.Counter(re.findall(r" ?[A-Za-z]+|[^A-Za-z]", text))
    cut = {word: list(word) for word in words}
    pieces = sorted(set(text))
    while len(pieces) < PIECES:
        pairs = collections.Counter()
        for word, count in words.items():
            for pair in zip(cut[word], cut[word][1:]):
                pairs[pair] += count
        a, b = max(pairs, key=lambda pair: (pairs[pair], pair))
        pieces.append(a + b)
        for parts in cut.values():
            i = 0
            while i + 1 < len(parts):
                if parts[i] == a and parts[i + 1] == b:
                    parts[i:i + 2] = [a + b]
                i += 1
    return pieces


def encode(text, pieces):
    ids = {piece: i for i, piece in enumerate(pieces)}
    longest, at, out = max(map(len, pieces)), 0, []
    while at < len(text):
        size = next(n for n in range(longest, 0, -1) if text[at:at + n] in ids)
        out.append(ids[text[at:at + size]])
        at += size
    return torch.tensor(out)


def escaped(piece):
    piece = piece.replace("\\", "\\\\").replace("\n", "\\n")
    return "\\x20" if piece == " " else piece


# --- the model -----------------------------------------------------------------------------------------------------------------------

class Look(nn.Module):
    """The tiny attention of aMLP: one head, added to the gate."""

    def __init__(self):
        super().__init__()
        self.to_qkv = nn.Linear(DIM, 3 * LOOK, bias=False)
        self.to_out = nn.Linear(LOOK, FFN // 2)

    def forward(self, x):
        q, k, v = self.to_qkv(x).chunk(3, dim=-1)
        return self.to_out(F.scaled_dot_product_attention(q, k, v, is_causal=True))


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(FFN // 2, eps=1e-5)
        self.weight = nn.Parameter(torch.randn(HEADS, TOKENS) * 1e-2)  # of the token 0, 1, 2 ... before
        self.bias = nn.Parameter(torch.ones(HEADS, TOKENS))
        distance = torch.arange(TOKENS)[:, None] - torch.arange(TOKENS)[None, :]
        self.register_buffer("distance", distance.clamp(min=0), persistent=False)
        self.register_buffer("earlier", (distance >= 0).float(), persistent=False)

    def forward(self, x, look):
        u, v = x.chunk(2, dim=-1)
        v = self.norm(v).unflatten(-1, (HEADS, -1))
        matrix = self.weight[:, self.distance] * self.earlier
        mixed = torch.einsum("hij,bjhd->bihd", matrix, v) + self.bias.t()[:, :, None]
        return u * (mixed.flatten(-2) + look)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(DIM, eps=1e-5)
        self.fc1 = nn.Linear(DIM, FFN)
        self.attn = Look()
        self.gate = Gate()
        self.fc2 = nn.Linear(FFN // 2, DIM)
        nn.init.normal_(self.fc2.weight, std=0.02)

    def forward(self, x):
        y = self.norm(x)
        return x + self.fc2(self.gate(F.gelu(self.fc1(y)), self.attn(y)))


class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(PIECES, DIM)
        nn.init.normal_(self.embed.weight, std=0.05)
        self.blocks = nn.Sequential(*[Block() for _ in range(DEPTH)])
        self.norm = nn.LayerNorm(DIM, eps=1e-5)

    def forward(self, ids):
        return self.norm(self.blocks(self.embed(ids))) @ self.embed.weight.t()


# --- training ------------------------------------------------------------------------------------------------------------------------

@torch.no_grad()
def bits_per_character(model, ids, characters):
    """Windows of TOKENS pieces, each moved on by half: the later half is counted, so that every piece is predicted once."""
    model.eval()
    half, total = TOKENS // 2, 0.0
    ids = torch.cat([ids.new_zeros(1), ids])  # piece 0, a line end, comes before the text
    for at in range(0, len(ids) - 1, half):
        begin = max(0, at - half)
        window = ids[begin:at + half + 1]
        logits = model(F.pad(window[:-1], (0, TOKENS - len(window) + 1))[None])[0, at - begin:len(window) - 1]
        total += F.cross_entropy(logits.float(), window[at - begin + 1:], reduction="sum").item()
    return total / math.log(2) / characters


def main():
    options = argparse.ArgumentParser()
    options.add_argument("folder")
    options.add_argument("--steps", type=int, default=3000)
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--rate", type=float, default=4e-3)
    options.add_argument("--seconds", type=float, default=1e9)
    options.add_argument("--out", default="kjv.safetensors")
    options.add_argument("--vocabulary", default="vocabulary.txt")
    options = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    start, state = time.time(), os.path.join(options.folder, "state.pt")

    text = {part: open(f"{options.folder}/{part}.txt", encoding="ascii").read() for part in ("train", "heldout")}
    model, average = Language(), Language()
    average.load_state_dict(model.state_dict())
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}], betas=(0.9, 0.98))
    step = 0
    if os.path.exists(state):
        saved = torch.load(state, weights_only=False)
        step, pieces, ids = saved["step"], saved["pieces"], saved["ids"]
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
    else:
        pieces = learn_pieces(text["train"])
        ids = {part: encode(text[part], pieces) for part in text}
        with open(options.vocabulary, "w", encoding="ascii") as file:
            file.writelines(escaped(piece) + "\n" for piece in pieces)
        print(f"{len(pieces)} pieces; " + ", ".join(f"{part}: {len(text[part])} characters, {len(ids[part])} pieces" for part in text))
        print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    train = ids["train"]
    while step < options.steps and time.time() - start < options.seconds:
        model.train()
        rate = options.rate * min(step / 200, 0.5 * (1 + math.cos(math.pi * step / options.steps)) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = rate
        generator = torch.Generator().manual_seed(1000 + step)
        begins = torch.randint(0, len(train) - TOKENS - 1, (options.batch,), generator=generator)
        windows = train[begins[:, None] + torch.arange(TOKENS + 1)]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(windows[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        decay = min(0.995, (1 + step) / (10 + step))
        with torch.no_grad():
            for a, p in zip(average.parameters(), model.parameters()):
                a.lerp_(p, 1 - decay)
        if step % 100 == 0:
            print(f"step {step} of {options.steps}: loss {loss.item():.3f}, {time.time() - start:.0f} s", flush=True)
    torch.save({"step": step, "pieces": pieces, "ids": ids, "model": model.state_dict(), "average": average.state_dict(),
                "optimizer": optimizer.state_dict()}, state)
    saved = {name: value.half().contiguous() for name, value in average.state_dict().items()}
    rounded = Language()
    rounded.load_state_dict({name: value.float() for name, value in saved.items()})
    bits = bits_per_character(rounded, ids["heldout"], len(text["heldout"]))
    save_file(saved, options.out, metadata={"heldout_bits_per_character": f"{bits:.4f}", "trained_by": "examples/kjv/train.py"})
    print(f"step {step}: {bits:.4f} bits per character of held-out text, {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
