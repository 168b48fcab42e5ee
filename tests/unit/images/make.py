#!/usr/bin/env python3
"""Makes the pictures of this folder and what Pillow (13.0.0) makes of them: expected.npz.

NAME/rgb is convert('RGB'); size/FILTER/WxH a resize of rgb.png; input/… the whole preparation of timm's evaluation."""
import math
import os
import numpy as np
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))
random = np.random.default_rng(1)
expected = {}


def picture(height, width, channels):
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([127 + 100 * np.sin(x / 7 + c) + 60 * np.cos(y / 5 - c) for c in range(channels)], -1)
    return np.clip(waves + random.normal(0, 12, waves.shape), 0, 255).astype(np.uint8)


def save(image, name, **options):
    path = os.path.join(here, name)
    image.save(path, **options)
    expected[name + "/rgb"] = np.asarray(Image.open(path).convert("RGB"))


rgb = Image.fromarray(picture(37, 53, 3))
save(rgb, "rgb.png")
save(Image.fromarray(picture(9, 11, 4), "RGBA"), "rgba.png")
save(Image.fromarray(picture(9, 11, 1)[..., 0]), "gray.png")
save(Image.fromarray(picture(9, 11, 2), "LA"), "gray_alpha.png")
save(rgb.resize((11, 9)).quantize(13), "palette.png", transparency=3)
save(rgb.resize((11, 9)).convert("1"), "bits.png")
save(rgb, "colour.jpg", quality=90, subsampling=2)
save(rgb, "progressive.jpg", quality=70, progressive=True)
save(rgb.convert("L"), "gray.jpg")
save(rgb.convert("CMYK"), "cmyk.jpg")
save(rgb.resize((5, 4)), "raw.ppm")
save(rgb.resize((5, 4)).convert("L"), "raw.pgm")
with open(os.path.join(here, "plain.ppm"), "w") as file:
    file.write("P3\n# five in seventeen\n2 2\n17\n0 1 2 3 4 5\n6 7 8 9 17 16\n")
expected["plain.ppm/rgb"] = np.asarray(Image.open(os.path.join(here, "plain.ppm")).convert("RGB"))

filters = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR, "lanczos": Image.LANCZOS, "box": Image.BOX, "nearest": Image.NEAREST}
for name, code in filters.items():
    for width, height in ((16, 16), (53, 20), (70, 37), (90, 61), (1, 1)):
        expected[f"size/{name}/{width}x{height}"] = np.asarray(rgb.resize((width, height), code))


def prepare(image, size, crop_pct, filter, mean, std, squash=False):
    target = math.floor(size / crop_pct)
    w, h = image.size
    short, long = min(w, h), max(w, h)
    other = target if squash else int(target * long / short)
    image = image.resize((target, other) if w <= h else (other, target), filter)
    w, h = image.size
    top, left = int(round((h - size) / 2.0)), int(round((w - size) / 2.0))
    image = image.crop((left, top, left + size, top + size))
    values = np.asarray(image).astype(np.float32) / np.float32(255)
    values = (values - np.float32(mean)) / np.float32(std)
    return np.ascontiguousarray(values.transpose(2, 0, 1))


imagenet = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
for size, crop_pct in ((24, 0.875), (21, 0.9), (32, 1.0)):
    for name, file in (("rgb.png", rgb), ("colour.jpg", Image.open(os.path.join(here, "colour.jpg")).convert("RGB"))):
        expected[f"input/{name}/{size}/{crop_pct}"] = prepare(file, size, crop_pct, Image.BICUBIC, *imagenet)
expected["input/rgb.png/24/squash"] = prepare(rgb, 24, 0.875, Image.BICUBIC, *imagenet, squash=True)
wide = np.arange(9 * 11, dtype=np.uint16).reshape(9, 11) * 5
wide[-1] = [255, 256, 257, 511, 512, 0x0100, 0x7FFF, 0x8000, 0xFF00, 0xFFFE, 0xFFFF]
save(Image.fromarray(wide), "gray16.png")
np.savez_compressed(os.path.join(here, "expected.npz"), **expected)
