"""The sums of products that a model consists of: which operator, at which shapes, how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from benchmarks.models import Model
from edgeort import model as models

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_OPSET = 17
_IMAGE_CHANNELS = 4  # at most


@dataclass(frozen=True)
class Product:
    """One operator at one shape. `x` and `w` are its first two inputs; `attributes` are ONNX's, as (name, value)."""

    op: str
    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, ...]
    is_constant: bool  # w is a weight
    has_bias: bool
    attributes: tuple[tuple[str, int | float | str | tuple[int, ...]], ...]

    @property
    def multiply_adds(self) -> int:
        """Those of the plain algorithm, padding included."""
        if self.op == "Conv":
            return int(np.prod(self.y) * np.prod(self.w[1:]))
        if self.op == "ConvTranspose":
            return int(np.prod(self.x) * np.prod(self.w[1:]))
        depth = self.x[0] if dict(self.attributes).get("transA") else self.x[-1]
        return int(np.prod(self.y) * depth)

    @property
    def moved_bytes(self) -> int:
        """Inputs and output, each once."""
        return 4 * int(np.prod(self.x) + np.prod(self.w) + np.prod(self.y))

    def text(self) -> str:
        """For people: 1x24x56x56 * 144x24x1x1 stride 2 group 8."""
        found = dict(self.attributes)
        parts = [f"{self.op} {_dims(self.x)} * {_dims(self.w)}"]
        strides = found.get("strides", ())
        if isinstance(strides, tuple) and max(strides, default=1) > 1:
            parts.append(f"stride {_dims(strides)}")
        if found.get("group", 1) != 1:
            parts.append(f"group {found['group']}")
        return ", ".join(parts)

    def model(self) -> onnx.ModelProto:
        """The operator alone, with random weights; "x", and "w" where that is no weight, are its inputs.

        Convolutions inside a network stand between transposes that the passes cancel: images come and go channels last.
        First layers, of few channels, read what a model is given.
        """
        rng = np.random.default_rng(0)
        inputs, constants = [helper.make_tensor_value_info("x", TensorProto.FLOAT, self._feed(self.x))], {}
        if self.is_constant:
            constants["w"] = rng.standard_normal(self.w)
        else:
            inputs.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, self.w))
        if self.has_bias:
            constants["b"] = rng.standard_normal(self.y[1] if self.op.startswith("Conv") else self.y[-1])
        names = ["x", "w", "b"][: 3 if self.has_bias else 2]
        nodes = [helper.make_node(self.op, names, ["y"], **dict(self.attributes))]  # type: ignore[arg-type]
        if self._channels_last:
            space = list(range(2, len(self.x)))
            first = helper.make_node("Transpose", ["x"], ["nchw"], perm=[0, len(self.x) - 1, *(d - 1 for d in space)])
            last = helper.make_node("Transpose", ["y"], ["nhwc"], perm=[0, *space, 1])
            nodes[0].input[0] = "nchw"
            nodes = [first, *nodes, last]
        output = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, self._feed(self.y))
        weights = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()]
        graph = helper.make_graph(nodes, "product", inputs, [output], weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)

    def feeds(self) -> list[np.ndarray]:
        """Data for the inputs of `model()`."""
        rng = np.random.default_rng(1)
        shapes = [self._feed(self.x)] if self.is_constant else [self._feed(self.x), self.w]
        return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]

    @property
    def _channels_last(self) -> bool:
        return self.op.startswith("Conv") and self.x[1] > _IMAGE_CHANNELS

    def _feed(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (shape[0], *shape[2:], shape[1]) if self._channels_last else shape


def _dims(dims: tuple[int, ...]) -> str:
    return "x".join(map(str, dims))


def products(model: Model) -> Counter[Product]:
    """How often each stands in the model, at the shapes of its data."""
    graph = models.load(model.path, shapes={name: array.shape for name, array in model.feeds.items()})
    graph = models.infer_shapes(models.clean(graph))
    return Counter(_products(graph))


def _products(model: ir.Model) -> Iterator[Product]:
    for node in model.graph:
        if node.op_type not in OPERATORS or node.domain:
            continue
        x, w, y = (_shape(value) for value in (*node.inputs[:2], node.outputs[0]))
        if x is None or w is None or y is None:
            continue  # an operator on data-dependent shapes
        weight, bias = node.inputs[1], node.inputs[2] if len(node.inputs) > 2 else None
        attributes = tuple((name, _plain(value)) for name, value in node.attributes.items())
        constant = weight is not None and weight.const_value is not None
        yield Product(node.op_type, x, w, y, constant, bias is not None, attributes)


def _shape(value: ir.Value | None) -> tuple[int, ...] | None:
    if value is None or value.shape is None:
        return None
    dims = tuple(dim for dim in value.shape if isinstance(dim, int))
    return dims if len(dims) == len(value.shape) else None


def _plain(attribute: ir.Attr) -> int | float | str | tuple[int, ...]:
    return tuple(attribute.value) if isinstance(attribute.value, (list, tuple)) else attribute.value
