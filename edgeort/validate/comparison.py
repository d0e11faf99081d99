"""How far two outputs are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeort.errors import CheckError

LIMIT = 1e-4  # largest allowed difference, relative to the range of the reference output


@dataclass(frozen=True)
class Comparison:
    """An output against its reference: `max_difference` is max |a - b| / (max b - min b), of integers the share that
    differs. `problem` says what is wrong when the two cannot be compared, or differ too much."""

    output: str
    max_difference: float
    problem: str | None = None


def compare(name: str, ours: np.ndarray, want: np.ndarray, limit: float = LIMIT) -> Comparison:
    """Compares one output. Where the reference has NaN or an infinity, ours must have the same."""
    if ours.shape != want.shape or ours.dtype != want.dtype:
        is_, should = (f"{array.dtype} {list(array.shape)}" for array in (ours, want))
        return Comparison(name, float("inf"), f"it is {is_}, not {should}")
    if not want.size:
        return Comparison(name, 0.0)
    if want.dtype.kind != "f":
        share = float(np.mean(ours != want))
        return Comparison(name, share, f"{share:.2%} of its elements differ" if share else None)
    a, b = ours.astype(np.float64), want.astype(np.float64)
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(a[finite]).all():
        return Comparison(name, float("inf"), "NaN or infinity does not stand where the reference has it")
    if not finite.any():
        return Comparison(name, 0.0)
    span = float(np.ptp(b[finite])) or float(np.abs(b[finite]).max()) or 1.0
    difference = float(np.abs(a[finite] - b[finite]).max()) / span
    problem = None if difference <= limit else f"it differs by {difference:.2g} of its range, more than {limit:.0e}"
    return Comparison(name, difference, problem)


def compare_all(names: Sequence[str], ours: Sequence[np.ndarray], want: Sequence[np.ndarray]) -> list[Comparison]:
    """Compares all outputs. CheckError names the first that is wrong."""
    found = [compare(name, a, b) for name, a, b in zip(names, ours, want, strict=True)]
    for result in found:
        if result.problem:
            raise CheckError(f"output {result.output!r} is not ONNX Runtime's: {result.problem}", hint=_REPORT)
    return found


_REPORT = "edgeort build --keep-stages saves the model after every stage, each of which ONNX Runtime can run"
