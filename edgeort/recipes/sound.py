"""Recipes for sound: the steps that a text may have, and the presets.

    from=int16; resample 16000 from=44100; fit 480000; log-mel n_fft=400 hop=160 mels=80; mean=-4; std=4

A signal has one channel, and is float32 in [-1, 1) or int16; its length is free. Steps are done in the order of
`KINDS`, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from edgeort.errors import InputError
from edgeort.recipes.grammar import Arguments, Kind, Step, expanded, parse, text_of
from edgeort.recipes.sound_nodes import Fit, Frame, Head, LogMel, Normal, Resample, Stft
from edgeort.recipes.sound_nodes import Step as Node

FLAG = "--preprocess"
RATE = 16000
MOST_SAMPLES = 1 << 26
MOST_RATE = 1 << 20
LARGEST_TABLE = 1 << 26  # entries of a resampler's taps


@dataclass(frozen=True)
class Sound:
    """A recipe: `text` in its plain form. `rate` is in Hz, of the signal; `input` None is the model's only one."""

    text: str
    steps: tuple[Node, ...]
    is_int16: bool = False
    rate: int = RATE
    frames_first: bool = False
    input: str | None = None

    def write(self, signal: str, opset: int, rank: int) -> Head:
        """The nodes from the signal to what the model reads, of that rank. InputError where steps do not fit."""
        head = Head(opset, signal, is_int16=self.is_int16, rate=self.rate)
        for step in self.steps:
            step.write(head)
        own = 1 if head.shape is None else 2
        if own == 2 and self.frames_first:
            head.value = head.op("Transpose", head.value, perm=[1, 0])
        if rank < own:
            raise InputError(f"{FLAG}: the recipe gives a matrix, and the model's input has rank {rank}")
        if rank > own:
            head.value = head.unsqueeze(head.value, *range(rank - own))
        return head


def _resample(a: Arguments) -> dict[str, Any]:
    to, source = a.integer(most=MOST_RATE), a.integer("from", most=MOST_RATE)
    a.end()
    step = Resample(source, to)
    if step.table_entries > LARGEST_TABLE:
        a.fail("these rates have too small a common factor")
    return {"node": step, "rate": source}


def _fit(a: Arguments) -> dict[str, Any]:
    samples = a.integer(most=MOST_SAMPLES)
    a.end()
    return {"node": Fit(samples)}


def _frame(a: Arguments) -> dict[str, Any]:
    size = a.integer()
    hop = a.integer("hop", size)
    a.end()
    return {"node": Frame(size, hop)}


