"""What figures may be at worst. RULES is the list: an option, the figure it is about, which side is the good one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeort.errors import InputError
from edgeort.validate.metrics import Figure

# Attribute of Limits, name of the figure, 1 where more is better and -1 where less is.
RULES = (("max_drop", "drop", -1), ("min_agreement", "agreement", 1), ("min_sqnr_db", "sqnr_db", 1))
_STEPS = {"max_drop": 0.01, "min_agreement": 0.001, "min_sqnr_db": 0.1}  # of limits that are proposed
_OPTIONS = {"max_drop": "--max-drop", "min_agreement": "--min-agreement", "min_sqnr_db": "--min-sqnr"}


@dataclass(frozen=True)
class Limits:
    """The budget of accuracy. `max_drop` in points, `min_agreement` 0..1, `min_sqnr_db` in dB; None: any."""

    max_drop: float | None = None
    min_agreement: float | None = None
    min_sqnr_db: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is anything to keep."""
        return any(value is not None for value in asdict(self).values())

    def text(self) -> str:
        """`--max-drop 0.5 --min-sqnr 25`."""
        return " ".join(f"{_OPTIONS[name]} {value:g}" for name, value in asdict(self).items() if value is not None)

    def loosened(self, found: Sequence[Judgement]) -> Limits:
        """The nearest round limits that were kept in all judgements."""
        limits = asdict(self)
        for name, _, better in RULES:
            values = [one.figure.value * better for one in found if one.option == _OPTIONS[name] and not one.is_kept]
            if values and math.isfinite(min(values)):
                limits[name] = better * math.floor(min(values) / _STEPS[name]) * _STEPS[name]
        return Limits(**limits)

    def judge(self, figures: Sequence[Figure]) -> list[Judgement]:
        """One judgement for each limit and figure of its name. InputError when a limit has no figure."""
        found = []
        for name, figure_name, better in RULES:
            limit = getattr(self, name)
            if limit is None:
                continue
            own = [figure for figure in figures if figure.name == figure_name]
            if not own:
                raise InputError(f"{_OPTIONS[name]} {limit:g}: the task has no such figure here", hint=_NO_FIGURE[name])
            found += [Judgement(_OPTIONS[name], limit, figure, better) for figure in own]
        return found


_NO_FIGURE = {
    "max_drop": "what is lost is counted on labels: --labels FILE",
    "min_agreement": "--task classification, multilabel, detection, embedding, ocr or custom",
    "min_sqnr_db": "SQNR is that of float outputs",
}


@dataclass(frozen=True)
class Judgement:
    """A limit and the figure it is about; `better` is 1 where more is better, -1 where less is."""

    option: str
    limit: float
    figure: Figure
    better: int

    @property
    def excess(self) -> float:
        """By how much the figure is on the wrong side of the limit; 0 or less: it is kept."""
        return self.better * (self.limit - self.figure.value)

    @property
    def is_kept(self) -> bool:
        """Whether the limit is kept."""
        return self.excess <= 0

    def text(self) -> str:
        """`drop is 1.20 points +- 0.50, 0.7 over --max-drop 0.5`."""
        side = "kept" if self.is_kept else f"{self.excess:.3g} {'under' if self.better > 0 else 'over'}"
        return f"{self.figure.name} is {self.figure.text()}: {side} {self.option} {self.limit:g}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "option": self.option,
            "limit": self.limit,
            "figure": self.figure.name,
            "value": self.figure.value,
            "is_kept": self.is_kept,
            "excess": self.excess,
        }
