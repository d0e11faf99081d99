"""Recurrent operators that round their input and state: as ONNX Runtime's DynamicQuantizeLSTM and NumPy have it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeort import lowering, model, toolchain
from edgeort.engine import Engine
from edgeort.errors import PlanError
from edgeort.lowering.plan import PlanBuilder
from edgeort.model.recurrence import DYNAMIC
from edgeort.passes import PassContext, run_passes
from tests.contract.engines import HOST, int8_levels
from tests.contract.test_emulated import ARM, bench, qemu
from tests.kernels.qgemm.support import CORES
from tests.kernels.support import library, open_plan, reference, same_bits

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FLIPPED = 4e-3  # what one step of eight bits moves a state by, that a last bit of a float decided otherwise
Arrays = dict[str, np.ndarray]


@dataclass
class Case:
    """Sizes, the operator's constants and its inputs. `wide`: some weight is -128."""

    hidden: int
    directions: int = 1
    steps: int = 7
    batch: int = 1
    inputs: int = 5
    by_column: bool = False
    wide: bool = False
    lengths: tuple[int, ...] = ()
    initial: bool = False
    peephole: bool = False
    attributes: dict[str, object] = field(default_factory=dict)

    @property
    def direction(self) -> str:
        return "bidirectional" if self.directions == 2 else "forward"

    def constants(self, gates: int) -> Arrays:
        """w and r int8 [directions, k, columns], their scales, and b."""
        rng, columns = np.random.default_rng(self.hidden), gates * self.hidden
        made: Arrays = {}
        for name, k in (("w", self.inputs), ("r", self.hidden)):
            made[name] = rng.integers(-127, 128, (self.directions, k, columns)).astype(np.int8)
            if self.wide:
                made[name][:, 0, ::3] = -128
            scales = (self.directions, columns) if self.by_column else (self.directions,)
            made[f"{name}_scale"] = (rng.uniform(0.5, 1, scales) / 127 / np.sqrt(k)).astype(np.float32)
        made["b"] = rng.uniform(-0.3, 0.3, (self.directions, 2 * columns)).astype(np.float32)
        return made

    def feeds(self) -> Arrays:
        rng = np.random.default_rng(1)
        made: Arrays = {"x": rng.standard_normal((self.steps, self.batch, self.inputs)).astype(np.float32)}
        if self.lengths:
            made["lengths"] = np.array(self.lengths, np.int32)
        if self.initial:
            for name in "hc":
                made[name] = rng.uniform(-1, 1, (self.directions, self.batch, self.hidden)).astype(np.float32)
        return made

    def lstm(self) -> onnx.ModelProto:
        """DynamicQuantizeLSTM."""
        feeds, constants = self.feeds(), self.constants(4)
        for name in "wr":
            constants[f"{name}_zero"] = np.zeros(constants[f"{name}_scale"].shape, np.int8)
        if self.peephole:
            shape = self.directions, 3 * self.hidden
            constants["p"] = np.random.default_rng(2).uniform(-1, 1, shape).astype(np.float32)
        optional = [name if name in feeds or name in constants else "" for name in ("lengths", "h", "c", "p")]
        names = ["x", "w", "r", "b", *optional, "w_scale", "w_zero", "r_scale", "r_zero"]
        more = {"hidden_size": self.hidden, "direction": self.direction, **self.attributes}
        node = helper.make_node("DynamicQuantizeLSTM", names, ["y", "y_h", "y_c"], domain="com.microsoft", **more)
        return _model([node], feeds, constants, 3)

    def rows(self, op: str) -> onnx.ModelProto:
        """The standard's operator, that says so in its metadata."""
        feeds, constants = self.feeds(), self.constants(GATES[op])
        tensors, nodes = {"b": constants["b"]}, []
        for name in "wr":
            tensors[f"{name}_q"] = constants[name].transpose(0, 2, 1)
            tensors[f"{name}_scale"] = constants[f"{name}_scale"].reshape(-1)
            axis = 1 if self.by_column else 0
            nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", f"{name}_scale"], [name], axis=axis))
        more = {"hidden_size": self.hidden, "direction": self.direction, **self.attributes}
        cell = helper.make_node(op, ["x", "w", "r", "b"], ["y", "y_h"], **more)
        cell.metadata_props.add(key=DYNAMIC, value="1")
        return _model([*nodes, cell], feeds, tensors, 2)


