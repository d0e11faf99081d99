"""How far two outputs are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeort.errors import CheckError

LIMIT = 1e-4  # largest allowed difference, relative to the range of the reference output
# Of a quantised model: a sum between two integers may become either, and the layers behind it spread the difference.
QUANTISED_LIMIT_DB = 30.0  # the least SQNR, or
OWN_MARGIN_DB = 6.0  # so much below that of the reference's own two answers, if they are further apart
_EQUAL_DB = 150.0  # the SQNR of equal outputs


@dataclass(frozen=True)
class Comparison:
    """An output against its reference.

    `max_difference` is max |a - b| / (max b - min b), of integers the share that differs. `reference_spread` is the
    same between two answers of the reference where those were asked for: that much could be its own error.
    `problem` says what is wrong when the two cannot be compared, or differ too much. `sqnr_db`, of quantised models, is
    10 log10(sum b^2 / sum (a - b)^2), `reference_sqnr_db` that of the reference's two answers, `least_db` the
    limit. `lost` of its `size` elements are NaN or infinite, in the reference, too: nothing was compared there.
    """

    output: str
    max_difference: float
    problem: str | None = None
    reference_spread: float = 0.0
    sqnr_db: float | None = None
    reference_sqnr_db: float | None = None
    least_db: float | None = None
    lost: int = 0
    size: int = 0

    @property
    def gap(self) -> str:
        """What could not be compared, as the end of a sentence; "" where that is nothing."""
        if not self.lost:
            return ""
        return f"; {self.lost:,} of the {self.size:,} numbers of {self.output!r} are NaN or infinite in both"


def compare(
    name: str,
    ours: np.ndarray,
    want: np.ndarray,
    other: np.ndarray | None = None,
    limit: float = LIMIT,
    *,
    quantised: bool = False,
    least_db: float | None = None,
) -> Comparison:
    """Compares one output with the reference `want`; `other` is a second answer of the reference.

    Where the reference has NaN or an infinity, ours must have the same. Outputs of a `quantised` model are judged by
    their SQNR, but for integers of more than 8 bits: it is `least_db` or more, or by default near what two answers of
    the reference have.
    """
    if ours.shape != want.shape or ours.dtype != want.dtype:
        is_, should = (f"{array.dtype} {list(array.shape)}" for array in (ours, want))
        return Comparison(name, float("inf"), f"it is {is_}, not {should}")
    if quantised and (want.dtype.kind == "f" or want.dtype.itemsize == 1) and np.isfinite(want).all():
        return _judge_noise(name, ours, want, other, least_db)
    if want.dtype.kind != "f":
        share = float(np.mean(ours != want)) if want.size else 0.0
        return Comparison(name, share, f"{share:.2%} of its elements differ" if share else None)
    finite = np.isfinite(want)
    if not np.array_equal(ours[~finite], want[~finite], equal_nan=True) or not np.isfinite(ours[finite]).all():
        return Comparison(name, float("inf"), "NaN or infinity does not stand where the reference has it")
    difference = _relative(ours[finite], want[finite])
    spread = 0.0 if other is None else _relative(other[finite], want[finite])
    far = (
        None if difference <= limit + spread else f"it differs by {difference:.2g} of its range, more than {limit:.0e}"
    )
    return Comparison(name, difference, far, spread, lost=int((~finite).sum()), size=want.size)


def _judge_noise(
    name: str, ours: np.ndarray, want: np.ndarray, other: np.ndarray | None, least_db: float | None
) -> Comparison:
    found, own = sqnr_db(ours, want), None if other is None else sqnr_db(other, want)
    if least_db is None:
        least_db = QUANTISED_LIMIT_DB if own is None else min(QUANTISED_LIMIT_DB, own - OWN_MARGIN_DB)
    problem = None if found >= least_db else f"its SQNR is {found:.1f} dB, below {least_db:.1f} dB"
    return Comparison(name, _relative(ours, want), problem, sqnr_db=found, reference_sqnr_db=own, least_db=least_db)


def sqnr_db(a: np.ndarray, b: np.ndarray) -> float:
    """10 log10(sum b^2 / sum (a - b)^2), at most 150 dB."""
    noise = float(np.square(a.astype(np.float64) - b).sum())
    signal = float(np.square(b.astype(np.float64)).sum())
    return _EQUAL_DB if noise == 0 else min(_EQUAL_DB, float(10 * np.log10(max(signal, 1e-300) / noise)))


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    """max |a - b| relative to the range of b (of a constant b: to its size)."""
    if not b.size:
        return 0.0
    a, b = a.astype(np.float64), b.astype(np.float64)
    span = float(np.ptp(b)) or float(np.abs(b).max()) or 1.0
    return float(np.abs(a - b).max()) / span


def compare_all(
    names: Sequence[str],
    ours: Sequence[np.ndarray],
    want: Sequence[np.ndarray],
    other: Sequence[np.ndarray] | None = None,
    *,
    quantised: bool = False,
    least_db: float | None = None,
) -> list[Comparison]:
    """Compares all outputs."""
    others = [None] * len(names) if other is None else other
    return [
        compare(*row, quantised=quantised, least_db=least_db) for row in zip(names, ours, want, others, strict=True)
    ]


def accept(comparisons: list[Comparison]) -> list[Comparison]:
    """The comparisons. CheckError names the first that is wrong."""
    for result in comparisons:
        if result.problem:
            raise CheckError(f"output {result.output!r} is not ONNX Runtime's: {result.problem}", hint=_REPORT)
    return comparisons


_REPORT = "edgeort build --keep-stages saves the model after every stage, each of which ONNX Runtime can run"
