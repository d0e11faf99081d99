"""Sound before a model: a signal of one channel and any length becomes what the model reads, in nodes of ONNX.

    resample 16000 from=44100; fit 480000; log-mel n_fft=400 hop=160 mels=80

Frames are rows of a matrix, transforms and mel filters products with constant ones, so that every engine has the
operators, and a fast kernel for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Literal

import numpy as np

from edgeort.errors import InputError
from edgeort.model.bodies.builder import FLOAT, Writer
from edgeort.recipes import mel

PREFIX = "preprocess."

Pads = Literal["reflect", "zeros", "no"]


class Head(Writer):
    """The nodes between a signal, float32 [samples] in [-1, 1), and the model's input, while they are written.

    `value` is what there is so far: a signal, or a matrix [rows, frames]. `samples` and `shape` are their sizes; None
    is one that the signal's length decides. `rate` is in Hz.
    """

    def __init__(self, opset: int, signal: str, *, is_int16: bool, rate: int) -> None:
        super().__init__(opset, PREFIX)
        self.value, self.rate = signal, rate
        if is_int16:
            self.value = self.op("Mul", self.cast(signal, FLOAT), self.array(1 / 32768, FLOAT))
        self.samples: int | None = None
        self.shape: tuple[int, int | None] | None = None

    def need_signal(self, step: str) -> None:
        """InputError where `step` is behind one that makes a matrix."""
        if self.shape is not None:
            raise InputError(f"--preprocess: {step} reads a signal, and a step before makes frames of it")

    def rows(self, size: int, hop: int) -> str:
        """[frames, size]: frame i begins at sample i * hop. A last one that is not whole is left out.

        The signal is cut into rows of `hop` samples; a frame is some of these rows side by side.
        """
        parts = -(-size // hop)
        length = self.op("Shape", self.value)
        room = self.op("Add", length, self.ints(hop - size))
        room = self.op("Where", self.op("Less", room, self.ints(0)), self.ints(0), room)  # no frame fits
        frames = self.op("Div", room, self.ints(hop))
        lines = self.op("Add", frames, self.ints(parts - 1))
        padded = self.op("Pad", self.value, self.ints(0, parts * hop))
        cut = self.op("Slice", padded, self.ints(0), self.op("Mul", lines, self.ints(hop)), self.ints(0))
        table = self.op("Reshape", cut, self.ints(-1, hop))
        ends = [self.op("Add", frames, self.ints(k)) for k in range(parts)]
        shifted = [self.op("Slice", table, self.ints(k), end, self.ints(0)) for k, end in enumerate(ends)]
        joined = shifted[0] if parts == 1 else self.op("Concat", *shifted, axis=1)
        return joined if parts * hop == size else self.op("Slice", joined, self.ints(0), self.ints(size), self.ints(1))

    def frames(self, size: int, hop: int) -> int | None:
        """How many there are."""
        if self.samples is not None and self.samples < size:
            raise InputError(f"--preprocess: a signal of {self.samples} samples has no frame of {size}")
        return None if self.samples is None else (self.samples - size) // hop + 1


@dataclass(frozen=True)
class Resample:
    """From one rate to another, in Hz: as scipy.signal.resample_poly with its default window, padding by zeros."""

    source: int
    to: int

    @property
    def factors(self) -> tuple[int, int]:
        """`up` and `down`, without a common factor."""
        common = gcd(self.source, self.to)
        return self.to // common, self.source // common

    @property
    def table_entries(self) -> int:
        """How large the table of taps is, about."""
        up, down = self.factors
        return up * (down + 2 * mel.HALF_TAPS * max(up, down) // up)

    def write(self, head: Head) -> None:
        """A product of frames that begin every `down` samples with the taps of `up` results."""
        head.need_signal("resample")
        up, down = self.factors
        head.rate = self.to
        if up == down:
            return
        taps, before = mel.resampling(up, down)
        length = head.op("Shape", head.value)
        blocks = head.op("Add", head.op("Div", head.op("Sub", length, head.ints(1)), head.ints(down)), head.ints(1))
        count = head.op("Add", head.op("Mul", length, head.ints(up)), head.ints(down - 1))
        count = head.op("Div", count, head.ints(down))  # a part of a sample counts as one
        whole = head.op("Mul", blocks, head.ints(down))
        behind = head.op("Add", head.op("Sub", whole, length), head.ints(max(len(taps) - down, 0)))
        pads = head.op("Concat", head.ints(before), behind, axis=0)
        head.value = head.op("Pad", head.value, pads)
        made = head.op("MatMul", head.rows(len(taps), down), head.array(taps, FLOAT))
        flat = head.op("Reshape", made, head.ints(-1))
        head.value = head.op("Slice", flat, head.ints(0), count, head.ints(0))
        if head.samples is not None:
            head.samples = -(-head.samples * up // down)


@dataclass(frozen=True)
class Fit:
    """A signal of so many samples: what is longer is cut at the end, what is shorter gets zeros there."""

    samples: int

    def write(self, head: Head) -> None:
        """Pad and Slice."""
        head.need_signal("fit")
        padded = head.op("Pad", head.value, head.ints(0, self.samples))
        head.value = head.op("Slice", padded, head.ints(0), head.ints(self.samples), head.ints(0))
        head.samples = self.samples


@dataclass(frozen=True)
class Frame:
    """Pieces of a signal, each one a column of `size` samples; they begin `hop` samples apart."""

    size: int
    hop: int

    def write(self, head: Head) -> None:
        """A matrix [size, frames]."""
        head.need_signal("frame")
        frames = head.frames(self.size, self.hop)
        head.value = head.op("Transpose", head.rows(self.size, self.hop), perm=[1, 0])
        head.shape, head.samples = (self.size, frames), None


@dataclass(frozen=True)
class Stft:
    """|short-time Fourier transform| to a power of 1 or 2: [n_fft / 2 + 1, frames], as librosa.stft's.

    A periodic Hann window of `window` samples. With `pads` other than "no" frame i is about sample i * hop, and the
    signal is continued by n_fft / 2 samples on both sides. `last` False leaves out the last frame.
    """

    n_fft: int
    hop: int
    window: int
    pads: Pads = "zeros"
    power: int = 2
    last: bool = True

    def write(self, head: Head) -> None:
        """The matrix, rows first."""
        head.value = head.op("Transpose", self.powers(head), perm=[1, 0])

    def powers(self, head: Head) -> str:
        """[frames, bins]; the head's shape is that of the turned matrix."""
        head.need_signal("stft")
        half, bins = self.n_fft // 2, self.n_fft // 2 + 1
        if self.pads != "no":
            mode = "reflect" if self.pads == "reflect" else "constant"
            head.value = head.op("Pad", head.value, head.ints(half, half), mode=mode)
            head.samples = None if head.samples is None else head.samples + 2 * half
        frames = head.frames(self.n_fft, self.hop)
        rows = head.rows(self.n_fft, self.hop)
        if not self.last:
            rows = head.op("Slice", rows, head.ints(0), head.ints(-1), head.ints(0))
            frames = None if frames is None else frames - 1
        head.shape, head.samples = (bins, frames), None
        table = mel.fourier(mel.hann(self.window, self.n_fft))
        parts = head.split(head.op("MatMul", rows, head.array(table, FLOAT)), [bins, bins], 1)
        real, imaginary = (head.op("Mul", part, part) for part in parts)
        power = head.op("Add", real, imaginary)
        return power if self.power == 2 else head.op("Sqrt", power)


