"""One pass of the float model over the samples: histograms of its tensors, and means of its channels.

ONNX Runtime runs the model with the tensors as outputs. What stays of a sample is counts and sums, so that memory does
not grow with the samples; it is that of one sample's tensors on every core, and `BINS` counts a tensor.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from types import MappingProxyType

import numpy as np
import onnx

from edgeort.errors import InputError
from edgeort.ort import first_line, open_session
from edgeort.progress import Progress
from edgeort.quantize.extremes import Extremes, Reach
from edgeort.quantize.histogram import BINS, Histogram
from edgeort.quantize.input_checks import InputChecks
from edgeort.quantize.parallel import WORKERS, ordered_map
from edgeort.quantize.preparing import Prepared, serialize
from edgeort.quantize.ranges import AUTO, CHOICES, METHODS, Function, Range, squared_error
from edgeort.quantize.samples import Sample, Samples
from edgeort.quantize.store import Store

FIRST_LOOK = 8  # samples, after which ranges are compared for the first time; then whenever the number doubles
SETTLED_DB = 0.05  # of noise
_TINY = 1e-30


@dataclass
class ChannelMean:
    """The mean of every channel over samples of any size: sums in float64, and how many numbers each is of."""

    total: np.ndarray | float = 0.0
    count: int = 0

    def add(self, total: np.ndarray, count: int) -> None:
        """Adds the sums of a sample."""
        self.total, self.count = self.total + total, self.count + count

    @property
    def mean(self) -> np.ndarray:
        """float64, one number a channel."""
        return np.asarray(self.total) / max(self.count, 1)


def channel_sums(array: np.ndarray, axis: int) -> tuple[np.ndarray, int]:
    """The sum of every entry of `axis`, and the number of summands."""
    axis %= array.ndim
    width, count = array.shape[axis], array.size
    if axis == 1 and array.ndim > 2:  # along the planes NumPy adds float32 in pairs, which is exact enough and fast
        array = array.reshape(len(array), width, -1).sum(axis=2)
    others = tuple(i for i in range(array.ndim) if i != axis)
    total = array.sum(axis=others, dtype=np.float64)
    return total, count // max(width, 1)


@dataclass
class Calibration:
    """What a pass found. From `settled_at` samples on, more lowered the noise by less than `SETTLED_DB`.

    `channels` are the lowest and the highest number of every channel, of tensors where that matters, `reach` what other
    samples may have there (extremes.py); `choices` the ranges by each of the methods that there is a choice of.
    """

    ranges: dict[str, Range]
    extremes: dict[str, Range]
    samples: int = 0
    settled_at: int | None = None
    warnings: list[str] = field(default_factory=list)
    means: dict[str, ChannelMean] = field(default_factory=dict)
    channels: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    reach: dict[str, Reach] = field(default_factory=dict)
    choices: dict[str, dict[str, Range]] = field(default_factory=dict)


def calibrate(
    prepared: Prepared,
    samples: Samples,
    tensors: Collection[str],
    method: str,
    *,
    means: Mapping[str, int] | None = None,
    channels: Collection[str] = (),
    functions: Mapping[str, Function] = MappingProxyType({}),
    keep: Kept | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Ranges of `tensors` by `method` (a key of `METHODS`, or AUTO: by each of CHOICES), from all samples.

    `means` maps tensors to the axis of their channels; they are over the samples that `keep` has to refine on.
    `channels` are tensors whose channels' extremes are wanted, `functions` what some of `tensors` go through.
    Raises InputError for samples that the model cannot run.
    """
    run = _Pass(prepared, list(tensors), dict(means or {}), channels)
    methods = CHOICES if method == AUTO else (method,)
    found = Calibration({}, {}, means={name: ChannelMean() for name in run.axes})
    stream, looks = enumerate(samples), FIRST_LOOK
    while _run_block(run, islice(stream, looks - found.samples), keep, found):
        if progress:
            progress(f"calibrating: {found.samples} of {samples.count or '?'} samples")
        ranges = {n: METHODS[methods[0]](histogram, functions.get(n)) for n, histogram in run.histograms.items()}
        settled = _settled(run.histograms, found.ranges, ranges, functions)
        found.settled_at = (found.settled_at or looks // 2) if settled else None
        found.ranges, looks = ranges, looks * 2
    found.choices = {methods[0]: found.ranges} | {
        other: {name: METHODS[other](histogram, functions.get(name)) for name, histogram in run.histograms.items()}
        for other in methods[1:]
    }
    found.extremes = {name: (histogram.low, histogram.high) for name, histogram in run.histograms.items()}
    found.channels = {name: one.seen() for name, one in run.channels.items() if one.sides}
    found.reach = {name: one.reach() for name, one in run.channels.items() if one.sides}
    found.warnings = run.checks.warnings()
    return found


def _run_block(run: _Pass, block: Iterator[tuple[int, Sample]], keep: Kept | None, found: Calibration) -> bool:
    """Runs some samples; False when there were none."""
    before = found.samples
    for index, sample, sums in ordered_map(run, block):
        found.samples += 1
        run.checks.look(sample)
        if keep is not None and keep.take(index, sample):
            for name, (total, count) in sums.items():
                found.means[name].add(total, count)
    return found.samples > before


@dataclass
class Kept:
    """Where samples are kept: those to `refine` on, evenly spread where their number is known, others to `judge` by."""

    refine: Store
    judge: Store
    refine_at_most: int
    judge_at_most: int
    count: int | None

    def take(self, index: int, sample: Sample) -> bool:
        """Keeps a sample if there is room; True when it is one to refine on."""
        chosen = self.refine.samples < self.refine_at_most and (self.count is None or index in self._spread)
        store = self.refine if chosen else self.judge
        if chosen or store.samples < self.judge_at_most:
            for name, array in sample.items():
                store.put(name, store.samples, array)
            store.samples += 1
        return chosen

    @cached_property
    def _spread(self) -> frozenset[int]:
        count, limit = self.count or 0, self.refine_at_most
        if count <= limit:
            return frozenset(range(count))
        return frozenset(int((i + 0.5) * count / limit) for i in range(limit))


class _Pass:
    """Runs a sample and counts its tensors; called from several threads."""

    def __init__(
        self, prepared: Prepared, tensors: Sequence[str], axes: dict[str, int], channels: Collection[str] = ()
    ) -> None:
        self.axes = axes
        self.channels = {name: Extremes() for name in channels}
        self.histograms = {name: Histogram() for name in tensors}
        self.checks = InputChecks(prepared.model.graph)
        self._locks = {name: threading.Lock() for name in {*tensors, *channels}}
        inputs = {value.name for value in prepared.inputs}
        self._outputs = sorted({*self._locks, *axes} - inputs)
        self._session = open_session(with_outputs(serialize(prepared.model), self._outputs), threads=1)

    def __call__(self, item: tuple[int, Sample]) -> tuple[int, Sample, dict[str, tuple[np.ndarray, int]]]:
        index, sample = item
        try:
            arrays = (
                dict(zip(self._outputs, self._session.run(self._outputs, sample), strict=True)) if self._outputs else {}
            )
        except Exception as error:  # its exceptions have no common base
            raise InputError(f"ONNX Runtime cannot run the model on sample {index}: {first_line(error)}") from error
        arrays |= sample
        for name, extremes in self.channels.items():
            with self._locks[name]:
                extremes.add(arrays[name], index)
        for name, histogram in self.histograms.items():
            with self._locks[name]:
                try:
                    histogram.add(arrays[name])
                except ValueError as error:
                    raise InputError(f"sample {index} makes NaNs or infinities in tensor {name!r}") from error
        return index, sample, {name: channel_sums(arrays[name], axis) for name, axis in self.axes.items()}


def with_outputs(model: bytes, names: Sequence[str]) -> bytes:
    """The model with the float tensors `names` as its outputs."""
    proto = onnx.ModelProto.FromString(model)
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    return proto.SerializeToString()


def memory_text(tensor_bytes: int | None, tensors: int) -> str:
    """What a pass needs beside the model, in words; `tensor_bytes` of one sample, None where shapes are free."""
    histograms = tensors * BINS * 8 / 1e6
    each = "one sample's tensors" if tensor_bytes is None else f"{tensor_bytes / 1e6:.0f} MB of tensors"
    return f"{histograms:.0f} MB of histograms and {each} on each of {WORKERS} core(s), however many samples"


def _settled(
    histograms: Mapping[str, Histogram],
    before: Mapping[str, Range],
    after: Mapping[str, Range],
    functions: Mapping[str, Function],
) -> bool:
    """Whether ranges from fewer samples do for all: on average the noise is higher by less than `SETTLED_DB`."""
    if not before:
        return False
    errors = [
        [max(squared_error(histogram, ranges[name], functions.get(name)), _TINY) for ranges in (before, after)]
        for name, histogram in histograms.items()
    ]
    return float(np.mean([10 * math.log10(old / new) for old, new in errors])) < SETTLED_DB
