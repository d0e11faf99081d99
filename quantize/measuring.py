"""How far a quantised model's outputs are from the float model's.

SQNR = 10 log10(sum r^2 / sum (r - q)^2)                   over all outputs of all samples, in dB
agreement = share of rows whose largest entry is the same
KL = mean over rows of sum softmax(r) log(softmax(r) / softmax(q)), nats; without softmax where rows are probabilities

Probabilities are nearly 0 or 1 in most rows, so that their noise is that of the few rows whose answer flips, and says
next to nothing on few samples. Layers are compared by their logarithms, centred in each row: what the softmax reads,
but for a constant.

An output that is joined of unlike parts (parts.py) counts as that many outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from edgeort.errors import InputError
from edgeort.ort import first_line, open_session
from edgeort.quantize.parallel import ordered_map
from edgeort.quantize.parts import Part, unlike
from edgeort.quantize.samples import Sample

_LEAST = 1e-30  # of a probability, in its logarithm
_INTERNAL = ("numbers", "likely", "log_signal", "log_noise")  # sums that nobody reads but this module
_ONE = 1e-3  # how near the sum of a row of probabilities is to 1


@dataclass
class Difference:
    """Sums over the rows of one output; a row is what its last axis holds.

    `log_signal` and `log_noise` are those of the centred logarithms, of `likely` rows, which are probabilities.
    """

    output: str
    signal: float = 0.0
    noise: float = 0.0
    rows: int = 0
    same: int = 0
    divergence: float = 0.0
    numbers: int = 0
    likely: int = 0
    log_signal: float = 0.0
    log_noise: float = 0.0

    def add(self, reference: np.ndarray, found: np.ndarray) -> None:
        """Compares an output of a sample."""
        r, q = (
            array.astype(np.float64).reshape(-1, array.shape[-1] if array.ndim else 1) for array in (reference, found)
        )
        self.signal += float((r**2).sum())
        self.noise += float(((r - q) ** 2).sum())
        self.rows += len(r)
        self.numbers += r.size
        self.same += int((r.argmax(axis=1) == q.argmax(axis=1)).sum()) if r.shape[1] else 0
        if _are_probabilities(r):
            r, q = (np.log(np.maximum(array, _LEAST)) for array in (r, q))
            centred = [array - array.mean(axis=1, keepdims=True) for array in (r, q)]
            self.likely += len(r)
            self.log_signal += float((centred[0] ** 2).sum())
            self.log_noise += float(((centred[0] - centred[1]) ** 2).sum())
        log_r, log_q = _log_softmax(r), _log_softmax(q)
        self.divergence += float((np.exp(log_r) * (log_r - log_q)).sum())

    @property
    def mean_square(self) -> float:
        """Of the reference."""
        return self.signal / max(self.numbers, 1)

    @property
    def sqnr_db(self) -> float:
        """In dB; infinite where nothing differs."""
        return 10 * math.log10(max(self.signal, 1e-300) / self.noise) if self.noise else math.inf

    @property
    def relative_noise(self) -> float:
        """Of the signal, to compare settings by: that of the logarithms where all rows are probabilities."""
        pair = (self.log_noise, self.log_signal) if self.likely == self.rows else (self.noise, self.signal)
        return pair[0] / pair[1] if pair[1] else 0.0

    @property
    def agreement(self) -> float:
        """0..1."""
        return self.same / max(self.rows, 1)

    @property
    def kl(self) -> float:
        """In nats."""
        return self.divergence / max(self.rows, 1)

    def to_dict(self) -> dict[str, object]:
        """As JSON takes it."""
        sums = {key: value for key, value in asdict(self).items() if key not in _INTERNAL}
        return {**sums, "sqnr_db": self.sqnr_db, "agreement": self.agreement, "kl": self.kl}


Outputs = dict[str, np.ndarray]


def compare(
    reference: bytes,
    quantised: bytes,
    samples: Iterable[Sample],
    *,
    joined: Sequence[Part] = (),
    fuse_qdq: bool = True,
) -> list[Difference]:
    """Runs both models in ONNX Runtime on all samples; one entry for each float output, in the order of the model's.

    `joined` as in `differences`, `fuse_qdq` as `open_session`'s.
    """
    return differences(run_both(reference, quantised, samples, fuse_qdq=fuse_qdq), joined)


def differences(pairs: Iterable[tuple[Outputs, Outputs]], joined: Sequence[Part] = ()) -> list[Difference]:
    """Of the outputs of a reference and of what is compared with it, sample by sample.

    In place of an output stand those parts of it, of the `joined` ones, that are unlike.
    """
    tally = Tally(joined)
    for reference, other in pairs:
        tally.add(reference, other)
    return tally.differences()


class Tally:
    """What `differences` counts, sample by sample."""

    def __init__(self, joined: Sequence[Part] = ()) -> None:
        self._found: dict[str, Difference] = {}
        self._apart = {part: Difference(part.name) for part in joined}

    def add(self, reference: Outputs, other: Outputs) -> None:
        """The outputs of a sample."""
        for name, r in reference.items():
            self._found.setdefault(name, Difference(name)).add(r, other[name])
        for part, difference in self._apart.items():
            if part.output in reference:
                difference.add(part.of(reference[part.output]), part.of(other[part.output]))

    def differences(self) -> list[Difference]:
        """Of all that were added."""
        return [
            one for name, whole in self._found.items() for one in list(unlike(name, self._apart).values()) or [whole]
        ]


def run_both(
    reference: bytes, other: bytes, samples: Iterable[Sample], *, fuse_qdq: bool = True
) -> Iterator[tuple[Outputs, Outputs]]:
    """The float outputs of two models in ONNX Runtime, sample by sample."""
    first, second = (runner(model, fuse_qdq=fuse_qdq) for model in (reference, other))
    return ordered_map(lambda sample: (first(sample), second(sample)), samples)


def runner(model: bytes, *, fuse_qdq: bool = True) -> Callable[[Sample], Outputs]:
    """A function from a sample to the float outputs of the model in ONNX Runtime, on one thread."""
    session = open_session(model, threads=1, fuse_qdq=fuse_qdq)
    names = [output.name for output in session.get_outputs() if output.type == "tensor(float)"]

    def run(sample: Sample) -> Outputs:
        try:
            return dict(zip(names, session.run(names, sample), strict=True)) if names else {}
        except Exception as error:  # its exceptions have no common base
            raise InputError(f"ONNX Runtime cannot run the models: {first_line(error)}") from error

    return run


def _log_softmax(x: np.ndarray) -> np.ndarray:
    if not x.size:
        return x
    shifted = x - x.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _are_probabilities(rows: np.ndarray) -> bool:
    """Whether each row [n] of several numbers is a distribution."""
    if rows.shape[1] < 2 or not rows.size or rows.min() < 0:
        return False
    return bool((np.abs(rows.sum(axis=1) - 1) < _ONE).all())
