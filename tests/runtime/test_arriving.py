"""A plan that is opened and run while it arrives: nothing is read before it came, and bits are those of the whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.lowering.plan import PlanBuilder
from tests.kernels.support import parse, plan_of
from tests.runtime.driver import program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the program is built for Linux")
RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def products() -> onnx.ModelProto:
    text = "g (float[N, 64] x) => (float[N, 64] y) { h = MatMul(x, w1) r = Gelu(h) s = MatMul(r, w2) y = Add(s, x) }"
    return parse(text, {"w1": floats(64, 640), "w2": floats(640, 64)}, opset=20)


def convolutions() -> onnx.ModelProto:
    """Products, a depthwise one, and a shape that prepare reads."""
    text = """g (float[N, 8, 12, 12] x) => (float[N, a, b] y) {
      c = Conv<kernel_shape=[3, 3], pads=[1, 1, 1, 1]>(x, w1, b1)
      r = Relu(c)
      d = Conv<kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=64>(r, w2)
      e = Conv<kernel_shape=[1, 1]>(d, w3)
      s = Add(e, r)
      p = Reshape(s, shape)
      y = Softmax(p)
    }"""
    weights = {"w1": floats(64, 8, 3, 3), "b1": floats(64), "w2": floats(64, 1, 3, 3), "w3": floats(64, 64, 1, 1)}
    return parse(text, {**weights, "shape": np.array([0, 64, -1], np.int64)})


def of_data() -> onnx.ModelProto:
    """Shapes that depend on data, and a constant that is stored by its entries that are not zero."""
    text = """g (float[N, 8] x) => (float[k, 2] y, float[N, 600] z) {
      z = MatMul(x, w)
      found = NonZero(x)
      pairs = Transpose<perm=[1, 0]>(found)
      floats = Cast<to=1>(pairs)
      moved = Add(floats, few)
      y = Relu(moved)
    }"""
    few = np.zeros((1, 2), np.float32)
    return parse(text, {"w": floats(8, 600), "few": few})


def zeros() -> onnx.ModelProto:
    """Weights behind others that are read when the plan is opened."""
    sparse = floats(1, 30000)
    sparse[:, ::3] = sparse[:, 1::3] = 0
    text = (
        "g (float[N, 8] x) => (float[N, 30000] y, float[N, 600] z) { z = MatMul(x, w) m = MatMul(x, v) y = Add(m, s) }"
    )
    return parse(text, {"w": floats(8, 600), "v": floats(8, 1), "s": sparse})


MODELS = {"products": products(), "convolutions": convolutions(), "data": of_data(), "zeros": zeros()}


@pytest.fixture(scope="module")
def plans() -> dict[str, PlanBuilder]:
    return {name: plan_of(model) for name, model in MODELS.items()}


@pytest.mark.slow  # it compiles the kernels
def test_nothing_is_read_before_it_came(plans: dict[str, PlanBuilder], tmp_path: Path) -> None:
    kernels = tuple(sorted({kernel for plan in plans.values() for kernel in plan.ops}))
    made = program("arriving", kernels, ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"))
    found = {}
    for name, plan in plans.items():
        path = tmp_path / f"{name}.plan"
        path.write_bytes(plan.to_bytes())
        done = subprocess.run([str(made), str(path), "5"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{name}: {done.stderr[-4000:]}"
        opened, first, waits = map(int, done.stdout.split())
        found[name] = (opened / path.stat().st_size, first / path.stat().st_size, waits)
    for name in ("products", "convolutions"):
        opened, first, waits = found[name]
        assert opened < 0.5 and opened < first < 1 and waits >= 2, found
    assert found["data"][0] < 0.5 and found["zeros"][0] > 0.5, found