def _stft_of(a: Arguments, power: int) -> Stft:
    """The arguments that stft and log-mel share, with librosa's defaults."""
    n_fft = a.integer("n_fft", 2048, least=2, most=1 << 14)
    window = a.integer("window", n_fft)
    hop = a.integer("hop", max(window // 4, 1))
    pads, last = a.text("pad", "zeros").lower(), a.flag("last", True)
    power = a.integer("power", power, most=2)
    if window > n_fft:
        a.fail(f"a window of {window} does not fit in {n_fft} samples")
    if n_fft % 2:
        a.fail("n_fft is an even number")
    if pads not in ("reflect", "zeros", "no"):
        a.fail(f"pad is reflect, zeros or no, not {pads}")
    return Stft(n_fft, hop, window, cast("Any", pads), power, last)


def _stft(a: Arguments) -> dict[str, Any]:
    step = _stft_of(a, 1)
    a.end()
    return {"node": step}


def _log_mel(a: Arguments) -> dict[str, Any]:
    stft = _stft_of(a, 2)
    mels, low = a.integer("mels", 128, most=1 << 12), a.number("fmin", 0.0)
    high = a.number("fmax") if a.has("fmax") else None
    scale, norm, log = (a.text(*pair).lower() for pair in (("scale", "slaney"), ("norm", "slaney"), ("log", "db")))
    for name, value, among in (
        ("scale", scale, ("slaney", "htk")),
        ("norm", norm, ("slaney", "no")),
        ("log", log, ("log10", "ln", "db", "none")),
    ):
        if value not in among:
            a.fail(f"{name} is one of {', '.join(among)}, not {value}")
    offset = a.number("offset", 0.0)
    floor = a.number("floor", 0.0 if offset or log == "none" else 1e-10)
    top = a.number("top") if a.has("top") else None
    if min(floor, offset, 0.0 if top is None else top) < 0 or (log != "none" and not np.float32(max(floor, offset))):
        a.fail("a logarithm needs a floor or an offset above 0")
    a.end()
    return {
        "node": LogMel(
            stft, mels, low, high, cast("Any", scale), norm == "slaney", cast("Any", log), floor, offset, top
        )
    }


def _word(field: str, among: Mapping[str, Any]) -> Any:
    def reader(a: Arguments) -> dict[str, Any]:
        found = {field: among[a.choice(tuple(among))]}
        a.end()
        return found

    return reader


def _rate(a: Arguments) -> dict[str, Any]:
    rate = a.integer(most=MOST_RATE)
    a.end()
    return {"rate": rate}


def _number(a: Arguments) -> dict[str, Any]:
    value = a.number()
    a.end()
    if a.step.name == "std":
        a.divisor([value])
    return {a.step.name: value}


def _input(a: Arguments) -> dict[str, Any]:
    name = a.text()
    a.end()
    return {"input": name}


_STFT = "n_fft=400 hop=160 window=400 pad=reflect|zeros|no power=1|2 last=yes|no"
_MEL = "mels=80 fmin=0 fmax=8000 scale=slaney|htk norm=slaney|no log=log10|ln|db|none floor=1e-10 offset=0 top=80"
KINDS: dict[str, Kind[dict[str, Any]]] = {
    "input": Kind(_input, "input=NAME, where the model has several", "input"),
    "from": Kind(_word("is_int16", {"int16": True, "float32": False}), "from=int16 or float32: a sample", "source"),
    "rate": Kind(_rate, "rate=16000, of the signal, in Hz", "rate"),
    "resample": Kind(_resample, "resample 16000 from=44100", "rate"),
    "fit": Kind(_fit, "fit 16000, in samples", "length"),
    "frame": Kind(_frame, "frame 512 hop=256, in samples", "frames"),
    "stft": Kind(_stft, f"stft {_STFT}", "frames"),
    "log-mel": Kind(_log_mel, f"log-mel {_STFT} {_MEL}", "frames"),
    "mean": Kind(_number, "mean=-4", "mean"),
    "std": Kind(_number, "std=4", "std"),
    "layout": Kind(
        _word("frames_first", {"frames-last": False, "frames-first": True}), "layout=frames-first", "layout"
    ),
}
_WHISPER = "fit 480000; log-mel n_fft=400 hop=160 mels={} pad=reflect last=no log=log10 top=8; mean=-4; std=4"
PRESETS: dict[str, str] = {
    # Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision": 30 s; 128 bands since large-v3.
    "whisper": _WHISPER.format(80),
    "whisper-128": _WHISPER.format(128),
    # Kim et al. 2021, "Broadcasted Residual Learning for Efficient Keyword Spotting": 40 bands, 30 ms every 10 ms, 1 s.
    "keyword": "fit 16000; log-mel n_fft=512 window=480 hop=160 mels=40 pad=reflect scale=htk norm=no log=ln "
    "offset=1e-6",
}


def is_sound(text: str) -> bool:
    """Whether a recipe is one for sound: whether it has a step, or begins with a preset, that only those have."""
    steps = parse(text, FLAG)
    names = [step.name for step in steps]
    own = {"resample", "rate", "fit", "frame", "stft", "log-mel"}
    sources = {word.lower() for step in steps if step.name == "from" for word in step.words}
    return names[0] in PRESETS or not own.isdisjoint(names) or not sources.isdisjoint(("int16", "float32"))


def read_sound(text: str) -> Sound:
    """The recipe in a text. InputError names the step that is wrong."""
    steps = expanded(parse(text, FLAG), KINDS, PRESETS, FLAG)
    order = list(KINDS)
    ordered = sorted(steps, key=lambda step: order.index(step.name))
    made, nodes = _fields(ordered)
    mean, std = made.pop("mean", 0.0), made.pop("std", 1.0)
    if (mean, std) != (0.0, 1.0):
        nodes.append(Normal(mean, std))
    return Sound(text_of(ordered), tuple(nodes), **made)


def _fields(steps: Sequence[Step]) -> tuple[dict[str, Any], list[Node]]:
    made: dict[str, Any] = {}
    nodes: list[Node] = []
    for step in steps:
        fields = KINDS[step.name].read(Arguments(step, KINDS[step.name].usage, FLAG))
        if "node" in fields:
            nodes.append(fields.pop("node"))
        made |= fields
    return made, nodes
