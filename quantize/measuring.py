"""How far a quantised model's outputs are from the float model's.

SQNR = 10 log10(sum r^2 / sum (r - q)^2)                   over all outputs of all samples, in dB
agreement = share of rows whose largest entry is the same
KL = mean over rows of sum softmax(r) log(softmax(r) / softmax(q)), nats
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from edgeort.errors import InputError
from edgeort.ort import first_line, open_session
from edgeort.quantize.parallel import ordered_map
from edgeort.quantize.samples import Sample


@dataclass
class Difference:
    """Sums over the rows of one output; a row is what its last axis holds."""

    output: str
    signal: float = 0.0
    noise: float = 0.0
    rows: int = 0
    same: int = 0
    divergence: float = 0.0

    def add(self, reference: np.ndarray, found: np.ndarray) -> None:
        """Compares an output of a sample."""
        r, q = (
            array.astype(np.float64).reshape(-1, array.shape[-1] if array.ndim else 1) for array in (reference, found)
        )
        self.signal += float((r**2).sum())
        self.noise += float(((r - q) ** 2).sum())
        self.rows += len(r)
        self.same += int((r.argmax(axis=1) == q.argmax(axis=1)).sum()) if r.shape[1] else 0
        log_r, log_q = _log_softmax(r), _log_softmax(q)
        self.divergence += float((np.exp(log_r) * (log_r - log_q)).sum())

    @property
    def sqnr_db(self) -> float:
        """In dB; infinite where nothing differs."""
        return 10 * math.log10(max(self.signal, 1e-300) / self.noise) if self.noise else math.inf

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
        return {**asdict(self), "sqnr_db": self.sqnr_db, "agreement": self.agreement, "kl": self.kl}


Outputs = dict[str, np.ndarray]


def compare(
    reference: bytes, quantised: bytes, samples: Iterable[Sample], *, fuse_qdq: bool = True
) -> list[Difference]:
    """Runs both models in ONNX Runtime on all samples; one entry for each float output, in the order of the model's.

    `fuse_qdq` as `open_session`'s.
    """
    found: dict[str, Difference] = {}
    for ours in run_both(reference, quantised, samples, fuse_qdq=fuse_qdq):
        for name, r in ours[0].items():
            found.setdefault(name, Difference(name)).add(r, ours[1][name])
    return list(found.values())


def run_both(
    reference: bytes, other: bytes, samples: Iterable[Sample], *, fuse_qdq: bool = True
) -> Iterator[tuple[Outputs, Outputs]]:
    """The float outputs of two models in ONNX Runtime, sample by sample."""
    sessions = [open_session(model, threads=1, fuse_qdq=fuse_qdq) for model in (reference, other)]
    names = [output.name for output in sessions[0].get_outputs() if output.type == "tensor(float)"]

    def run(sample: Sample) -> tuple[Outputs, Outputs]:
        try:
            first, second = (dict(zip(names, session.run(names, sample), strict=True)) for session in sessions)
        except Exception as error:  # its exceptions have no common base
            raise InputError(f"ONNX Runtime cannot run the models: {first_line(error)}") from error
        return first, second

    return ordered_map(run, samples)


def _log_softmax(x: np.ndarray) -> np.ndarray:
    if not x.size:
        return x
    shifted = x - x.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
