"""LSTM, GRU and RNN whose weights are stored small: the bits of the float32 weights that those stand for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeort import toolchain
from edgeort.errors import PlanError
from edgeort.lowering import layout
from edgeort.lowering.plan import PlanBuilder
from tests.contract.engines import HOST
from tests.contract.test_emulated import ARM, bench, qemu
from tests.kernels.support import engine, everywhere, open_plan, plan_of, same_bits

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FORMS = {"float16": "f16", "int8": "i8", "uint8": "i8", "int4": "u8"}


def _stored(name: str, w: np.ndarray, form: str) -> tuple[list[onnx.TensorProto], onnx.NodeProto, np.ndarray]:
    """Initializers and the node that make `name` of about those values, and the very float32 that it makes."""
    if form == "float16":
        half = w.astype(np.float16)
        node = helper.make_node("Cast", [f"{name}.h"], [name], to=TensorProto.FLOAT)
        return [numpy_helper.from_array(half, f"{name}.h")], node, half.astype(np.float32)
    low, high, zero = {"int8": (-128, 127, 0), "uint8": (0, 255, 131), "int4": (-8, 7, 0)}[form]
    scale = (np.abs(w).max(axis=(0, 2)) / ((high - low) / 2)).astype(np.float32)
    q = np.clip(np.rint(w / scale[:, None]) + zero, low, high).astype(np.int64)
    code = getattr(TensorProto, form.upper())
    made = [
        helper.make_tensor(f"{name}.q", code, w.shape, q.reshape(-1)),
        numpy_helper.from_array(scale, f"{name}.s"),
        helper.make_tensor(f"{name}.z", code, scale.shape, np.full(scale.shape, zero)),
    ]
    node = helper.make_node("DequantizeLinear", [tensor.name for tensor in made], [name], axis=1)
    return made, node, (q - zero).astype(np.float32) * scale[:, None]


def _models(op: str, form: str, **size: int) -> tuple[onnx.ModelProto, onnx.ModelProto, dict[str, np.ndarray]]:
    """A bidirectional operator with weights of that form, the same with float32 weights, and these and the bias."""
    rng = np.random.default_rng(7)
    inputs, hidden = size["inputs"], size["hidden"]
    rows = GATES[op] * hidden
    small: list[onnx.TensorProto] = []
    wide, nodes, arrays = [], [], dict[str, np.ndarray]()
    for name, k in (("w", inputs), ("r", hidden)):
        tensors, node, arrays[name] = _stored(name, (rng.normal(size=(2, rows, k)) * 0.3).astype(np.float32), form)
        small += tensors
        nodes.append(node)
        wide.append(numpy_helper.from_array(arrays[name], name))
    arrays["b"] = rng.normal(size=(2, 2 * rows)).astype(np.float32)
    bias = numpy_helper.from_array(arrays["b"], "b")
    extra = {"linear_before_reset": 1} if op == "GRU" else {}
    cell = helper.make_node(
        op, ["x", "w", "r", "b"], ["y", "y_h"], hidden_size=hidden, direction="bidirectional", **extra
    )

    def model(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> onnx.ModelProto:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["steps", "batch", inputs])
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "y_h")]
        graph = helper.make_graph([*nodes, cell], "g", [x], ends, [*constants, bias])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)

    return model(nodes, small), model([], wide), arrays


def _stored_as(plan: PlanBuilder) -> list[str]:
    """The element types of W and R of the plan's one recurrent node."""
    node = next(node for node in plan.nodes if node.op.startswith("Compressed"))
    return [layout.DTYPES[plan.tensors[at].dtype][0] for at in node.inputs[1:3]]


