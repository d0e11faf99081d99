"""What a metric is: it looks at one sample after the other, says how bad each is, and in the end gives its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgeort.quantize.parts import Part
from edgeort.validate.labels import Label


@dataclass(frozen=True)
class Case:
    """A sample's outputs from the float model and from what is judged, by name, and its label where there is one.

    `main` names the output that the task is about; `characters[i]` spells the class i + 1; a sample has those of
    several classes whose score is over `threshold`. `joined` are the parts of outputs that are joined of several.
    """

    name: str
    reference: Mapping[str, np.ndarray]
    found: Mapping[str, np.ndarray]
    main: str
    label: Label | None = None
    characters: Sequence[str] | None = None
    threshold: float = 0.5
    joined: Sequence[Part] = ()

    @property
    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """The main output of both."""
        return self.reference[self.main], self.found[self.main]


@dataclass(frozen=True)
class Figure:
    """A result. `unit` is dB, points, %, nats or nothing; `standard_error` that of `value`, from the samples alone.

    `note` says in words what the numbers behind it are.
    """

    name: str
    value: float
    unit: str = ""
    standard_error: float | None = None
    note: str = ""

    def text(self) -> str:
        """`0.40 points +- 0.32`."""
        error = "" if self.standard_error is None else f" +- {self.standard_error:.2f}"
        value = f"{self.value:.2f}" if self.unit in ("dB", "points", "%") else f"{self.value:.4g}"
        return f"{value} {self.unit}".rstrip() + error + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class Loss:
    """How far a sample's answer is from the float model's: 0 is the same, more is worse; `note` is for people."""

    value: float
    note: str = ""


class Metric(Protocol):
    """One question asked of all samples. Made without arguments."""

    def add(self, case: Case) -> Loss:
        """Counts a sample."""

    def figures(self) -> list[Figure]:
        """The answers."""


def float_outputs(case: Case) -> list[str]:
    """Names of the outputs that hold real numbers."""
    return [name for name, array in case.reference.items() if array.dtype.kind == "f"]


def rows(array: np.ndarray) -> np.ndarray:
    """The array as float64 [rows, columns]: a row is what the last axis holds."""
    return array.astype(np.float64).reshape(-1, array.shape[-1] if array.ndim else 1)
