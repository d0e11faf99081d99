"""Runs node tests in forked workers: a case that crashes or hangs costs one case. Says why each one failed."""

from __future__ import annotations

import multiprocessing as mp
import os
import platform
import re
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from edgeort import lowering, model, toolchain
from edgeort.engine import Engine
from edgeort.errors import EdgeortError
from edgeort.passes import PassContext, run_passes
from edgeort.values import BITS

PASSED = "passed"
TIMEOUT_S = 30
PASSING = Path(__file__).parent / "passing.txt"
FAILING = Path(__file__).parent / "failing.txt"  # NAME: REASON


@dataclass(frozen=True)
class Outcome:
    """How a case ended: PASSED, or a reason that cases share that fail alike, and what was special to this one."""

    name: str
    reason: str
    detail: str = ""


class Mismatch(Exception):
    """An output differs: (reason, detail)."""


def cases() -> list[Any]:
    """Every node test that comes as a model, by name."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators of the expected values divide by zero on purpose
        return sorted((case for case in collect_testcases(None) if case.model is not None), key=lambda case: case.name)


def passing() -> list[str]:
    """The committed list of cases that must pass."""
    return PASSING.read_text().split()


def failing() -> list[str]:
    """The committed list of cases that fail."""
    return [line.split(":")[0] for line in FAILING.read_text().splitlines()]


def library() -> Path:
    """One library of every operator, for this machine."""
    arch = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    return toolchain.library(toolchain.target("linux", arch), toolchain.all_kernels())


def run_case(case: Any, lib: Path, folder: Path) -> Outcome:
    """One case in this process."""
    operator = _operator(case.model.graph)
    try:
        _check(case, lib, folder)
    except Mismatch as error:
        return Outcome(case.name, f"{error.args[0]}: {operator}", error.args[1])
    except EdgeortError as error:
        return Outcome(case.name, f"refused: {_anonymous(str(error))}", str(error))
    except NotImplementedError as error:
        return Outcome(case.name, str(error))
    except Exception as error:  # a bug of ours, whatever its type
        first = (str(error).strip() or "-").splitlines()[0]
        return Outcome(case.name, f"{type(error).__name__} in the pipeline: {operator}", first[:300])
    return Outcome(case.name, PASSED)


def _operator(graph: onnx.GraphProto) -> str:
    return ", ".join(sorted({node.op_type for node in graph.node if node.op_type != "Constant"}))


def _anonymous(text: str) -> str:
    """The message without what differs between cases: paths, names of nodes and values, numbers."""
    text = re.sub(r"^\S*\.onnx: ", "", text.splitlines()[0])
    text = re.sub(r"node (?:'[^']*'|\"[^\"]*\") ", "", text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "'...'", text)
    return re.sub(r"-?\d+", "#", text)[:200]


def _check(case: Any, lib: Path, folder: Path) -> None:
    for inputs, outputs in case.data_sets:
        if any(isinstance(value, list) or value is None for value in (*inputs, *outputs)):
            raise NotImplementedError("sequences and optionals")
    path = folder / "model.onnx"
    path.write_bytes(case.model.SerializeToString())
    graph = model.clean(model.load(path))
    run_passes(graph, PassContext())
    plan = folder / "model.plan"
    plan.write_bytes(lowering.lower(graph).to_bytes())
    engine = Engine(lib, plan, threads=1)
    try:
        names = [value.name for value in case.model.graph.input]
        for inputs, outputs in case.data_sets:
            feeds = {name: array_of(value) for name, value in zip(names, inputs, strict=True)}
            got = engine.run([_held(feeds[info.name], info.dtype) for info in engine.inputs])
            for ours, want in zip(got, outputs, strict=True):
                _compare(ours, array_of(want), case)
    finally:
        engine.close()


def array_of(value: Any) -> np.ndarray:
    """The data of an input or output of a case."""
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def _held(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """As the engine takes it: what NumPy lacks as its bits."""
    if array.dtype.isbuiltin == 1 or array.dtype.itemsize != dtype.itemsize:
        return array
    return array.view(dtype)


def _compare(got: np.ndarray, want: np.ndarray, case: Any) -> None:
    if want.dtype.isbuiltin != 1 and got.dtype == np.dtype(BITS[ir.DataType.from_numpy(want.dtype).name.lower()]):
        got = got.view(want.dtype)
    if got.dtype != want.dtype:
        raise Mismatch("wrong element type", f"{got.dtype} instead of {want.dtype}")
    if got.shape != want.shape:
        raise Mismatch("wrong shape", f"{list(got.shape)} instead of {list(want.shape)}")
    if want.dtype.kind in "iub":
        if not np.array_equal(got, want):
            raise Mismatch("wrong value", f"{int((got != want).sum())} of {want.size} differ")
        return
    a, b = got.astype(np.float64), want.astype(np.float64)
    if not np.allclose(a, b, rtol=case.rtol, atol=case.atol, equal_nan=True):
        with np.errstate(invalid="ignore"):
            raise Mismatch("wrong value", f"largest difference {np.nanmax(np.abs(a - b))} in {want.size}")


def _work(todo: Sequence[Any], lib: Path, pipe: Connection) -> None:
    warnings.simplefilter("ignore")
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    with tempfile.TemporaryDirectory() as folder:
        while (index := pipe.recv()) is not None:
            pipe.send(run_case(todo[index], lib, Path(folder)))


class _Worker:
    """A forked process and the case it is busy with."""

    def __init__(self, todo: Sequence[Any], lib: Path) -> None:
        context = mp.get_context("fork")  # the cases are large and already here
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(todo, lib, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.index: int | None = None
        self.spent_s = 0.0

    def give(self, index: int | None) -> None:
        self.index, self.spent_s = index, 0.0
        self.pipe.send(index)
        if index is None:
            self.process.join()

    def take(self) -> Outcome | str:
        """The outcome, or how the process died."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            return f"crash: signal {-(self.process.exitcode or 0)}"

    def late(self, seconds: float) -> bool:
        """Whether the case has had its time, with these seconds; those of a machine that was stopped do not count."""
        self.spent_s += min(seconds, 2.0)
        return self.spent_s > TIMEOUT_S

    def end(self) -> None:
        self.process.kill()
        self.process.join()


def run_all(todo: Sequence[Any], lib: Path, workers: int | None = None) -> list[Outcome]:
    """The outcome of every case, in order of names."""
    queue = iter(range(len(todo)))
    return sorted(_run(todo, lib, queue, workers or os.cpu_count() or 1), key=lambda outcome: outcome.name)


def _run(todo: Sequence[Any], lib: Path, queue: Iterator[int], count: int) -> Iterable[Outcome]:
    pool = []
    for index, _ in zip(queue, range(count), strict=False):
        pool.append(_Worker(todo, lib))
        pool[-1].give(index)
    now = time.monotonic()
    while pool:
        ready = wait([worker.pipe for worker in pool], timeout=1)
        before, now = now, time.monotonic()
        for position, worker in reversed(list(enumerate(pool))):
            if worker.pipe in ready:
                result: Outcome | str = worker.take()
            elif worker.late(now - before):
                worker.end()
                result = f"no answer in {TIMEOUT_S} s"
            else:
                continue
            if isinstance(result, str):
                case = todo[worker.index]  # type: ignore[index]
                yield Outcome(case.name, f"{result}: {_operator(case.model.graph)}")
                pool[position] = worker = _Worker(todo, lib)
            else:
                yield result
            following = next(queue, None)
            worker.give(following)
            if following is None:
                pool.pop(position)