def _lstm(x: np.ndarray, arrays: dict[str, np.ndarray], hidden: int) -> np.ndarray:
    """Y of a bidirectional LSTM in float64, by ONNX's formulas."""
    steps, batch, _ = x.shape
    y = np.zeros((steps, 2, batch, hidden))
    for d in range(2):
        w, r, b = (arrays[name][d].astype(np.float64) for name in "wrb")
        h = c = np.zeros((batch, hidden))
        for t in range(steps)[:: -1 if d else 1]:
            i, o, f, g = np.split(x[t] @ w.T + h @ r.T + b[: len(w)] + b[len(w) :], 4, axis=1)
            i, o, f = (1 / (1 + np.exp(-gate)) for gate in (i, o, f))
            c = f * c + i * np.tanh(g)
            h = o * np.tanh(c)
            y[t, d] = h
    return y


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("op", GATES)
def test_the_bits_of_float32_weights(op: str, form: str, tmp_path: Path) -> None:
    """At every ISA level and number of threads: few rows and many, few steps and so many that weights are widened."""
    for inputs, hidden in ((6, 20), (34, 16)):
        small, wide, arrays = _models(op, form, inputs=inputs, hidden=hidden)
        assert _stored_as(plan_of(small)) == [FORMS[form]] * 2
        ours, theirs = everywhere(small, tmp_path), engine(wide, tmp_path)
        for steps, batch in ((1, 1), (5, 3), (7, 6), (9, 1), (12, 5)):
            x = np.random.default_rng(steps).normal(size=(steps, batch, inputs)).astype(np.float32)
            got, want = ours([x]), theirs.run([x])
            assert all(same_bits(a, b) for a, b in zip(got, want, strict=True)), (inputs, hidden, steps, batch)
            if op == "LSTM":
                np.testing.assert_allclose(got[0], _lstm(x, arrays, hidden), rtol=1e-4, atol=2e-5)


def test_weights_too_large_to_widen(tmp_path: Path) -> None:
    """More than a cache of level 2 holds: each step reads them as they are stored."""
    small, wide, _ = _models("LSTM", "int8", inputs=8, hidden=260)
    x = np.random.default_rng(1).normal(size=(9, 2, 8)).astype(np.float32)
    ours, theirs = engine(small, tmp_path), engine(wide, tmp_path)
    assert all(same_bits(a, b) for a, b in zip(ours.run([x]), theirs.run([x]), strict=True))
    assert ours.stats.arena_bytes < 4 * 260 * 260 * 4


def test_a_limit_of_memory_leaves_them_as_they_are_stored(tmp_path: Path) -> None:
    small, _, _ = _models("LSTM", "int8", inputs=8, hidden=96)
    x = np.random.default_rng(1).normal(size=(9, 1, 8)).astype(np.float32)
    free = engine(small, tmp_path)
    outputs = free.run([x])
    limited = engine(small, tmp_path, ram_limit=free.stats.arena_bytes - 1)
    assert all(same_bits(a, b) for a, b in zip(outputs, limited.run([x]), strict=True))
    assert free.stats.arena_bytes - limited.stats.arena_bytes >= 4 * 96 * 96 * 4


def test_the_plan_is_a_quarter() -> None:
    small, wide, _ = _models("LSTM", "int8", inputs=64, hidden=64)
    sizes = [
        sum(tensor.data.nbytes for tensor in plan_of(model).tensors if tensor.data is not None)
        for model in (small, wide)
    ]
    assert sizes[0] < 0.32 * sizes[1]


def test_one_small_weight_alone_is_float32() -> None:
    small, wide, _ = _models("LSTM", "int8", inputs=6, hidden=8)
    small.graph.node.remove(small.graph.node[1])
    small.graph.initializer.append(next(tensor for tensor in wide.graph.initializer if tensor.name == "r"))
    assert "LSTM" in [node.op for node in plan_of(small).nodes]


def test_damaged_scales_are_refused(tmp_path: Path) -> None:
    small, _, _ = _models("LSTM", "int8", inputs=6, hidden=8)
    plan = plan_of(small)
    node = next(node for node in plan.nodes if node.op == "CompressedLSTM")
    for at in (1, 2, 8, 10):
        tensor = plan.tensors[node.inputs[at]]
        kept = tensor.data
        assert kept is not None
        plan.tensors[node.inputs[at]] = replace(tensor, data=kept[:-1], dims=kept[:-1].shape)
        with pytest.raises(PlanError, match="weights must be|scales and zero points"):
            open_plan(plan, tmp_path).run([np.zeros((2, 1, 6), np.float32)])
        plan.tensors[node.inputs[at]] = tensor


@pytest.mark.slow
@pytest.mark.parametrize("op", ("LSTM", "GRU"))
def test_emulated(op: str, tmp_path: Path) -> None:
    """Arm gives the bytes of this CPU, with weights that are widened once a run and with those that are not."""
    plan = plan_of(_models(op, "int8", inputs=10, hidden=20)[0])
    (tmp_path / "model.plan").write_bytes(plan.to_bytes())
    arm = [qemu(), "-cpu", "cortex-a72", toolchain.harness(ARM, plan.ops)]
    for shape in ("x=3x1x10", "x=9x2x10"):
        found = {
            bench(command, tmp_path / "model.plan", "--shape", shape, threads=1)
            for command in ([toolchain.harness(HOST, plan.ops)], arm)
        }
        assert len(found) == 1, shape
