"""Counts and costs of small models whose figures are known by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import onnx.parser
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from edgeort.inspection import Inspection, inspect
from edgeort.model import infer_shapes


def look(text: str, supported: object = None, **weights: np.ndarray) -> Inspection:
    proto = onnx.parser.parse_model(
        text if text.startswith("<") else f'<ir_version: 8, opset_import: ["" : 17]> {text}'
    )
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return inspect(ir.from_proto(proto), supported=supported)  # type: ignore[arg-type]


def zeros(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("text", "weights", "macs"),
    [
        (
            "g (float[2,3,8,8] x) => (float[a,b,c,d] y) { y = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w) }",
            {"w": (4, 3, 3, 3)},
            2 * 4 * 4 * 4 * 27,
        ),
        ("g (float[1,6,8,8] x) => (float[a,b,c,d] y) { y = Conv<group=6>(x, w) }", {"w": (6, 1, 3, 3)}, 6 * 36 * 9),
        (
            "g (float[1,6,4,4] x) => (float[a,b,c,d] y) { y = ConvTranspose<strides=[2,2]>(x, w) }",
            {"w": (6, 5, 2, 2)},
            6 * 16 * 5 * 4,
        ),
        ("g (float[7,2] x) => (float[a,b] y) { y = Gemm<transA=1, transB=1>(x, w) }", {"w": (5, 7)}, 2 * 5 * 7),
        ("g (float[2,1,3,4] x) => (float[a,b,c,d] y) { y = MatMul(x, w) }", {"w": (6, 4, 5)}, 2 * 6 * 3 * 5 * 4),
        (
            "g (float[9,2,4] x) => (float[a,b,c,d] y) { y = LSTM<hidden_size=3>(x, w, r) }",
            {"w": (1, 12, 4), "r": (1, 12, 3)},
            9 * 2 * (12 * 4 + 12 * 3),
        ),
        (
            'g (float[9,2,4] x) => (float[a,b,c,d] y) { y = GRU<hidden_size=3, direction="bidirectional">(x, w, r) }',
            {"w": (2, 9, 4), "r": (2, 9, 3)},
            9 * 2 * 2 * (9 * 4 + 9 * 3),
        ),
    ],
)
def test_macs_by_hand(text: str, weights: dict[str, tuple[int, ...]], macs: int) -> None:
    found = look(text, **{name: zeros(*shape) for name, shape in weights.items()})
    assert found.total_macs == macs and found.unknown_macs == 0
    assert [entry.macs for entry in found.macs] == [macs]


def test_unknown_dimensions_are_reported_not_guessed() -> None:
    text = "g (float[n,3,h,8] x, float[2,3] a) => (float[n,4,h,8] y, float[2,4] z) { y = Conv(x, w)  z = MatMul(a, v) }"
    found = look(text, w=zeros(4, 3, 1, 1), v=zeros(3, 4))
    assert [entry.macs for entry in found.macs] == [None, 24]
    assert (found.total_macs, found.unknown_macs) == (24, 1)
    assert found.inputs[0].shape == ("n", 3, "h", 8) and found.inputs[0].size_bytes is None
    assert found.outputs[1].shape == (2, 4) and found.outputs[1].size_bytes == 32


def test_how_often_a_subgraph_multiplies_is_unknown() -> None:
    text = """g (bool c, float[2,3] a) => (float[2,4] y) { y = If(c) <
      then_branch = t () => (float[2,4] p) { p = MatMul(a, w) },
      else_branch = e () => (float[2,4] q) { q = MatMul(a, v) }> }"""
    found = look(text, w=zeros(3, 4), v=zeros(3, 4))
    assert (found.total_macs, found.unknown_macs) == (0, 2)
    assert found.operators == {"MatMul": 2, "If": 1} and found.node_count == 3


def test_channels_last_calls_count_and_other_functions_are_unknown() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "edgeort.nhwc" : 1, "f" : 1]>
    g (float[1,8,8,3] x, float[2,3] a) => (float[1,8,8,4] y, float[2,4] z, float[2,3] r)
    { y = edgeort.nhwc.Conv(x, w)  z = f.Dense(a, v)  r = f.Act(a) }
    <domain: "edgeort.nhwc", opset_import: ["" : 17]>
    Conv (x, w) => (y) { t = Transpose<perm=[0,3,1,2]>(x)  c = Conv(t, w)  y = Transpose<perm=[0,2,3,1]>(c) }
    <domain: "f", opset_import: ["" : 17]>
    Dense (x, w) => (y) { y = MatMul(x, w) }
    <domain: "f", opset_import: ["" : 17]>
    Act (x) => (y) { y = Relu(x) }"""
    found = look(text, w=zeros(4, 3, 1, 1), v=zeros(3, 4))
    assert [(entry.op_type, entry.macs) for entry in found.macs] == [
        ("edgeort.nhwc::Conv", 64 * 4 * 3),
        ("f::Dense", None),
    ]


