"""Goes from the nodes of a prepared model to operators of LiteRT: which tensor stands for which value, in which type.

A DequantizeLinear writes nothing: what reads it takes the integers, or asks for float32, and gets a DEQUANTIZE.
A node whose result only a QuantizeLinear reads, and all of whose inputs are integers, becomes one operator on integers
(`Writer.site`). Integers are int8 throughout: an uint8's zero point is less 128, and so are its values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from edgeort.converters.tflite import schema
from edgeort.converters.tflite.graph import Graph, Quant, Tensor
from edgeort.converters.tflite.kinds import takes
from edgeort.converters.tflite.refusal import Blocked, Refuse
from edgeort.converters.tflite.weights import Weights
from edgeort.passes.algebra import clip_bounds
from edgeort.passes.edit import constant, is_op, only_user
from edgeort.passes.quantised import BYTES, UNSIGNED_BIAS, dequantized, numbers_of, quantity

_DTYPES: dict[str, str] = {
    "FLOAT": "float32", "FLOAT16": "float32", "INT64": "int64", "INT32": "int32", "INT16": "int16", "INT8": "int8",
    "UINT8": "uint8", "BOOL": "bool",
}  # fmt: skip
_FUSED: dict[tuple[float, float], str] = {(0.0, math.inf): "RELU", (0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1"}
_HALF_FROM = 256  # elements: smaller constants stay float32, as the file would hardly shrink
_WORKED_ON: dict[str, int] = {"SELECT_V2": 1, "TRANSPOSE_CONV": 2}  # the operand, where it is not the first
HALF_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Options:
    """`weights`: how float constants are stored, "lossless" as float16 where that holds all their numbers.

    `io_layout`: of inputs and outputs of rank 4, "nchw" as in ONNX.

    With `io_integers` the inputs and outputs that the model quantises are int8 tensors with a scale.
    """

    weights: Literal["float32", "float16", "lossless"] = "float32"
    io_layout: Literal["nchw", "nhwc"] = "nchw"
    io_integers: bool = False


@dataclass(frozen=True)
class Site:
    """What the operator for a node writes: `value`, behind the activation that it fuses and the QuantizeLinear."""

    activation: str
    value: ir.Value
    quant: Quant | None  # where it computes on integers

    @property
    def fused(self) -> dict[str, Any]:
        """The field of the operator's options."""
        return {"fused_activation_function": schema.ACTIVATIONS[self.activation]}


