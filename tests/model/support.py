"""Models as ONNX text, files of them, and what ONNX Runtime makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from edgeort.errors import ModelError
from edgeort.model import load

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
CONV = """g (float[n,3,8,8] x) => (float[n,4,8,8] y) <float[4] b = {1, 2, 3, 4}>
{ k = Conv<pads=[1,1,1,1]>(x, w, b)  y = Relu(k) }"""
EVERYTHING = """<ir_version: 8, opset_import: ["" : 17, "f" : 1]>
g (float[n,3,8,8] x, bool c) => (float[n,m] y, float[n,4,4,4] z) <int64[2] s = {0, -1}>
{ k = Conv<pads=[1,1,1,1]>(x, w)
  i = Identity(k)
  r = Reshape(i, s)
  e = f.Twice(r)
  y = If(c) <then_branch = t () => (float[n,m] q) { q = Relu(e) }, else_branch = f () => (float[n,m] p) { p = Neg(r) }>
  z = MaxPool<kernel_shape=[2,2], strides=[2,2]>(i) }
<domain: "f", opset_import: ["" : 17]>
Twice (a) => (o) { o = Add(a, a) }"""


def make(text: str, **weights: np.ndarray) -> onnx.ModelProto:
    """A model from ONNX text; `weights` become initializers, which the text itself can only give small values."""
    proto = onnx.ModelProto()
    parsed = onnx.parser.parse_model(text if text.startswith("<") else HEAD + text)
    proto.CopyFrom(parsed)
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return proto


def conv(count: int = 4) -> onnx.ModelProto:
    weight = np.arange(count * 27, dtype=np.float32).reshape(count, 3, 3, 3) / 100
    return make(CONV, w=weight)


def everything() -> onnx.ModelProto:
    return make(EVERYTHING, w=np.linspace(-1, 1, 108, dtype=np.float32).reshape(4, 3, 3, 3))


def write(folder: Path, proto: onnx.ModelProto | bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
    return path


def refusal(folder: Path, proto: onnx.ModelProto | bytes) -> ModelError:
    """The error of loading `proto`, which names the file."""
    path = write(folder, proto)
    with pytest.raises(ModelError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    return caught.value


def run(model: ir.Model | onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    import onnxruntime

    proto = model if isinstance(model, onnx.ModelProto) else ir.to_proto(model)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph.all_nodes()]
