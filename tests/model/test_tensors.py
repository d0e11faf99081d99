"""Weights whose data disagree with what is said of them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto

from edgeort.model import load
from tests.model.support import CONV, conv, make, refusal, write


def _tensor(**fields: object) -> onnx.TensorProto:
    defaults: dict[str, object] = {"name": "w", "dims": [4, 3, 3, 3], "data_type": TensorProto.FLOAT}
    return onnx.TensorProto(**{**defaults, **fields})


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (_tensor(raw_data=bytes(431)), "which is 432 bytes, but holds 431"),
        (_tensor(), "108 entries of float_data, but it has 0"),
        (_tensor(float_data=[0.0] * 107), "but it has 107"),
        (_tensor(float_data=[0.0] * 108, int32_data=[1]), "1 entries of int32_data"),
        (_tensor(dims=[-4, 3, 3, 3]), "negative dimension"),
        (_tensor(dims=[2**62, 2**62], raw_data=b""), "absurdly large"),
        (_tensor(dims=[0, 2**62], raw_data=b""), "absurdly large"),
        (_tensor(data_type=1234), "unknown data type 1234"),
        (_tensor(data_type=0), "no data type"),
        (_tensor(data_type=TensorProto.STRING, raw_data=b"x"), "cannot be stored as raw bytes"),
    ],
)
def test_tensors_whose_data_disagrees_with_their_dims(tmp_path: Path, tensor: onnx.TensorProto, message: str) -> None:
    proto = make(CONV)
    proto.graph.initializer.append(tensor)
    error = refusal(tmp_path, proto)
    assert message in str(error) and "'w'" in str(error)


def test_duplicate_nameless_and_sparse_initializers(tmp_path: Path) -> None:
    proto = conv()
    proto.graph.initializer.append(proto.graph.initializer[0])
    assert "two initializers named 'b'" in str(refusal(tmp_path, proto))
    proto = conv()
    proto.graph.initializer.add(data_type=1)
    assert "without a readable name" in str(refusal(tmp_path, proto))
    proto = conv()
    proto.graph.sparse_initializer.add()
    assert "sparse" in str(refusal(tmp_path, proto))


def test_a_constant_of_absurd_size(tmp_path: Path) -> None:
    proto = make("g (float[3] x) => (float[3] y) { k = Constant<value = float[1] {1}>()  y = Add(x, k) }")
    proto.graph.node[0].attribute[0].t.dims[:] = [2**40]
    assert "is 1099511627776 entries" in str(refusal(tmp_path, proto))


def test_packed_four_bit_tensors_have_half_the_bytes(tmp_path: Path) -> None:
    proto = make('<ir_version: 10, opset_import: ["" : 21]> g (float[3] x) => (float[3] y) { y = Relu(x) }')
    proto.graph.initializer.add(name="w", dims=[5], data_type=TensorProto.INT4, raw_data=b"\x21\x43\x05")
    tensor = load(write(tmp_path, proto)).graph.initializers["w"].const_value
    assert tensor is not None and tensor.numpy().astype(int).tolist() == [1, 2, 3, 4, 5]
