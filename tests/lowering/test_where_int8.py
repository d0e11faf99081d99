"""Where int8 pays: the rates decide, the plan says so, and the numbers stay within rounding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from edgeort import device_profiles, lowering
from edgeort.device_profiles.profile import Budget
from edgeort.device_profiles.rates import CoreRates
from edgeort.lowering.plan import PlanBuilder
from edgeort.lowering.where_int8 import rates_of
from edgeort.passes import PassContext, run_passes
from tests.kernels.support import open_plan
from tests.lowering.test_quantised import Array, int8, product

LEVEL, TWICE, FOUR_TIMES = CoreRates(16, 16), CoreRates(16, 32), CoreRates(32, 128)
PRODUCTS = ("QConv", "QStemConv", "QDepthwiseConv", "QGemm")


def plan_at(model: onnx.ModelProto, rates: CoreRates | None) -> PlanBuilder:
    graph = ir.from_proto(model)
    run_passes(graph, PassContext())
    return lowering.lower(graph, rates)


def is_int8(plan: PlanBuilder) -> bool:
    return any(node.op in PRODUCTS for node in plan.nodes)


def conv(size: int | str, kernel: int, *, out: int = 64, groups: int = 1) -> onnx.ModelProto:
    """A convolution of 64 channels, in 8-bit integers at both ends."""
    bias = np.arange(out, dtype=np.int32) * 50
    node = helper.make_node("Conv", ["xd", "wd", "bd"], ["c"], name="conv", pads=[kernel // 2] * 4, group=groups)
    return product(node, [1, 64, size, size], int8(out, 64 // groups, kernel, kernel), bias=bias)


@pytest.mark.parametrize(
    ("model", "rates", "wanted"),
    [
        (conv(28, 3), None, True),
        (conv(28, 3), LEVEL, False),  # Winograd multiplies a third
        (conv(28, 3), TWICE, False),
        (conv(28, 3), FOUR_TIMES, True),
        (conv(28, 1), LEVEL, True),  # level: converting would lose
        (conv(28, 1, out=256), CoreRates(16, 8), False),  # a profile's own rates may say so
        (conv(28, 1, out=8), CoreRates(16, 15), True),  # few products for what is converted
        (conv(28, 3, groups=64), CoreRates(16, 8), True),  # depthwise
        (conv("size", 3), LEVEL, True),
        (conv(1, 3), TWICE, True),
    ],
)
def test_rates_decide(model: onnx.ModelProto, rates: CoreRates | None, wanted: bool) -> None:
    plan = plan_at(model, rates)
    assert is_int8(plan) == wanted
    assert bool(plan.reasons) != wanted


@pytest.mark.parametrize(("rows", "wanted"), [(1, True), (2048, False)])
def test_a_product_of_few_rows_waits_for_its_weights(rows: int, wanted: bool) -> None:
    node = helper.make_node("Gemm", ["xd", "wd"], ["c"])
    assert is_int8(plan_at(product(node, [rows, 256], int8(256, 512), axis=1), CoreRates(16, 8))) == wanted


def test_the_reason_says_how_much_and_why() -> None:
    (reason,) = plan_at(conv(28, 3), LEVEL).reasons.values()
    assert reason.startswith("int8 would be slower, 2.") and "Winograd" in reason and "16 in int8" in reason


def test_a_limit_of_size_or_memory_keeps_int8() -> None:
    profile = device_profiles.load("x86-64")
    found = rates_of(profile)
    assert found is not None and found.int8 < 2 * found.float32
    for budget in (Budget(size_kb=9000), Budget(ram_mb=64)):
        assert rates_of(replace(profile, budget=budget)) is None
    assert rates_of(replace(profile, budget=Budget(latency_ms=5))) == found


def test_both_precisions_give_the_same_integers_within_one(tmp_path: Path) -> None:
    model, results = conv(19, 3), []
    x = np.random.default_rng(5).normal(size=(1, 64, 19, 19)).astype(np.float32)
    for name, rates in (("int8", None), ("float32", LEVEL)):
        (tmp_path / name).mkdir()
        results.append(_run(plan_at(model, rates), tmp_path / name, x).astype(int))
    difference = np.abs(results[0] - results[1])
    assert difference.max() <= 1 and difference.mean() < 0.01


def _run(plan: PlanBuilder, folder: Path, x: Array) -> Array:
    return open_plan(plan, folder).run([x])[0]
