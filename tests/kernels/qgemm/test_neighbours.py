"""Quantised products beside others: parts of wider tensors, residuals, chains that run strip by strip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.engine import Engine
from edgeort.errors import BudgetError
from edgeort.lowering import layout
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder
from edgeort.lowering.typed import CODES
from tests.kernels.qgemm.support import STEP, Case, instruction, library, output, q8_input, run
from tests.reference import quantised as reference


@pytest.mark.parametrize("program", [False, True])
def test_slices(program: bool, tmp_path: Path) -> None:
    """A Split and a Concat of columns copy nothing: kernels, and programs behind them, read and write them in place."""
    left = Case(20, 24, (1, 1), program=program)
    right = Case(12, 19, (3, 3), pads=(1, 1, 1, 1), program=program)
    last = Case(43, 21, (1, 1))
    plan = PlanBuilder()
    x = q8_input(plan, ["n", "h", "w", 32])
    parts = [plan.activation(name, layout.Q8) for name in "ab"]
    sizes = plan.constant("sizes", np.array([20, 12]), CODES["i64"])
    plan.node("Split", "split", [x, sizes], parts, PARAMS["AxisParams"].pack(axis=3))
    made = [left.append(plan, parts[0], "left"), right.append(plan, parts[1], "right")]
    joined = plan.activation("joined", layout.Q8)
    plan.node("Concat", "concat", made, [joined], PARAMS["AxisParams"].pack(axis=3))
    output(plan, last.append(plan, joined, "last"))
    rng = np.random.default_rng(0)
    runs = []
    for shape in ((1, 5, 7), (2, 8, 9)):
        x = rng.integers(-128, 128, (*shape, 32)).astype(np.int8)
        runs.append((x, last.want(np.concatenate([left.want(x[..., :20]), right.want(x[..., 20:])], -1))))
    run(plan, tmp_path, runs)


# Of the residual that a program adds: half of a tensor, all of one, and a row for all pixels.
RESIDUALS = {"half": 40, "whole": 20, "row": 20}


@pytest.mark.parametrize("name", RESIDUALS)
def test_residuals(name: str, tmp_path: Path) -> None:
    """A program that reads a q8 of its own rows, behind products that leave gaps between theirs."""
    width, case = RESIDUALS[name], Case(20, 20, (3, 3), pads=(1, 1, 1, 1))
    scale, zero, residual = np.float32(0.25), 5, np.random.default_rng(2).integers(-128, 128, 20).astype(np.int8)
    plan = PlanBuilder()
    x = q8_input(plan, ["n", "h", "w", width])
    first = other = x
    if name == "half":
        first, other = (plan.activation(part, layout.Q8) for part in "ab")
        sizes = plan.constant("sizes", np.array([20, 20]), CODES["i64"])
        plan.node("Split", "split", [x, sizes], [first, other], PARAMS["AxisParams"].pack(axis=3))
    elif name == "row":
        other = plan.activation("row", layout.Q8)
        constant = plan.constant("residual", residual, CODES["i8"])
        plan.node("QuantisedBytes", "row", [constant], [other], PARAMS["AxisParams"].pack(flag=layout.Q8))
    code = [
        instruction("Dequantize", float(scale), zero, dst=2, a=1),
        instruction("Add", b=2),
        instruction("Quantize", float(np.float32(1) / np.float32(STEP)), case.zero_points[1]),
    ]
    program = layout.PROGRAM.pack(count=3, operands=1, registers=3, first_operand=5)
    y = plan.activation("y", layout.Q8)
    inputs = [first, *case.constants(plan, "y"), other]
    plan.node("QConv", "y", inputs, [y], case.params(program=(program, code)))
    joined = plan.activation("joined", layout.Q8)
    plan.node("Concat", "concat", [y, first], [joined], PARAMS["AxisParams"].pack(axis=3))
    output(plan, joined)
    rng, runs = np.random.default_rng(0), []
    for shape in ((1, 5, 7), (2, 8, 9), (1, 23, 31)):
        given = rng.integers(-128, 128, (*shape, width)).astype(np.int8)
        added = residual if name == "row" else given[..., -20:]
        sums = case.sums(given[..., :20]).astype(np.float32) * case.scales + reference.dequantize(added, scale, zero)
        made = reference.quantize(sums, STEP, case.zero_points[1])
        runs.append((given, np.concatenate([made, given[..., :20]], -1)))
    run(plan, tmp_path, runs)


CHAINS: dict[str, tuple[Case, ...]] = {
    "pointwise": (Case(8, 96, (1, 1)), Case(96, 24, (3, 3), (2, 2), (1, 1, 1, 1)), Case(24, 40, (1, 1))),
    "from the picture on": (
        Case(3, 96, (3, 3), pads=(1, 1, 1, 1), zero_points=(3, 90)),
        Case(96, 20, (5, 5), pads=(2, 2, 2, 2), zero_points=(90, -7)),
    ),
    "programs": (Case(8, 96, (1, 1), program=True), Case(96, 24, (3, 3), pads=(1, 1, 1, 1), program=True)),
    "to float32": (Case(8, 96, (1, 1)), Case(96, 24, (3, 3), pads=(1, 1, 1, 1), quantised=False)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_streams(name: str, tmp_path: Path) -> None:
    """Chains run strip by strip: lines beside the image hold the zero point, and wide tensors take no memory."""
    cases = CHAINS[name]
    x = cases[0].input(np.random.default_rng(0), 1, 61, 63)
    want, widest = x, 0
    for case in cases:
        want = case.want(want)
        widest = max(widest, want.nbytes)
    plan = PlanBuilder()
    y = q8_input(plan, [1, 61, 63, cases[0].k])
    for index, case in enumerate(cases):
        y = case.append(plan, y, f"conv{index}")
    plan.outputs = [y]
    if cases[-1].quantised:
        output(plan, y)
    run(plan, tmp_path, [(x, want)])
    if not cases[-1].quantised:
        return
    engine = Engine(library(), sorted(tmp_path.iterdir())[-1], threads=1)
    engine.run([x])
    assert engine.stats.arena_bytes < widest
    engine.close()


def test_a_pixel_that_pads_make_a_column(tmp_path: Path) -> None:
    """Short of memory, its lines are made strip by strip, though a picture of one column else lies down."""
    stem = Case(3, 96, (3, 1), pads=(30, 0, 30, 0), stem=True, zero_points=(3, 90))
    last = Case(96, 20, (1, 1), zero_points=(90, -7))
    x = stem.input(np.random.default_rng(0), 1, 1, 1)
    plan = PlanBuilder()
    output(plan, last.append(plan, stem.append(plan, q8_input(plan, [1, 1, 1, 3]), "stem"), "last"))

    def run_within(limit: int) -> np.ndarray:
        plan.ram_limit = limit
        (tmp_path / "column.plan").write_bytes(plan.to_bytes())
        engine = Engine(library(), tmp_path / "column.plan", threads=1)
        try:
            return np.asarray(engine.run([x])[0]).copy()
        finally:
            engine.close()

    with pytest.raises(BudgetError) as refused:
        run_within(1)
    least = int(str(refused.value).split()[2])
    np.testing.assert_array_equal(run_within(least), last.want(stem.want(x)))