def _model(nodes: list[onnx.NodeProto], feeds: Arrays, constants: Arrays, outputs: int) -> onnx.ModelProto:
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    ]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "y_h", "y_c")[:outputs]]
    tensors = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", infos, results, tensors)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def plan_of(made: onnx.ModelProto) -> PlanBuilder:
    cleaned = model.clean(ir.from_proto(made))
    run_passes(cleaned, PassContext())
    return lowering.lower(cleaned)


def run(made: onnx.ModelProto, feeds: Arrays, folder: Path) -> list[np.ndarray]:
    """By integers, with the same bits at every level and number of threads."""
    plan = plan_of(made)
    assert {node.op for node in plan.nodes} <= {"DynamicQLSTM", "DynamicQGRU", "DynamicQRNN", "Concat", "Slice"}
    path, found = folder / "model.plan", []
    path.write_bytes(plan.to_bytes())
    for level in int8_levels():
        for threads in (1, 2):
            engine = Engine(library(plan.ops), path, threads=threads, isa=level)
            found.append((f"{level}, {threads} threads", engine.run(list(feeds.values()))))
            engine.close()
    for where, outputs in found:
        assert all(same_bits(a, b) for a, b in zip(outputs, found[0][1], strict=True)), where
    return found[0][1]


def _rounded(x: np.ndarray) -> np.ndarray:
    low, high = min(x.min(initial=0), 0), max(x.max(initial=0), 0)
    step = max((high - low) / 255, 2.0**-126)
    zero = np.rint(-low / step)
    return np.asarray((np.clip(np.rint(x / step) + zero, 0, 255) - zero) * step)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def in_numpy(op: str, case: Case) -> np.ndarray:
    """Y in float64 by ONNX's formulas, with what products multiply rounded; GRU with linear_before_reset."""
    c, x, n = case.constants(GATES[op]), case.feeds()["x"].astype(np.float64), case.hidden
    y = np.zeros((case.steps, case.directions, case.batch, n))
    for d in range(case.directions):
        scale = {name: c[f"{name}_scale"].reshape(-1, 1) if case.by_column else c[f"{name}_scale"][d] for name in "wr"}
        w, r = (c[name][d].T.astype(np.float64) * scale[name] for name in "wr")
        wb, rb = np.split(c["b"][d].astype(np.float64), 2)
        of_x = _rounded(x) @ w.T + wb
        h, cell = np.zeros((case.batch, n)), np.zeros((case.batch, n))
        for t in range(case.steps)[:: -1 if d else 1]:
            state = _rounded(h) @ r.T + rb
            if op == "LSTM":
                i, o, f, g = np.split(of_x[t] + state, 4, axis=1)
                cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
                h = _sigmoid(o) * np.tanh(cell)
            elif op == "GRU":
                z, reset = np.split(_sigmoid(of_x[t, :, : 2 * n] + state[:, : 2 * n]), 2, axis=1)
                h = z * h + (1 - z) * np.tanh(of_x[t, :, 2 * n :] + reset * state[:, 2 * n :])
            else:
                h = np.tanh(of_x[t] + state)
            y[t, d] = h
    return y


@pytest.mark.parametrize("hidden", [1, 3, 17, 130])
@pytest.mark.parametrize("directions", [1, 2])
def test_against_onnxruntime(hidden: int, directions: int, tmp_path: Path) -> None:
    """Far nearer than float32, which is some steps of eight bits away."""
    case = Case(hidden, directions, inputs=hidden + 2, wide=hidden == 17, steps=12)
    made, feeds = case.lstm(), case.feeds()
    for got, want in zip(run(made, feeds, tmp_path), reference(made, list(feeds.values())), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-5)


