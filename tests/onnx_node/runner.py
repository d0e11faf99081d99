"""Runs node tests in forked workers: a case that crashes or hangs costs one case. Says why each one failed."""

from __future__ import annotations

import functools
import platform
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from edgeort import lowering, model, toolchain
from edgeort.compiling import signature
from edgeort.engine import Engine
from edgeort.errors import EdgeortError
from edgeort.passes import PassContext, run_passes
from edgeort.values import BITS, Value, from_elements, to_elements
from tests.forked import run_forked

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


@functools.cache
def cases() -> tuple[Any, ...]:
    """Every node test that comes as a model, by name."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators of the expected values divide by zero on purpose
        found = (case for case in collect_testcases(None) if case.model is not None)
        return tuple(sorted(found, key=lambda case: case.name))


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
    path = folder / "model.onnx"
    path.write_bytes(case.model.SerializeToString())
    graph = model.clean(model.load(path))
    run_passes(graph, PassContext())
    plan = folder / "model.plan"
    plan.write_bytes(lowering.lower(graph).to_bytes())
    engine = Engine(lib, plan, threads=1)
    try:
        names = [value.name for value in case.model.graph.input]
        takes, gives = signature(graph)
        for inputs, outputs in case.data_sets:
            feeds = dict(zip(names, inputs, strict=True))
            got = engine.run([_given(value, feeds[value.name]) for value in takes])
            for value, ours, want in zip(gives, got, outputs, strict=True):
                _compare_all(from_elements(value.dtype, ours), want, case)
    finally:
        engine.close()


def array_of(value: Any) -> np.ndarray:
    """The data of an input or output of a case."""
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def _given(value: Value, given: Any) -> Any:
    """An input as the engine takes it."""
    if not value.is_nested:
        return _held(array_of(given), value.array_dtype)
    arrays = [array_of(item) for item in given] if isinstance(given, list) else given
    return to_elements(value.dtype, array_of(arrays) if isinstance(arrays, onnx.TensorProto) else arrays)


def _compare_all(got: Any, want: Any, case: Any) -> None:
    """Arrays, lists of arrays, or None."""
    if want is None or got is None:
        if (want is None) != (got is None):
            raise Mismatch("wrong optional", f"{got} instead of {want}")
    elif isinstance(want, list):
        if len(got) != len(want):
            raise Mismatch("wrong length", f"{len(got)} tensors instead of {len(want)}")
        for ours, theirs in zip(got, want, strict=True):
            _compare(ours, array_of(theirs), case)
    else:
        _compare(got, array_of(want), case)


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
    if want.dtype.kind in "iubO":
        if not np.array_equal(got, want):
            raise Mismatch("wrong value", f"{int((got != want).sum())} of {want.size} differ")
        return
    a, b = got.astype(np.float64), want.astype(np.float64)
    if not np.allclose(a, b, rtol=case.rtol, atol=case.atol, equal_nan=True):
        with np.errstate(invalid="ignore"):
            raise Mismatch("wrong value", f"largest difference {np.nanmax(np.abs(a - b))} in {want.size}")


def run_all(todo: Sequence[Any], lib: Path, workers: int | None = None) -> list[Outcome]:
    """The outcome of every case, in order of names."""
    outcomes = []
    jobs = run_forked(
        lambda index, folder: run_case(todo[index], lib, folder), len(todo), timeout_s=TIMEOUT_S, workers=workers
    )
    for index, outcome, death in jobs:
        case = todo[index]
        outcomes.append(outcome or Outcome(case.name, f"{death}: {_operator(case.model.graph)}"))
    return sorted(outcomes, key=lambda outcome: outcome.name)
