"""What every engine is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class Unavailable(Exception):
    """An engine cannot take part, for the reason in the message: a missing package, no converter, a refused model."""


@dataclass(frozen=True)
class Engine:
    """`module` has `open(job)`; `package` is what it imports, and `install` gets that."""

    name: str
    module: str
    package: str
    install: str


@dataclass(frozen=True)
class Job:
    """A model and its data. `folder` is scratch of this job."""

    model: Path
    feeds: dict[str, np.ndarray]
    threads: int
    folder: Path


@dataclass(frozen=True)
class Runner:
    """A loaded model. `run` is what is timed; `outputs` are those of the last run, in the order of the ONNX graph."""

    run: Callable[[], object]
    outputs: Callable[[], list[np.ndarray]]
