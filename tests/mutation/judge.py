"""What becomes of one mutant: it runs, it is refused, or there is a bug."""

from __future__ import annotations

import logging
import resource
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgeort import lowering, model
from edgeort.engine import Engine
from edgeort.errors import EdgeortError
from edgeort.passes import PassContext, run_passes

RUN_ELEMENTS = 1 << 16  # of the inputs of a mutant that is run
MEMORY_BYTES = 1 << 30  # more than a mutant of a small model may take
SLOW_S = 10.0

# What the checker has against models that run all the same.
HARMLESS = (
    "must be topologically sorted",  # we sort them
    "No opset import for domain 'ai.onnx'",  # the other name of the default one
    "No Opset registered for domain ai.onnx",
    "Field 'shape' of 'type' is required",  # --shape gives one
    "in initializer but not in graph input",  # which files of IR version 3 should have
    "duplicate keys in metadata_props",  # nobody reads them
)

RAN, OPENED, REFUSED, BUG = "ran", "opened", "refused", "bug"


@dataclass(frozen=True)
class Verdict:
    """How a mutant ended. `stage` is where; `text` is the message, or what went wrong."""

    end: str
    stage: str
    text: str = ""
    kind: str = ""
    hint: bool = False
    checker: str = ""  # the ONNX checker's complaint about a mutant that was built
    seconds: float = 0.0


def judge(data: bytes, library: Path, folder: Path, tell: Callable[[str], object] = len) -> Verdict:
    """The mutant through all stages in this process; `tell` is called with the name of each."""
    path = folder / "model.onnx"
    path.write_bytes(data)
    start = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stages: list[str] = []

    def stage(name: str) -> None:
        stages.append(name)
        tell(name)

    try:
        end = _walk(path, library, folder, stage)
        verdict = Verdict(end, stages[-1], checker=_checker(data) if data else "")
    except EdgeortError as error:
        text = str(error).removeprefix(f"{path}: ")
        verdict = Verdict(REFUSED, stages[-1], text, type(error).__name__, error.hint is not None)
    except Exception as error:
        frame = [f for f in traceback.extract_tb(error.__traceback__) if "/edgeort/" in f.filename][-1:]
        at = f" at {Path(frame[0].filename).name}:{frame[0].lineno}" if frame else ""
        said = (str(error) or "-").splitlines()[0][:200]
        return Verdict(BUG, stages[-1], f"{type(error).__name__}{at}: {said}")
    spent = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if grown > MEMORY_BYTES // 2:
        return Verdict(BUG, stages[-1], f"took {grown >> 20} MiB", seconds=spent)
    if spent > SLOW_S:
        return Verdict(BUG, stages[-1], f"took {spent:.0f} s", seconds=spent)
    return verdict


def _walk(path: Path, library: Path, folder: Path, stage: Callable[[str], None]) -> str:
    logging.disable(logging.WARNING)
    stage("load")
    loaded = model.load(path)
    stage("clean")
    graph = model.clean(loaded)
    stage("passes")
    run_passes(graph, PassContext())
    stage("lower")
    plan = lowering.lower(graph)
    stage("write")
    (folder / "model.plan").write_bytes(plan.to_bytes())
    stage("open")
    engine = Engine(library, folder / "model.plan", threads=1)
    try:
        feeds = _feeds(engine)
        if feeds is None or "Loop" in plan.ops:
            return OPENED
        stage("run")
        engine.run(feeds)
        return RAN
    finally:
        engine.close()


def _feeds(engine: Engine) -> list[Any] | None:
    """Small numbers for the inputs; None where those are too large."""
    rng = np.random.default_rng(0)
    feeds = []
    for info in engine.inputs:
        shape = [2 if dim is None else dim for dim in info.shape or ()]
        if int(np.prod(shape, dtype=object)) > RUN_ELEMENTS:
            return None
        numbers = rng.integers(0, 3, shape)
        if info.kind == "string":
            feeds.append(numbers.astype(str).astype(object))
        elif info.kind == "tensor":
            feeds.append([np.float32([number]) for number in numbers])
        else:
            feeds.append(numbers.astype(info.dtype))
    return feeds


def _checker(data: bytes) -> str:
    """What the checker has against a model that was built, but for what harms nobody."""
    try:
        onnx.checker.check_model(data)
    except Exception as error:
        first = str(error).strip().splitlines()[0]
        return "" if any(words in first for words in HARMLESS) else first
    return ""


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many ended how."""
    counts = {end: sum(v.end == end for v in verdicts) for end in (RAN, OPENED, REFUSED, BUG)}
    return ", ".join(f"{count} {end}" for end, count in counts.items())
