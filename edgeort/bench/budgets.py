"""The limits of a profile, one verdict each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeort.bench.measuring import Measurement
from edgeort.errors import BudgetError

# Budget -> unit, and what would bring a build under it.
_BUDGETS = {
    "latency_ms": ("ms", "a smaller input (--shape), or more threads (--threads)"),
    "size_kb": ("KiB", "a smaller model"),
    "ram_mb": ("MiB", "a smaller input (--shape)"),
}


@dataclass(frozen=True)
class Verdict:
    """One budget: its limit, what was measured (None: not here), in `unit`."""

    budget: str
    limit: float
    measured: float | None
    unit: str

    @property
    def is_kept(self) -> bool | None:
        """None when nothing was measured that could tell."""
        return None if self.measured is None else self.measured <= self.limit


def judge(limits: Mapping[str, float], size_bytes: int, found: Measurement | None) -> list[Verdict]:
    """A verdict for every budget in `limits`. Emulated times and memory are not the device's: they judge nothing."""
    real = found if found is not None and found.is_real else None
    measured = {
        "latency_ms": None if real is None else real.latency_ms.get("p50"),
        "size_kb": size_bytes / 1024,
        "ram_mb": None if real is None else real.peak_rss_bytes / 2**20,
    }
    return [Verdict(name, limits[name], measured[name], unit) for name, (unit, _) in _BUDGETS.items() if name in limits]


def enforce(verdicts: Sequence[Verdict]) -> None:
    """Raises BudgetError for the budgets that were exceeded: which, by how much, and what would help."""
    over = [v for v in verdicts if v.is_kept is False]
    if over:
        raise BudgetError("; ".join(map(_excess, over)), hint="; ".join(_BUDGETS[v.budget][1] for v in over))


def _excess(verdict: Verdict) -> str:
    assert verdict.measured is not None
    share = verdict.measured / verdict.limit - 1
    return (
        f"{verdict.budget} is {verdict.measured:.4g} {verdict.unit}, {share:.0%} over the budget of {verdict.limit:.4g}"
    )