@dataclass(frozen=True)
class LogMel:
    """Logarithms of mel bands: [mels, frames], as librosa.feature.melspectrogram and power_to_db have them.

    `log` is log10, ln, db (10 log10) or none, of what is raised to `floor` at least, after `offset` is added. `top` is
    how far a value may be below the greatest one (None: any).
    """

    stft: Stft
    mels: int
    low: float
    high: float | None
    scale: mel.Scale
    norm: bool
    log: Literal["log10", "ln", "db", "none"]
    floor: float
    offset: float
    top: float | None

    def write(self, head: Head) -> None:
        """Spectra, a product with the filters, the logarithm."""
        high = head.rate / 2 if self.high is None else self.high
        if not 0 <= self.low < high <= head.rate / 2:
            raise InputError(
                f"--preprocess: log-mel: its bands are from {self.low:g} to {high:g} Hz, and a signal of "
                f"{head.rate} Hz has frequencies of 0 to {head.rate / 2:g}",
                hint=f"fmin=0 fmax={head.rate / 2:g}, or another rate",
            )
        bank = mel.filters(head.rate, self.stft.n_fft, self.mels, self.low, high, self.scale, norm=self.norm)
        bands = head.op("MatMul", self.stft.powers(head), head.array(bank, FLOAT))
        assert head.shape is not None
        head.shape = (self.mels, head.shape[1])
        head.value = head.op("Transpose", self._logarithm(head, bands), perm=[1, 0])

    def _logarithm(self, head: Head, bands: str) -> str:
        if self.offset:
            bands = head.op("Add", bands, head.array(self.offset, FLOAT))
        if self.floor:
            bands = head.op("Max", bands, head.array(self.floor, FLOAT))
        if self.log != "none":
            bands = head.op("Log", bands)
        factor = {"log10": 1 / np.log(10), "db": 10 / np.log(10)}.get(self.log)
        if factor is not None:
            bands = head.op("Mul", bands, head.array(factor, FLOAT))
        if self.top is None:
            return bands
        least = head.op("Sub", head.op("ReduceMax", bands, keepdims=0), head.array(self.top, FLOAT))
        return head.op("Max", bands, least)


@dataclass(frozen=True)
class Normal:
    """(x - mean) / std."""

    mean: float
    std: float

    def write(self, head: Head) -> None:
        """Two nodes at most."""
        if self.mean:
            head.value = head.op("Sub", head.value, head.array(self.mean, FLOAT))
        if self.std != 1:
            head.value = head.op("Div", head.value, head.array(self.std, FLOAT))


# A step before a model that hears. By its fields it is known which (edgeort/records.py).
Step = Resample | Fit | Frame | Stft | LogMel | Normal
