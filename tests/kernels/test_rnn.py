"""LSTM, GRU and RNN against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeort import lowering, model, passes
from edgeort.errors import PlanError, UnsupportedError
from tests.kernels.support import engine, parse, run_both, run_everywhere, same_bits

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FUNCTIONS = {"LSTM": 3, "GRU": 2, "RNN": 1}
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}


class _Case:
    """A model of one recurrent operator, and its inputs. Sizes are odd on purpose."""

    def __init__(
        self, op: str, direction: str = "forward", *, steps: int = 7, batch: int = 3, inputs: int = 5, hidden: int = 19,
        constant: bool = True, bias: bool = True, lengths: bool = False, initial: bool = False, peephole: bool = False,
        batch_first: bool = False, **attributes: object,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(3)
        count = DIRECTIONS[direction]
        self.arrays: dict[str, np.ndarray] = {}
        self.constants: list[onnx.TensorProto] = []

        def floats(*shape: int) -> np.ndarray:
            return (rng.normal(size=shape) * 0.4).astype(np.float32)

        def add(name: str, array: np.ndarray, *, fixed: bool = False) -> str:
            if fixed:
                self.constants.append(numpy_helper.from_array(array, name))
            else:
                self.arrays[name] = array
            return name

        rows, state = GATES[op] * hidden, (batch, count, hidden) if batch_first else (count, batch, hidden)
        names = [
            add("x", floats(*((batch, steps) if batch_first else (steps, batch)), inputs)),
            add("w", floats(count, rows, inputs), fixed=constant),
            add("r", floats(count, rows, hidden), fixed=constant),
            add("b", floats(count, 2 * rows), fixed=constant) if bias else "",
            add("lengths", rng.integers(0, steps + 1, size=batch).astype(np.int32)) if lengths else "",
            add("h", floats(*state)) if initial else "",
            add("c", floats(*state)) if initial and op == "LSTM" else "",
            add("p", floats(count, 3 * hidden), fixed=True) if peephole else "",
        ]
        names = names[: 8 if op == "LSTM" else 6]
        outputs = ["y", "y_h", "y_c"][: 3 if op == "LSTM" else 2]
        node = helper.make_node(
            op, names, outputs, hidden_size=hidden, direction=direction, layout=int(batch_first), **attributes
        )
        infos = [
            helper.make_tensor_value_info(n, TensorProto.INT32 if n == "lengths" else TensorProto.FLOAT, a.shape)
            for n, a in self.arrays.items()
        ]
        results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
        graph = helper.make_graph([node], "g", infos, results, self.constants)
        self.model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    def check(self, folder: Path) -> list[np.ndarray]:
        return run_both(self.model, list(self.arrays.values()), folder, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("op", GATES)
def test_directions(op: str, direction: str, tmp_path: Path) -> None:
    _Case(op, direction).check(tmp_path)


@pytest.mark.parametrize("op", GATES)
def test_initial_states_and_lengths(op: str, tmp_path: Path) -> None:
    """Lengths from 0 to all steps; behind its end, a sequence's output is zero."""
    case = _Case(op, "bidirectional", initial=True, lengths=True, batch=9)
    case.arrays["lengths"][:] = [1, 7, 3, 2, 5, 7, 4, 6, 1]
    y = case.check(tmp_path)[0]
    assert not y[3:, :, 2].any()
    case.arrays["lengths"][0] = 0
    y, y_h = run_everywhere(case.model, list(case.arrays.values()), tmp_path)[:2]
    assert not y[:, :, 0].any()
    np.testing.assert_array_equal(y_h[:, 0], case.arrays["h"][:, 0])


@pytest.mark.parametrize("op", GATES)
def test_packing_at_build_and_at_run_is_the_same(op: str, tmp_path: Path) -> None:
    fixed = _Case(op, "bidirectional", linear_before_reset=1) if op == "GRU" else _Case(op, "bidirectional")
    free = _Case(op, "bidirectional", constant=False, **({"linear_before_reset": 1} if op == "GRU" else {}))
    for a, b in zip(fixed.check(tmp_path), free.check(tmp_path), strict=True):
        assert same_bits(a, b)


@pytest.mark.parametrize("op", GATES)
def test_no_bias(op: str, tmp_path: Path) -> None:
    _Case(op, bias=False).check(tmp_path)


def test_linear_before_reset(tmp_path: Path) -> None:
    _Case("GRU", "bidirectional", linear_before_reset=1, initial=True, lengths=True).check(tmp_path)


