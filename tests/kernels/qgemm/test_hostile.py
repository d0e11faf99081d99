"""Quantised products whose parameters or constants are wrong are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.engine import Engine
from edgeort.errors import PlanError
from edgeort.lowering import layout
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder
from edgeort.lowering.typed import CODES
from tests.contract.engines import int8_levels
from tests.kernels.int8 import HOSTILE, damage
from tests.kernels.qgemm.support import Case, library


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kernel", [(), (3, 3)])
def test_hostile_parameters(name: str, kernel: tuple[int, ...], tmp_path: Path) -> None:
    changed, message = HOSTILE[name]
    case = Case(20, 18, kernel, program=True)
    plan = case.plan()
    plan.nodes[1].params = case.params(**changed)
    refused(plan, case, message, tmp_path)


@pytest.mark.parametrize(("index", "message"), [(1, "packed weights"), (2, "bias, sums"), (3, "bias, sums"), (4, "sc")])
@pytest.mark.parametrize("fault", ["short", "type", "absent"])
@pytest.mark.parametrize("kernel", [(), (3, 3)])
def test_hostile_constants(index: int, message: str, fault: str, kernel: tuple[int, ...], tmp_path: Path) -> None:
    case = Case(20, 18, kernel)
    plan = case.plan()
    damage(plan, index, fault)
    refused(plan, case, "needs" if fault == "absent" else message, tmp_path)


FAULTS: dict[str, tuple[list[int], str]] = {
    "no end": ([0, 0, 0, 0], "no end"),
    "too many": ([0b01 << 62, 0b001 << 61, 0b01 << 62, 0b01 << 62], "all quads"),
    "too few": ([0b01 << 62] * 2 + [1 << 63, 0b01 << 62], "all quads"),
    "some leave one": ([0b01 << 62] * 3 + [0b11 << 62], "all quads"),
    "of fewer columns": ([0b01 << 62] * 3, "all columns"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("kernel", [(), (1, 1)])
def test_hostile_steps(name: str, kernel: tuple[int, ...], tmp_path: Path) -> None:
    """Of three quads and four times eight columns."""
    words, message = FAULTS[name]
    case = Case(12, 18, kernel)
    plan = case.plan()
    tensor = plan.tensors[plan.nodes[1].inputs[5]]
    tensor.data = np.array(words, np.uint64)
    tensor.dims = tensor.data.shape
    refused(plan, case, message, tmp_path)


def test_steps_of_another_type(tmp_path: Path) -> None:
    case = Case(12, 18)
    plan = case.plan()
    tensor = plan.tensors[plan.nodes[1].inputs[5]]
    assert tensor.data is not None
    tensor.dtype, tensor.data = CODES["i64"], tensor.data.astype(np.int64)
    refused(plan, case, "constant words", tmp_path)


def test_steps_of_parts_of_quads(tmp_path: Path) -> None:
    case = Case(13, 18)
    plan = case.plan()
    plan.nodes[1].inputs.append(plan.constant("steps", np.full(4, 1 << 63, np.uint64), CODES["u64"]))
    refused(plan, case, "a part of a quad", tmp_path)


def test_a_scale_that_is_not_finite(tmp_path: Path) -> None:
    case = Case(20, 18)
    case.scales[3] = np.inf
    refused(case.plan(), case, "not finite", tmp_path)


@pytest.mark.parametrize(
    ("k", "n", "message"), [(21, 18, "inner"), (20, -1, "range"), (20, 2**40, "range"), (20, 40, "packed")]
)
def test_hostile_sizes(k: int, n: int, message: str, tmp_path: Path) -> None:
    case = Case(20, 18)
    plan = case.plan()
    quantisation, program = PARAMS["Quantisation"].pack(hi=127, quantised=1), layout.PROGRAM.pack()
    plan.nodes[1].params = PARAMS["QGemmParams"].pack(quantisation=quantisation, k=k, n=n, epilogue=program)
    refused(plan, case, message, tmp_path)


def refused(plan: PlanBuilder, case: Case, message: str, folder: Path) -> None:
    """The plan is, with that in the message."""
    path = folder / "model.plan"
    path.write_bytes(plan.to_bytes())
    x = np.zeros((1, 5, 5, case.k) if case.kernel else (5, case.k), np.int8)
    with pytest.raises(PlanError, match=message):
        Engine(library(), path, threads=1, isa=int8_levels()[0]).run([x])
