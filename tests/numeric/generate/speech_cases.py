"""Keyword spotting: mel-frequency cepstral coefficients by librosa, KW-MLP by its authors' code (a checkout of
github.com/AI-Research-BD/Keyword-MLP, its folder `models` on PYTHONPATH)."""
from importlib.metadata import version

import librosa
import numpy as np
import torch
from kwmlp import KW_MLP

from common import randomize, rounded, write_case

VERSIONS = {"librosa": version("librosa"), "torch": torch.__version__.split("+")[0], "AI-Research-BD/Keyword-MLP": "a87c8ac"}


def sound(seed, count, rate):
    """Two gliding tones that fade, over noise, and a last quarter more than 80 dB below."""
    generator = np.random.default_rng(seed)
    t = np.arange(count) / rate
    low = np.sin(2 * np.pi * (180 + 400 * t) * t) * np.exp(-4 * t)
    high = 0.4 * np.sin(2 * np.pi * (2300 - 900 * t) * t) * np.exp(-((t - 0.4 * t[-1]) ** 2) / 0.02)
    loudness = np.where(np.arange(count) < count * 3 // 4, 1.0, 1e-5)
    return (loudness * (0.5 * low + high + 0.01 * generator.standard_normal(count))).astype(np.float32)


def coefficients(samples, rate, window, hop, mels, count):
    power = librosa.feature.melspectrogram(y=samples, sr=rate, n_fft=window, win_length=window, hop_length=hop, center=False, n_mels=mels)
    return librosa.feature.mfcc(S=librosa.power_to_db(power), n_mfcc=count)


def case(name, seed, samples, audio, model, about):
    model = rounded(randomize(model, seed), torch.float32)
    results = []
    for numpy_type, torch_type in ((np.float64, torch.float64), (np.float32, torch.float32)):
        frames = coefficients(samples.astype(numpy_type), *audio)
        with torch.no_grad():
            logits = model.to(torch_type)(torch.tensor(frames, dtype=torch_type)[None, None])[0]
        results.append({"coefficients": frames.T.astype(numpy_type), "logits": logits})
    write_case(name, results[0], results[1], {"samples": samples}, model.float().state_dict(), VERSIONS, about=about)


def generate():
    case("kw_mlp", 71, sound(71, 16000, 16000), (16000, 480, 160, 40, 40), KW_MLP(depth=2),
         "KW-MLP's front end and two of its layers, from a second of sound")
    case("kw_mlp_odd", 72, sound(72, 1701, 11025), (11025, 201, 67, 17, 13),
         KW_MLP(input_res=[13, 23], patch_res=[13, 1], num_classes=7, dim=19, depth=3),
         "odd window, hop and rate, 13 of 17 coefficients, width 19")