def test_lstm_extras(tmp_path: Path) -> None:
    _Case("LSTM", "bidirectional", peephole=True, initial=True).check(tmp_path)
    _Case("LSTM", input_forget=1).check(tmp_path)


@pytest.mark.parametrize("op", GATES)
def test_clip_of_gates(op: str, tmp_path: Path) -> None:
    extra = {"peephole": True} if op == "LSTM" else {}
    _Case(op, clip=0.2, **extra).check(tmp_path)


@pytest.mark.parametrize("op", GATES)
def test_activations(op: str, tmp_path: Path) -> None:
    """Each function somewhere; alphas and betas go, in order, to the functions that use one."""
    names = (
        "HardSigmoid",
        "LeakyRelu",
        "ThresholdedRelu",
        "Elu",
        "Softsign",
        "Softplus",
        "Affine",
        "ScaledTanh",
        "Relu",
    )
    count = FUNCTIONS[op]
    for first in range(0, len(names), count):
        chosen = [names[(first + i) % len(names)] for i in range(count)]
        alphas = [0.1 + 0.1 * i for i, name in enumerate(chosen) if name not in ("Softsign", "Softplus", "Relu")]
        betas = [0.3 + 0.1 * i for i, name in enumerate(chosen) if name in ("HardSigmoid", "Affine", "ScaledTanh")]
        attributes = {"activation_alpha": alphas, "activation_beta": betas}
        _Case(op, activations=chosen, steps=3, **{k: v for k, v in attributes.items() if v}).check(tmp_path)


@pytest.mark.parametrize("op", GATES)
def test_batch_first(op: str, tmp_path: Path) -> None:
    """layout 1, which ONNX Runtime lacks: the same numbers as layout 0, transposed."""
    first = _Case(op, "bidirectional", batch_first=True, initial=True)
    plain = _Case(op, "bidirectional", initial=True)
    for name, array in first.arrays.items():
        plain.arrays[name] = array.swapaxes(0, 1) if name in "xhc" else array
    got = run_everywhere(first.model, list(first.arrays.values()), tmp_path)
    want = plain.check(tmp_path)
    assert same_bits(got[0], want[0].transpose(2, 0, 1, 3).copy())
    for ours, theirs in zip(got[1:], want[1:], strict=True):
        assert same_bits(ours, theirs.swapaxes(0, 1).copy())


def test_sizes_that_use_the_threads(tmp_path: Path) -> None:
    _Case("LSTM", steps=3, batch=20, inputs=64, hidden=130).check(tmp_path)
    _Case("GRU", steps=3, batch=20, inputs=64, hidden=130).check(tmp_path)


@pytest.mark.parametrize("sizes", ({"steps": 0}, {"batch": 0}, {"steps": 1, "batch": 1, "inputs": 1, "hidden": 1}))
def test_extreme_sizes(sizes: dict[str, int], tmp_path: Path) -> None:
    case = _Case("LSTM", **sizes)  # type: ignore[arg-type]
    y, y_h, _ = run_everywhere(case.model, list(case.arrays.values()), tmp_path)
    hidden = sizes.get("hidden", 19)
    assert y.shape == (sizes.get("steps", 7), 1, sizes.get("batch", 3), hidden)
    assert y_h.shape == (1, sizes.get("batch", 3), hidden)
    assert sizes.get("steps") != 0 or not y_h.any()


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="activation Cube"):
        engine(_Case("RNN", activations=["Cube"]).model, tmp_path)
    text = "g (float[4,2,5] x, float[1,6,5] w, float[1,7,6] r) => (float y) { y = RNN<hidden_size=6>(x, w, r) }"
    with pytest.raises(PlanError, match="input 2 has the wrong shape"):
        engine(parse(text), tmp_path).run([np.zeros(s, np.float32) for s in ((4, 2, 5), (1, 6, 5), (1, 7, 6))])


@pytest.mark.parametrize("op", GATES)
def test_a_plan_has_constant_weights_once(op: str) -> None:
    case = _Case(op, hidden=64, inputs=32)
    graph = model.clean(ir.from_proto(case.model))
    passes.run_passes(graph, passes.PassContext())
    plan = lowering.lower(graph)
    numbers = GATES[op] * 64 * (64 + 32)
    assert 4 * numbers <= sum(t.data.nbytes for t in plan.tensors if t.data is not None) < 1.3 * 4 * numbers
