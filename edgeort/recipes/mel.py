"""Tables of spectra: windows, Fourier transforms as matrices, mel filters, the taps of a resampler. All float64."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

Scale = Literal["slaney", "htk"]

# Slaney 1998, "Auditory Toolbox": linear below 1000 Hz, 27 steps to a factor of 6.4 above.
_HERTZ_A_MEL, _BREAK_HERTZ, _LOG_STEP = 200 / 3, 1000.0, math.log(6.4) / 27
_BREAK_MEL = _BREAK_HERTZ / _HERTZ_A_MEL
KAISER_BETA = 5.0  # of scipy.signal.resample_poly's default window
HALF_TAPS = 10  # half a filter, in samples of the lower rate


def hann(length: int, size: int) -> np.ndarray:
    """[size]: the periodic Hann window of `length`, in the middle between zeros."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    before = (size - length) // 2
    return np.pad(window, (before, size - length - before))


def fourier(window: np.ndarray) -> np.ndarray:
    """[size, 2 * bins]: real parts, then imaginary ones, of the one-sided transform of a row that is windowed."""
    size = len(window)
    turns = np.outer(np.arange(size), np.arange(size // 2 + 1)) % size * (2 * np.pi / size)
    return np.hstack([np.cos(turns), -np.sin(turns)]) * window[:, None]


def mel_of(hertz: np.ndarray, scale: Scale) -> np.ndarray:
    """Mels of frequencies; htk: O'Shaughnessy 1987, "Speech Communication", 2595 log10(1 + f / 700)."""
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    logs = np.log(np.maximum(hertz, _BREAK_HERTZ) / _BREAK_HERTZ) / _LOG_STEP
    return np.where(hertz < _BREAK_HERTZ, hertz / _HERTZ_A_MEL, _BREAK_MEL + logs)


def hertz_of(mel: np.ndarray, scale: Scale) -> np.ndarray:
    """The inverse of `mel_of`."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    powers = _BREAK_HERTZ * np.exp(_LOG_STEP * np.maximum(mel - _BREAK_MEL, 0))
    return np.where(mel < _BREAK_MEL, mel * _HERTZ_A_MEL, powers)


def filters(rate: int, size: int, count: int, low: float, high: float, scale: Scale, *, norm: bool) -> np.ndarray:
    """[bins, count]: triangles over the bins of a transform of `size`, evenly spread in mels from `low` to `high` Hz.

    With `norm` each has an area of 1 over Hz (Slaney's), else a height of 1. As librosa.filters.mel.
    """
    first, last = mel_of(np.array([low, high], np.float64), scale)
    edges = hertz_of(np.linspace(float(first), float(last), count + 2), scale)
    bins = np.arange(size // 2 + 1)[:, None] * (rate / size)
    rise = (bins - edges[:-2]) / np.diff(edges)[:-1]
    fall = (edges[2:] - bins) / np.diff(edges)[1:]
    weights = np.maximum(0, np.minimum(rise, fall))
    return weights * (2 / (edges[2:] - edges[:-2])) if norm else weights


def resampling(up: int, down: int) -> tuple[np.ndarray, int]:
    """[taps, up], and how many zeros stand before the signal: `up` results from every `down` samples on.

    The low-pass is that of scipy.signal.resample_poly: a sinc that ends at the lower rate's limit in a Kaiser window,
    its sum 1, times `up` (Kaiser 1974; Vaidyanathan 1993, "Multirate Systems and Filter Banks", section 4.3).
    """
    most = max(up, down)
    half = HALF_TAPS * most
    at = np.arange(-half, half + 1)
    low_pass = np.sinc(at / most) * np.kaiser(2 * half + 1, KAISER_BETA)
    low_pass *= up / low_pass.sum()
    before = half // up
    taps = before + ((up - 1) * down + half) // up + 1
    # Result r of a block reads sample i of it, the first being 0, by the tap r * down - i * up from the middle.
    place = np.arange(up) * down - (np.arange(taps)[:, None] - before) * up
    return np.where(np.abs(place) <= half, low_pass[np.clip(place + half, 0, 2 * half)], 0.0), before
