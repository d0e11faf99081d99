"""The arena as the harness tells it: what is in use at the same time lies apart, and all of it is the whole arena."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort import toolchain
from edgeort.lowering.plan import PlanBuilder
from tests.devices.test_harness import HERE
from tests.kernels.support import parse, plan_of
from tests.models import mlp

RNG = np.random.default_rng(0)


def weights(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def convolutions() -> onnx.ModelProto:
    """Two wide layers that run strip by strip, a Concat in place, results in the place of operands."""
    text = """g (float[1,3,128,128] x) => (float[1,24,128,128] y) {
        a = Conv <pads = [1, 1, 1, 1]> (x, w1) b = Relu (a) c = Conv (b, w2) d = Conv (b, w3)
        e = Concat <axis = 1> (c, d) y = Softmax <axis = 1> (e) }"""
    return parse(text, {"w1": weights(32, 3, 3, 3), "w2": weights(16, 32, 1, 1), "w3": weights(8, 32, 1, 1)})


def shapes_of_data() -> onnx.ModelProto:
    """What comes behind NonZero is prepared when that has run: a second arena."""
    return parse(
        """g (float[4,64] x) => (float[M,64] y) { i = NonZero (x) r = Gather <axis = 0> (i, zero) t = Gather (x, r)
        e = Exp (t) y = Softmax (e) }""",
        {"zero": np.array(0, np.int64)},
    )


def branches() -> onnx.ModelProto:
    """The bodies of an If have arenas of their own."""
    return parse(
        """g (bool c, float[2,64] x) => (float[2,64] y) { y = If (c) <
        then_branch = t () => (float[2,64] a) { s = Softmax (x) k = Exp (s) a = Softmax (k) },
        else_branch = e () => (float[2,64] b) { b = Softmax (x) }> }"""
    )


def two_activations() -> onnx.ModelProto:
    """A product that packs its second operand at each run."""
    return parse("g (float[32,64] x) => (float[32,32] y) { e = Exp (x) t = Transpose (e) y = MatMul (x, t) }")


def pools() -> onnx.ModelProto:
    """A pool that is a stream by itself: its result lies over what it reads, a pixel's padding and a line behind."""
    return parse(
        """g (float[1,64,8,24] x) => (float[1,64,8,24] y) { a = Relu (x)
        b = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (a) y = Sigmoid (b) }"""
    )


def bottlenecks() -> onnx.ModelProto:
    """Products of 256 columns in pairs, with one of 32 between the pairs."""
    text = """g (float[64,32] x) => (float[64,8] y) { a = MatMul (x, w1) ra = Relu (a) b = MatMul (ra, w2) rb = Relu (b)
        s = MatMul (rb, w3) c = MatMul (s, w1) rc = Relu (c) d = MatMul (rc, w2) rd = Relu (d) y = MatMul (rd, w4) }"""
    return parse(text, {"w1": weights(32, 256), "w2": weights(256, 256), "w3": weights(256, 32), "w4": weights(256, 8)})


MODELS = {
    "bottlenecks": bottlenecks,
    "two activations": two_activations,
    "products": mlp,
    "convolutions": convolutions,
    "pools": pools,
    "shapes of data": shapes_of_data,
    "branches": branches,
}


@pytest.fixture(scope="module")
def plans() -> dict[str, PlanBuilder]:
    return {name: plan_of(make()) for name, make in MODELS.items()}


@pytest.fixture(scope="module")
def program(plans: dict[str, PlanBuilder]) -> Path:
    ops = sorted({op for plan in plans.values() for op in plan.ops})
    made = toolchain.harness(toolchain.target("linux", HERE), ops)
    made.chmod(0o755)
    return made


def measured(program: Path, plan: PlanBuilder, folder: Path, *options: object) -> dict:
    (folder / "model.plan").write_bytes(plan.to_bytes())
    command = [program, folder / "model.plan", "--json", "--runs", 1, *options]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_blocks_in_use_together_lie_apart(
    program: Path, plans: dict[str, PlanBuilder], tmp_path: Path, name: str, threads: int
):
    found = measured(program, plans[name], tmp_path, "--profile", "--threads", threads)
    blocks = found["memory"]
    assert max(block["offset"] + block["bytes"] for block in blocks) == found["arena_bytes"]
    for at, one in enumerate(blocks):
        assert one["bytes"] > 0 and 0 <= one["first"] <= one["last"] <= found["nodes"]
        for other in blocks[:at]:
            together = one["first"] <= other["last"] and other["first"] <= one["last"]
            if (
                threads == 1 and one["kind"] == other["kind"] == "tensor"
            ):  # a result may lie over what its node reads last
                together &= one["first"] != other["last"] and other["first"] != one["last"]
            apart = one["offset"] >= other["offset"] + other["bytes"] or other["offset"] >= one["offset"] + one["bytes"]
            assert apart or not together, (one, other)


def test_a_result_lies_lines_behind_what_it_is_made_from(program: Path, plans: dict[str, PlanBuilder], tmp_path: Path):
    """A pool of 3x3 makes a line when it has read one more; what it then still reads begins a line before."""
    blocks = measured(program, plans["pools"], tmp_path, "--profile", "--threads", 1)["memory"]
    line = 24 * 64 * 4
    wide = [block for block in blocks if block["kind"] == "tensor" and block["bytes"] == 8 * line]
    pairs = [(image, result) for image in wide for result in wide if image["last"] == result["first"] > image["first"]]
    distances = [abs(image["offset"] - result["offset"]) for image, result in pairs]
    assert [distance for distance in distances if distance < 8 * line] == [2 * line], (distances, wide)


def test_every_kind_of_block_is_named(program: Path, plans: dict[str, PlanBuilder], tmp_path: Path):
    kinds = {}
    for name, plan in plans.items():
        blocks = measured(program, plan, tmp_path, "--profile", "--threads", 2)["memory"]
        named = {tensor.name for tensor in plan.tensors} | {node.name for node in plan.nodes}
        assert {block["name"] for block in blocks} <= named, name
        kinds[name] = {block["kind"] for block in blocks}
        assert all((block["tensors"] > 0) == (block["kind"] == "tensor") for block in blocks)
    assert "body" in kinds["branches"] and "threads" in kinds["convolutions"]
    assert set().union(*kinds.values()) == {"tensor", "scratch", "threads", "body"}


def test_a_concat_in_place_is_one_block(program: Path, plans: dict[str, PlanBuilder], tmp_path: Path):
    blocks = measured(program, plans["convolutions"], tmp_path, "--profile")["memory"]
    shared = [block for block in blocks if block["tensors"] > 1]
    assert shared and max(block["bytes"] for block in shared) >= 24 * 128 * 128 * 4


def test_a_block_takes_the_place_that_was_used_last(program: Path, plans: dict[str, PlanBuilder], tmp_path: Path):
    blocks = measured(program, plans["bottlenecks"], tmp_path, "--profile", "--threads", 1)["memory"]
    wide = [block["offset"] for block in blocks if block["kind"] == "tensor" and block["bytes"] == 64 * 256 * 4]
    assert len(wide) == 4 and wide[0] == wide[3] != wide[1] == wide[2]


def test_only_a_profile_tells_of_memory(program: Path, plans: dict[str, PlanBuilder], tmp_path: Path):
    assert "memory" not in measured(program, plans["products"], tmp_path)
