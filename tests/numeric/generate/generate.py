#!/usr/bin/env python3
"""Writes the data of every case of tests/numeric (their model.gm files are written by hand).

    pip install timm transformers safetensors scipy g-mlp-pytorch aft-pytorch labml-nn einops librosa    (and a torch with torchvision)
    python3 generate.py [google language speech timm torch transformers]
"""
import importlib
import sys

if __name__ == "__main__":
    for part in sys.argv[1:] or ["timm", "google", "transformers", "torch", "language", "speech"]:
        importlib.import_module(f"{part}_cases").generate()
