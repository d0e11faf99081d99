"""What is read from a plan is what was written, and a damaged plan is refused."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from edgeort import sample
from edgeort.compiling import plan_of
from edgeort.device_profiles import load
from edgeort.errors import PlanError
from edgeort.lowering import layout
from edgeort.lowering.contents import Constants, constants
from edgeort.lowering.plan import PlanBuilder


@pytest.fixture(scope="module")
def digits() -> PlanBuilder:
    return plan_of(Path(sample.path()), load("raspberrypi4"))[0]


def test_weights_are_those_of_the_nodes(digits: PlanBuilder):
    found = [row for row in constants(digits.to_bytes()) if row.use == "weights of products"]
    wanted: dict[str, int] = {}
    for node in digits.nodes:
        form, size = digits.weights(node)
        if form:
            wanted[form] = wanted.get(form, 0) + size
    # A sparse product has its mask as an operand of its own, which `weights` counts with it.
    assert {row.form for row in found} <= {*wanted, "u8"} and sum(row.count for row in found) == 8
    assert sum(row.size_bytes for row in found) <= sum(wanted.values())


def test_every_constant_is_counted_once(digits: PlanBuilder):
    found = constants(digits.to_bytes())
    assert sum(row.count for row in found) == sum(tensor.data is not None for tensor in digits.tensors)
    assert [row.size_bytes for row in found] == sorted((row.size_bytes for row in found), reverse=True)


def test_forms_of_weights_and_tables():
    plan = PlanBuilder()
    x, ids = plan.input("x", 0, [1, 4]), plan.input("ids", 6, [2])
    w, b = plan.constant("w", np.ones((4, 16), np.float32), 0), plan.constant("b", np.ones(16, np.float32), 0)
    packed, table = plan.constant("p", np.ones(32, np.uint8), 1), plan.constant("t", np.ones((3, 2), np.int8), 2)
    for op, inputs, name in (
        ("Gemm", [x, w, b], "g"),
        ("CompressedGemm", [x, packed], "c"),
        ("Gather", [table, ids], "e"),
    ):
        plan.node(op, name, inputs, [plan.activation(name)])
    assert set(constants(plan.to_bytes())) == {
        Constants("weights of products", "f32", 1, 256),
        Constants("weights of products", "pairs of i4", 1, 32),
        Constants("tables", "i8", 1, 6),
        Constants("other constants", "f32", 1, 64),
    }


@pytest.mark.parametrize("raw", [b"", b"EDGEORT", b"\0" * 4096, layout.MAGIC + b"\xff" * 400])
def test_what_is_no_plan_is_refused(raw: bytes):
    with pytest.raises(PlanError):
        constants(raw)


def test_damaged_plans_are_read_or_refused(digits: PlanBuilder):
    whole = digits.to_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(400):
        raw = bytearray(whole[: rng.choice((len(whole), 2000, 400))])
        for _ in range(rng.randint(1, 6)):
            raw[rng.randrange(8, min(len(raw), 3000))] = rng.randrange(256)
        try:
            constants(bytes(raw))
        except PlanError:
            refused += 1
    assert refused > 100
