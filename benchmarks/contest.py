"""Engines take turns on one model: one process each, short rounds, a pause between turns, checked outputs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.engines import FLOAT, OURS, REFERENCE, Engine, Feeds
from benchmarks.models import ROOT, Model

# Largest difference to ONNX Runtime, relative to the largest value of the output. Winograd's transforms cost ncnn
# three digits on deep networks; a wrong layer costs all of them.
TOLERANCE = 2e-3
# Of int8 models, where engines round at different places.
INT8_TOLERANCE = 0.3


@dataclass(frozen=True)
class Pace:
    """How turns are taken. The pause outlasts the spinning of idle workers: libomp's lasts 200 ms."""

    rounds: int = 10
    turn_ms: float = 100
    pause_ms: float = 250


@dataclass
class Entrant:
    """One engine's part: why it is out, or its times in ms and its difference to the reference."""

    name: str
    out: str | None = None
    version: str | None = None
    difference: float | None = None
    times_ms: list[float] = field(default_factory=list)

    @property
    def median_ms(self) -> float | None:
        """The median of all runs of all rounds; None for an engine that is out."""
        return statistics.median(self.times_ms) if self.times_ms else None

    @property
    def fastest_ms(self) -> float | None:
        """The fastest of all runs: what other programs on the machine disturb least."""
        return min(self.times_ms, default=None)


@dataclass(frozen=True)
class Result:
    """One model at one number of threads; `entrants` in the order of ENGINES."""

    model: str
    threads: int
    entrants: tuple[Entrant, ...]

    @property
    def ratio(self) -> float | None:
        """The best peer's median over edgeort's: above 1, edgeort is ahead. None when either is missing."""
        return _ratio({entrant.name: entrant.median_ms for entrant in self.entrants})

    @property
    def fastest_ratio(self) -> float | None:
        """The same of the fastest runs."""
        return _ratio({entrant.name: entrant.fastest_ms for entrant in self.entrants})

    @property
    def of_float(self) -> float | None:
        """edgeort's fastest run of the int8 model over its fastest of the float one. None when either is missing."""
        fastest = {entrant.name: entrant.fastest_ms for entrant in self.entrants}
        ours, floats = fastest.get(OURS.name), fastest.get(FLOAT.name)
        return ours / floats if ours is not None and floats is not None else None


def _ratio(times: Mapping[str, float | None]) -> float | None:
    ours = times.get(OURS.name)
    peers = [time for name, time in times.items() if name not in (OURS.name, FLOAT.name) and time is not None]
    return min(peers) / ours if ours is not None and peers else None


class Worker:
    """A process of benchmarks.worker that has the model loaded, or has said why not."""

    def __init__(self, entry: Engine, model: Model, threads: int, folder: Path, others: Sequence[Feeds] = ()) -> None:
        """`others`: further inputs, for which the model's free dimensions stay free."""
        folder.mkdir()
        for index, feeds in enumerate((model.feeds, *others)):
            np.savez(folder / f"feeds-{index}.npz", **feeds)  # type: ignore[arg-type]
        self.folder = folder
        self.entrant = Entrant(entry.name)
        command = [sys.executable, "-m", "benchmarks.worker", entry.name, str(model.path), str(threads), str(folder)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        told = self._answer()
        self.entrant.version = told.get("version")
        self.entrant.out = told.get("unavailable")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def _answer(self) -> dict:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        return {"unavailable": f"its process dies with status {self.process.wait()}"}

    def outputs(self, which: int = 0) -> list[np.ndarray]:
        """Those of the first run on the inputs of that number."""
        with np.load(self.folder / f"outputs-{which}.npz") as stored:
            return [stored[name] for name in stored.files]

    def turn(self, milliseconds: float, which: str = "") -> None:
        """One turn; its times are added to the entrant's. `which`: the number of the inputs, or worker.ALL."""
        assert self.process.stdin is not None
        try:
            print(milliseconds, which, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            self.entrant.out = "its process dies"
            return
        answer = self._answer()
        if isinstance(answer, dict):
            self.entrant.out, self.entrant.times_ms = answer["unavailable"], []
        else:
            self.entrant.times_ms += [ns * 1e-6 for ns in answer]


def difference(got: Sequence[np.ndarray], want: Sequence[np.ndarray]) -> float:
    """The largest |got - want| of all outputs, relative to the largest |want|; infinite for other shapes, or NaN.

    Axes of length 1 do not count: ncnn has no batch dimension.
    """
    if len(got) != len(want):
        return float("inf")
    worst = 0.0
    for ours, theirs in zip(got, want, strict=True):
        if ours.squeeze().shape != theirs.squeeze().shape:
            return float("inf")
        gap = np.abs(ours.squeeze().astype(np.float64) - theirs.squeeze()).max(initial=0)
        worst = max(worst, gap / max(np.abs(theirs).max(initial=0), 1e-30)) if np.isfinite(gap) else float("inf")
    return worst


def check(workers: Sequence[Worker], tolerance: float, which: int = 0) -> None:
    """Puts those out whose outputs on the inputs of that number are not the reference's."""
    reference = next(worker for worker in workers if worker.entrant.name == REFERENCE.name)
    want = [] if reference.entrant.out else reference.outputs(which)
    for worker in workers:
        entrant = worker.entrant
        if entrant.out is None and not want:
            entrant.out = f"not checked: {REFERENCE.name} {reference.entrant.out}"
        elif entrant.out is None:
            entrant.difference = difference(worker.outputs(which), want)
            if entrant.difference > tolerance and entrant.name != FLOAT.name:
                entrant.out = f"wrong output, off by {entrant.difference:.1e} of the range"


def contest(
    model: Model,
    threads: int,
    engines: Sequence[Engine],
    pace: Pace,
    others: Mapping[str, Model] | None = None,
) -> Result:
    """Times the engines on the model. ONNX Runtime has to be among them: the outputs are checked against its.

    `others`: the model of an engine by its name, where it is another one, and outputs agree less.
    """
    with tempfile.TemporaryDirectory(prefix="edgeort-") as name, ExitStack() as stack:
        workers = []
        for entry in engines:
            own, folder = (others or {}).get(entry.name, model), Path(name) / entry.name.replace(" ", "-")
            workers.append(stack.enter_context(Worker(entry, own, threads, folder)))
        check(workers, INT8_TOLERANCE if others else TOLERANCE)
        for index in range(pace.rounds):
            order = [*workers[index % len(workers) :], *workers[: index % len(workers)]]
            for worker in order:
                if worker.entrant.out is None:
                    time.sleep(pace.pause_ms / 1000)
                    worker.turn(pace.turn_ms)
        return Result(model.name, threads, tuple(worker.entrant for worker in workers))


def by_threads(results: Sequence[Result]) -> dict[int, tuple[float, float]]:
    """The geometric means of `ratio` and of `fastest_ratio`, for each number of threads that has any."""
    found: dict[int, list[tuple[float, float]]] = {}
    for result in results:
        if result.ratio is not None and result.fastest_ratio is not None:
            found.setdefault(result.threads, []).append((result.ratio, result.fastest_ratio))
    return {
        threads: (statistics.geometric_mean(a for a, _ in pairs), statistics.geometric_mean(b for _, b in pairs))
        for threads, pairs in found.items()
    }