EXTRAS = {
    "batch": Case(9, batch=5),
    "columns": Case(9, by_column=True),
    "columns of directions": Case(9, 2, batch=4, by_column=True, initial=True, peephole=True, lengths=(3, 5, 1, 5)),
    "initial": Case(9, 2, batch=2, initial=True),
    "peephole": Case(9, peephole=True, initial=True),
    "lengths": Case(9, 2, batch=4, lengths=(3, 5, 1, 5), initial=True),
    "clip": Case(9, attributes={"clip": 0.3, "input_forget": 1}),
    "activations": Case(9, attributes={"activations": ["HardSigmoid", "Relu", "Tanh"]}),
}


@pytest.mark.parametrize("name", EXTRAS)
def test_what_the_operator_has_besides(name: str, tmp_path: Path) -> None:
    case = EXTRAS[name]
    made, feeds = case.lstm(), case.feeds()
    for got, want in zip(run(made, feeds, tmp_path), reference(made, list(feeds.values())), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=FLIPPED)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("hidden", [3, 130])
def test_against_numpy(op: str, hidden: int, tmp_path: Path) -> None:
    more: dict[str, object] = {"linear_before_reset": 1} if op == "GRU" else {}
    case = Case(hidden, 2, batch=2, inputs=37, by_column=hidden == 3, attributes=more)
    if case.by_column:
        case = replace(case, directions=1)
    got = run(case.rows(op), case.feeds(), tmp_path)[0]
    np.testing.assert_allclose(got, in_numpy(op, case), rtol=0, atol=FLIPPED)


def test_gru_whose_reset_comes_first(tmp_path: Path) -> None:
    """What it multiplies a second time is rounded by its own range: nearer to float32 than a quarter of 255 steps."""
    case = Case(20, 2, batch=3)
    made, feeds = case.rows("GRU"), case.feeds()
    for got, want in zip(run(made, feeds, tmp_path), reference(made, list(feeds.values())), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=0.02)


def test_weights_that_no_int8_holds_are_float32(tmp_path: Path) -> None:
    made = Case(5).lstm()
    for tensor in made.graph.initializer:
        if tensor.name.endswith("_zero") or tensor.name in "wr":
            array = numpy_helper.to_array(tensor).astype(np.int16) + (128 if tensor.name in "wr" else 90)
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.uint8), tensor.name))
    plan = plan_of(made)
    assert not [node.op for node in plan.nodes if node.op.startswith("DynamicQ")]
    got = open_plan(plan, tmp_path).run([Case(5).feeds()["x"]])
    for ours, want in zip(got, reference(made, [Case(5).feeds()["x"]]), strict=True):
        np.testing.assert_allclose(ours, want, rtol=0, atol=0.02)


@pytest.mark.parametrize("at", [1, 2, 8, 9, 10, 11])
def test_damaged_constants_are_refused(at: int, tmp_path: Path) -> None:
    plan = plan_of(Case(5).lstm())
    index = plan.nodes[0].inputs[at]
    kept = plan.tensors[index].data
    assert kept is not None
    plan.tensors[index] = replace(plan.tensors[index], data=kept[:-1], dims=kept[:-1].shape)
    with pytest.raises(PlanError, match="its weights must be"):
        open_plan(plan, tmp_path).run([Case(5).feeds()["x"]])


@pytest.mark.slow
@pytest.mark.parametrize("core", CORES)
def test_emulated(core: str, tmp_path: Path) -> None:
    """Arm gives the bytes of this CPU."""
    plan = plan_of(Case(20, 2, inputs=10, batch=3, wide=True).lstm())
    (tmp_path / "model.plan").write_bytes(plan.to_bytes())
    arm = [qemu(), "-cpu", core, toolchain.harness(ARM, plan.ops)]
    found = {
        bench(command, tmp_path / "model.plan", threads=1) for command in ([toolchain.harness(HOST, plan.ops)], arm)
    }
    assert len(found) == 1
