"""Writes nodes one by one: the body of a function, what stands before or behind a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

FLOAT, DOUBLE, INT32, INT64, BOOL, STRING = (
    ir.DataType[n] for n in ("FLOAT", "DOUBLE", "INT32", "INT64", "BOOL", "STRING")
)


class Unknown(Exception):
    """The body needs a rank, a dimension or a constant of the node that is not known."""


class Writer:
    """Collects nodes of `opset`. Values are names, which begin with `prefix`; "" is an absent one."""

    def __init__(self, opset: int, prefix: str = "v") -> None:
        self.opset, self.prefix = opset, prefix
        self.nodes: list[onnx.NodeProto] = []

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """The result of a node."""
        return self.ops(op_type, inputs, 1, **attributes)[0]

    def ops(self, op_type: str, inputs: Sequence[str], outputs: int, domain: str = "", **attributes: Any) -> list[str]:
        """The results of a node with several."""
        made = [f"{self.prefix}{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(onnx.helper.make_node(op_type, list(inputs), made, domain=domain, **attributes))
        return made

    def array(self, values: Any, dtype: ir.DataType) -> str:
        """A constant."""
        tensor = onnx.numpy_helper.from_array(np.array(values, dtype.numpy()))
        return self.op("Constant", value=tensor)

    def texts(self, values: Sequence[str]) -> str:
        """A constant vector of strings."""
        data = [value.encode() for value in values]
        tensor = onnx.TensorProto(data_type=onnx.TensorProto.STRING, dims=[len(data)], string_data=data)
        return self.op("Constant", value=tensor)

    def ints(self, *values: int) -> str:
        """A constant vector of int64."""
        return self.array(values, INT64)

    def cast(self, value: str, to: ir.DataType) -> str:
        """The value in another element type."""
        return self.op("Cast", value, to=to.value)

    def reduce(self, op_type: str, value: str, axes: Sequence[int], keepdims: int = 1) -> str:
        """A reduction, with axes as the opset wants them."""
        if self.opset >= (13 if op_type == "ReduceSum" else 18):
            return self.op(op_type, value, self.ints(*axes), keepdims=keepdims)
        return self.op(op_type, value, axes=list(axes), keepdims=keepdims)

    def unsqueeze(self, value: str, *axes: int) -> str:
        """The value with further axes."""
        if self.opset >= 13:
            return self.op("Unsqueeze", value, self.ints(*axes))
        return self.op("Unsqueeze", value, axes=list(axes))

    def squeeze(self, value: str, *axes: int) -> str:
        """The value without axes of one entry."""
        if self.opset >= 13:
            return self.op("Squeeze", value, self.ints(*axes))
        return self.op("Squeeze", value, axes=list(axes))

    def slice(self, value: str, start: int, end: int, axis: int) -> str:
        """Entries [start, end) of an axis."""
        return self.op("Slice", value, self.ints(start), self.ints(end), self.ints(axis))

    def size(self, value: str, axis: int) -> str:
        """A dimension, a scalar."""
        return self.op("Gather", self.op("Shape", value), self.array(axis, INT64), axis=0)

    def range(self, size: str) -> str:
        """0, 1, ... up to a size."""
        return self.op("Range", self.array(0, INT64), size, self.array(1, INT64))

    def split(self, value: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Parts of an axis."""
        if self.opset >= 13:
            return self.ops("Split", [value, self.ints(*sizes)], len(sizes), axis=axis)
        return self.ops("Split", [value], len(sizes), axis=axis, split=list(sizes))


class Body(Writer):
    """Collects the body of one node."""

    def __init__(self, node: ir.Node, opset: int) -> None:
        super().__init__(opset)
        self.node = node
        self.names = [f"in{i}" if value is not None else "" for i, value in enumerate(node.inputs)]

    def input(self, index: int) -> str:
        """The name of an input."""
        return self.names[index] if index < len(self.names) else ""

    def has(self, index: int) -> bool:
        """Whether an input is there."""
        return bool(self.input(index))

    def wants(self, index: int) -> bool:
        """Whether an output is read."""
        outputs = self.node.outputs
        return index < len(outputs) and bool(outputs[index].uses() or outputs[index].is_graph_output())

    def rank(self, index: int) -> int:
        """The rank of an input. Unknown where it is not known."""
        value = self.node.inputs[index]
        if value is None or value.shape is None:
            raise Unknown
        return len(value.shape)

    def dim(self, index: int, axis: int) -> int:
        """A dimension of an input. Unknown where it is not known."""
        self.rank(index)
        size = self.node.inputs[index].shape[axis]  # type: ignore[union-attr, index]
        if not isinstance(size, int):
            raise Unknown
        return size

    def dtype(self, index: int) -> ir.DataType:
        """The element type of an input. Unknown where it is not known."""
        value = self.node.inputs[index]
        if value is None or value.dtype is None:
            raise Unknown
        return value.dtype

    def constant(self, index: int) -> np.ndarray:
        """The data of an input. Unknown where it is computed."""
        value = self.node.inputs[index]
        if value is None or value.is_graph_input():
            raise Unknown
        tensor = ir.convenience.get_const_tensor(value)
        if tensor is None:
            raise Unknown
        return tensor.numpy()

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value."""
        found = self.node.attributes.get(name)
        return default if found is None or found.value is None else found.value

    def given(self, *names: str) -> dict[str, Any]:
        """Those of the attributes that the node has, for another operator to have."""
        return {name: self.attribute(name) for name in names if self.attribute(name) is not None}

    def number(self, value: float, like: int = 0) -> str:
        """A constant scalar of the element type of an input."""
        return self.array(value, self.dtype(like))

    def proto(self, results: Sequence[str]) -> onnx.FunctionProto:
        """The function whose results are these values."""
        outputs = [f"out{i}" for i in range(len(results))]
        for result, output in zip(results, outputs, strict=True):
            self.nodes.append(onnx.helper.make_node("Identity", [result], [output]))
        inputs = [name or f"absent{i}" for i, name in enumerate(self.names)]
        imports = [onnx.helper.make_opsetid("", self.opset)]
        return onnx.helper.make_function("", "", inputs, outputs, self.nodes, imports)
