#!/usr/bin/env python3
"""Trains the classifier of fashion.gm on Fashion-MNIST and writes fashion.safetensors.

    python3 train.py [--data DIR] [--epochs 8] [--out fashion.safetensors]

Needs torch and safetensors. Reads the idx.gz files of Debian's dataset-fashion-mnist, runs on one thread, and saves an
exponential moving average of the weights, rounded to f16, after every epoch. The names of the tensors are those of fashion.gm.
"""
import argparse
import gzip
import math
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

STEM, DIM, FFN, DEPTH, CLASSES = 24, 64, 192, 7, 10
TOKENS = 7 * 7
MEAN, STD = 72.94, 90.02  # of the training pixels, as bytes; fashion.gm has the same


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(FFN // 2, eps=1e-5)
        self.proj = nn.Linear(TOKENS, TOKENS)
        nn.init.normal_(self.proj.weight, std=1e-3)
        nn.init.ones_(self.proj.bias)

    def forward(self, x):
        u, v = x.chunk(2, dim=-1)
        return u * (torch.matmul(self.proj.weight, self.norm(v)) + self.proj.bias[:, None])


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(DIM, FFN)
        self.gate = Gate()
        self.fc2 = nn.Linear(FFN // 2, DIM)

    def forward(self, x):
        return self.fc2(self.gate(F.gelu(self.fc1(x))))


class Block(nn.Module):
    def __init__(self, drop):
        super().__init__()
        self.norm = nn.LayerNorm(DIM, eps=1e-6)
        self.mlp_channels = Mlp()
        self.drop = drop

    def forward(self, x):
        y = self.mlp_channels(self.norm(x))
        if self.training and self.drop > 0:  # stochastic depth
            keep = (torch.rand(x.shape[0], 1, 1) >= self.drop).to(y.dtype) / (1 - self.drop)
            y = y * keep
        return x + y


class Stem(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, STEM, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(STEM, DIM, 3, stride=2, padding=1)

    def forward(self, x):
        return self.conv2(F.gelu(self.conv1(x))).flatten(2).transpose(1, 2)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Stem()
        self.blocks = nn.Sequential(*[Block(0.05 * i / (DEPTH - 1)) for i in range(DEPTH)])
        self.norm = nn.LayerNorm(DIM, eps=1e-6)
        self.head = nn.Linear(DIM, CLASSES)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.stem(x))).mean(dim=1))


def read_idx(path):
    with gzip.open(path, "rb") as file:
        data = file.read()
    rank = data[3]
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(rank)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load(folder, part):
    images = torch.tensor(read_idx(f"{folder}/{part}-images-idx3-ubyte.gz"))
    labels = torch.tensor(read_idx(f"{folder}/{part}-labels-idx1-ubyte.gz")).long()
    return ((images.float() - MEAN) / STD).unsqueeze(1), labels


def augment(x, generator):
    """Mirrors half of the images, and moves each by up to a pixel."""
    batch = x.shape[0]
    flip = torch.rand(batch, generator=generator) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    wide = F.pad(x, (1, 1, 1, 1), value=-MEAN / STD)
    dy, dx = torch.randint(0, 3, (2, batch), generator=generator)
    rows = dy[:, None, None] + torch.arange(28)[None, :, None]
    columns = dx[:, None, None] + torch.arange(28)[None, None, :]
    return wide[torch.arange(batch)[:, None, None], 0, rows, columns].unsqueeze(1)


@torch.no_grad()
def accuracy(model, images, labels):
    model.eval()
    right = sum((model(images[i:i + 500]).argmax(1) == labels[i:i + 500]).sum().item() for i in range(0, len(images), 500))
    return right / len(images)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    options.add_argument("--epochs", type=int, default=8)
    options.add_argument("--out", default="fashion.safetensors")
    options = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(2)

    images, labels = load(options.data, "train")
    test_images, test_labels = load(options.data, "t10k")
    model, average = Classifier(), Classifier()
    average.load_state_dict(model.state_dict())
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}])
    batch = 128
    per_epoch = len(images) // batch
    total, step, start = options.epochs * per_epoch, 0, time.time()
    for epoch in range(options.epochs):
        model.train()
        order = torch.randperm(len(images), generator=generator)
        for i in range(per_epoch):
            rate = 3e-3 * min(step / 300, 0.5 * (1 + math.cos(math.pi * step / total)))
            for group in optimizer.param_groups:
                group["lr"] = rate
            chosen = order[i * batch:(i + 1) * batch]
            x = augment(images[chosen], generator)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(x)
            loss = F.cross_entropy(logits.float(), labels[chosen], label_smoothing=0.03)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            decay = min(0.998, (1 + step) / (10 + step))
            with torch.no_grad():
                for a, p in zip(average.parameters(), model.parameters()):
                    a.lerp_(p, 1 - decay)
            if i % 100 == 0:
                print(f"epoch {epoch} step {i}/{per_epoch} loss {loss.item():.3f} {time.time() - start:.0f} s", flush=True)
        saved = {name: value.half().contiguous() for name, value in average.state_dict().items()}
        rounded = Classifier()
        rounded.load_state_dict({name: value.float() for name, value in saved.items()})
        percent = 100 * accuracy(rounded, test_images, test_labels)
        save_file(saved, options.out, metadata={"test_accuracy": f"{percent:.2f}", "trained_by": "examples/fashion/train.py"})
        print(f"epoch {epoch}: test accuracy {percent:.2f} %, {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