@dataclass
class Writer:
    """The state of one model's way. `notes` are (node, sentence) pairs about what is computed otherwise than asked."""

    model: ir.Model
    options: Options
    graph: Graph = field(default_factory=Graph)
    notes: list[tuple[ir.Node, str]] = field(default_factory=list)
    tensors: dict[ir.Value, int] = field(default_factory=dict)
    done: set[ir.Node] = field(default_factory=set)

    # Shapes and types

    def shape(self, value: ir.Value | None) -> tuple[int, ...]:
        """The shape of a value. Refuse where it is not known before the run."""
        if value is None or value.shape is None or not all(isinstance(d, int) and d >= 0 for d in value.shape):
            raise Refuse(f"the shape of {value.name if value else 'an input'} is not known before the run")
        if 0 in value.shape.numpy():
            raise Refuse(f"{value.name} is empty")
        return value.shape.numpy()

    def dtype(self, value: ir.Value) -> str:
        """The type of the tensor that stands for a value: float16 is computed as float32."""
        name = value.type.dtype.name if isinstance(value.type, ir.TensorType) else "unknown"
        if name not in _DTYPES:
            raise Refuse(f"{value.name} is of type {name.lower()}, which LiteRT's operators do not take")
        return _DTYPES[name]

    # What stands for a value

    def tensor(self, value: ir.Value | None) -> int:
        """The tensor of a value; float32 is made of integers that a DequantizeLinear reads."""
        assert value is not None
        if value not in self.tensors:
            self.tensors[value] = self._new(value)
        return self.tensors[value]

    def _new(self, value: ir.Value) -> int:
        array = constant(value)
        if array is not None:
            return self.constant(str(value.name), array)
        if numbers_of(value) is not None:
            return Weights.of(value).tensor(self, str(value.name))
        node = value.producer()
        if node is not None and is_op(node, "DequantizeLinear"):
            source = self.tensor(node.inputs[0])
            made = self.graph.tensor(str(value.name), self.shape(value), "float32")
            self.graph.add("DEQUANTIZE", [source], [made])
            return made
        if value.is_graph_input():
            self.dtype(value)  # says why there is no tensor
        raise Blocked(f"{value.name} comes from a node that is not written")

    def constant(self, name: str, array: np.ndarray, quant: Quant | None = None) -> int:
        """A constant; large float32 ones as the options say."""
        if array.dtype == np.float16:
            array = array.astype(np.float32)
        if array.dtype.name not in _DTYPES.values():
            raise Refuse(f"the constant {name} is of type {array.dtype.name}, which LiteRT's operators do not take")
        if not self._as_half(array):
            return self.graph.constant(name, array, quant)
        stored = self.graph.constant(f"{name}_half", array.astype(np.float16))
        made = self.graph.tensor(name, array.shape, "float32")
        self.graph.add("DEQUANTIZE", [stored], [made])
        return made

    def _as_half(self, array: np.ndarray) -> bool:
        """Whether a constant is stored as float16."""
        if array.dtype != np.float32 or array.size < _HALF_FROM or self.options.weights == "float32":
            return False
        if self.options.weights == "float16":
            return bool(np.abs(array).max() <= HALF_MAX)
        with np.errstate(over="ignore"):
            return np.array_equal(array.astype(np.float16), array)

    def integers(self, value: ir.Value | None) -> int | None:
        """The int8 tensor behind a float value that a DequantizeLinear makes as the model runs, else None."""
        node = dequantized(value)
        if node is None:
            return None
        found, index = quantity(node), self.tensor(node.inputs[0])
        assert found is not None
        return index if self.graph.tensors[index].quant == Quant.of(found) else None

    def about(self, index: int) -> Tensor:
        """What is known of a tensor."""
        return self.graph.tensors[index]

    def put(self, value: ir.Value, index: int) -> None:
        """From now on `index` stands for the value."""
        self.tensors[value] = index

    # What a node writes

    def site(self, node: ir.Node, *, fuses: bool = False, integers: bool = False) -> Site:
        """Where the node's operator ends. `fuses`: it takes an activation. `integers`: its inputs are integers."""
        value, activation, passed = node.outputs[0], "NONE", []
        follower = only_user(value)
        if fuses and follower is not None and (bounds := clip_bounds(follower)) in _FUSED:
            assert bounds is not None
            value, activation = follower.outputs[0], _FUSED[bounds]
            passed.append(follower)
        reader, quant = only_user(value), None
        if reader is not None and is_op(reader, "QuantizeLinear") and (found := quantity(reader)) is not None:
            if integers:
                value, quant = reader.outputs[0], Quant.of(found)
                passed.append(reader)
            elif any(dequantized(v) is not None for v in node.inputs):
                self.notes.append((node, "computes in float32 between integers"))
        self.done.update(passed)
        return Site(activation, value, quant)

    def result(self, site: Site) -> int:
        """The tensor that the site's operator writes."""
        dtype = "int8" if site.quant else self.dtype(site.value)
        index = self.graph.tensor(str(site.value.name), self.shape(site.value), dtype, site.quant)
        self.put(site.value, index)
        return index

    def temporary(self, name: str, shape: Sequence[int], like: int, quant: Quant | None = None) -> int:
        """A tensor between two operators, of `like`'s type and scale, or of `quant`."""
        tensor = self.about(like)
        return self.graph.tensor(name, shape, tensor.dtype, quant or tensor.quant)

    def step(self, name: str, inputs: Sequence[int], shape: Sequence[int] | None = None, **options: Any) -> int:
        """An operator with one output of the first input's type, and of its shape unless another is given."""
        shape = self.about(inputs[0]).shape if shape is None else shape
        made = self.temporary(f"{name.lower()}:{len(self.graph.tensors)}", shape, inputs[0])
        self._add(name, inputs, made, options)
        return made

    def _add(self, name: str, inputs: Sequence[int], made: int, options: dict[str, Any]) -> None:
        """Appends an operator with one output. Refuse where its kernel does not take the type of what it works on."""
        tensor = self.about(inputs[_WORKED_ON.get(name, 0)])
        if tensor.quant is None and not takes(name, tensor.dtype):
            raise Refuse(f"LiteRT's {name} does not take {tensor.dtype}")
        self.graph.add(name, inputs, [made], **options)

    def number(self, value: float, dtype: str = "float32") -> int:
        """A scalar constant."""
        return self.graph.constant("number", np.asarray(value, dtype))

    def ints(self, values: Sequence[int]) -> int:
        """An int32 vector: a shape, axes, paddings."""
        return self.graph.constant("ints", np.asarray(values, np.int32))

    def write(self, site: Site, name: str, inputs: Sequence[int], quant: Quant | None = None, **options: Any) -> None:
        """The site's operator. Where it can only give integers of `quant`, they are quantised again behind it."""
        last = self.result(site)
        if quant is None or site.quant is None or site.quant == quant:
            self._add(name, inputs, last, options)
            return
        between = self.graph.tensor(f"{site.value.name}_{name.lower()}", self.shape(site.value), "int8", quant)
        self._add(name, inputs, between, options)
        self.graph.add("QUANTIZE", [between], [last])

    def forward(self, node: ir.Node, name: str, inputs: Sequence[int], **options: Any) -> None:
        """The operator of a node that only moves elements of its first input: the type and scale stay."""
        out = node.outputs[0]
        made = self.temporary(str(out.name), self.shape(out), inputs[0])
        self._add(name, inputs, made, options)
        self.put(out, made)

    def same(self, node: ir.Node, index: int) -> None:
        """The node's first output is the tensor `index`, reshaped where the shapes differ."""
        out = node.outputs[0]
        shape = self.shape(out)
        if shape == self.about(index).shape and not out.is_graph_output():
            self.put(out, index)
        else:
            self.forward(node, "RESHAPE", [index, self.ints(shape)], new_shape=shape)

    # Ends

    def add_input(self, value: ir.Value) -> None:
        """Makes an input; one of integers is int8 from here on."""
        quant = self._read_as(value)
        dtype, name = self.dtype(value), str(value.name)
        if dtype == "uint8" and quant is not None:
            outer = Quant(quant.scale, tuple(z + UNSIGNED_BIAS for z in quant.zero_point))
            index = self.graph.tensor(name, self.shape(value), "uint8", outer)
            inner = self.graph.tensor(f"{name}_int8", self.shape(value), "int8", quant)
            self.graph.add("QUANTIZE", [index], [inner])
        elif self._skips_quantize(value):
            (reader,) = (use.node for use in value.uses())
            found = quantity(reader)
            assert found is not None
            index = inner = self.graph.tensor(name, self.shape(value), "int8", Quant.of(found))
            self.put(reader.outputs[0], index)
            self.done.add(reader)
        else:
            index = inner = self.graph.tensor(name, self.shape(value), dtype, quant)
        self.graph.inputs.append((name, index))
        self.put(value, inner)

    def _skips_quantize(self, value: ir.Value) -> bool:
        reader = only_user(value)
        return self.options.io_integers and reader is not None and quantity(reader) is not None

    def _read_as(self, value: ir.Value) -> Quant | None:
        """The scale of the DequantizeLinear that reads an input of 8 bits, directly or behind what moves it."""
        if value.dtype not in BYTES:
            return None
        reached, queue = {value}, [value]
        while queue:
            for use in queue.pop().uses():
                found = quantity(use.node)
                if found is not None:
                    return Quant.of(found)
                new = [out for out in use.node.outputs if out.dtype == value.dtype and out not in reached]
                reached.update(new)
                queue += new
        return None

    def add_output(self, value: ir.Value) -> None:
        """Makes an output, of the type that the ONNX model gives it."""
        node = value.producer()
        if self.options.io_integers and node is not None and (source := self.integers(value)) is not None:
            self.graph.outputs.append((str(value.name), source))
            return
        index = self.tensor(value)
        tensor = self.about(index)
        if value.dtype == ir.DataType.UINT8 and tensor.dtype == "int8" and tensor.quant is not None:
            outer = Quant(tensor.quant.scale, tuple(z + UNSIGNED_BIAS for z in tensor.quant.zero_point))
            made = self.graph.tensor(f"{tensor.name}_uint8", tensor.shape, "uint8", outer)
            self.graph.add("QUANTIZE", [index], [made])
            index = made
        elif tensor.data is not None or index in {input for _, input in self.graph.inputs}:
            made = self.temporary(str(value.name), tensor.shape, index)
            self.graph.add("RESHAPE", [index, self.ints(tensor.shape)], [made], new_shape=tensor.shape)
            index = made
        self.graph.outputs.append((str(value.name), index))


Handler = Callable[[Writer, ir.Node], None]