def test_parameters_by_dtype_and_the_largest() -> None:
    text = """g (float[2,3] a) => (float[2,4] y) { k = Constant<value = float[4] {1, 2, 3, 4}>()
      m = MatMul(a, w)  s = Gather(m, i)  y = Add(s, k) }"""
    found = look(text, w=zeros(3, 4), i=zeros(2, dtype=np.int64))
    assert found.parameter_bytes == {"float": 64, "int64": 16} and found.total_parameter_bytes == 80
    assert found.parameter_count == 18
    assert [tensor.name for tensor in found.largest_tensors] == ["w", "i", "k"]


MIXED = "g (float[3] x) => (float[3] y) { a = Relu(x)  b = Erf(a)  y = Relu(b) }"


def test_unsupported_from_a_set_and_from_a_function() -> None:
    assert look(MIXED).unsupported == []
    (entry,) = look(MIXED, supported={("", "Relu")}).unsupported
    assert (entry.node, entry.op_type) == ("b", "Erf") and "no kernel" in entry.reason
    entries = look(MIXED, supported=lambda node: "too slow" if node.op_type == "Relu" else None).unsupported
    assert [(entry.node, entry.reason) for entry in entries] == [("a", "too slow"), ("y", "too slow")]


def test_as_json_with_the_device() -> None:
    @dataclass
    class Profile:
        name: str

    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17], producer_name: "maker"> {MIXED}')
    model = ir.from_proto(proto)
    before = ir.to_proto(model).SerializeToString()
    data = json.loads(json.dumps(inspect(model, Profile("raspberrypi4")).to_dict()))
    assert data["device"] == "raspberrypi4" and data["producer"] == "maker" and data["opsets"] == {"ai.onnx": 17}
    assert data["operators"] == {"Relu": 2, "Erf": 1}
    assert data["inputs"] == [{"name": "x", "dtype": "float", "shape": [3], "size_bytes": 12}]
    assert ir.to_proto(model).SerializeToString() == before


def test_no_slow_import() -> None:
    """`edgeort inspect` answers in under a second, which these two packages alone would take."""
    code = "import sys, edgeort.inspection, edgeort.model; print({'onnxscript', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_free_batch_counts_one_item() -> None:
    model = ir.from_onnx_text(
        '<ir_version: 9, opset_import: ["": 17]> g (float[n,8] x, float[8,4] w) => (float[n,4] y) { y = MatMul(x, w) }'
    )
    found = inspect(model)
    assert (found.batch_of_one, found.total_macs, found.unknown_macs) == (True, 32, 0)
    assert found.inputs[0].shape == ("n", 8)


def test_names_that_shape_inference_makes_up_are_none() -> None:
    """The number of boxes that NonMaxSuppression keeps is one of those."""
    text = "g (float[1,2,4] b, float[1,3,2] s) => (int64[n,3] y) { y = NonMaxSuppression(b, s) }"
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    proto.graph.output[0].type.tensor_type.shape.dim[0].Clear()
    assert inspect(infer_shapes(ir.from_proto(proto))).outputs[0].shape == ("?", 3)
