"""The graph that becomes a .tflite file: tensors and operators in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeort.converters.tflite import flat, schema
from edgeort.passes.quantised import Quantity

SIGNATURE = "serving_default"
_LAST_IN_BYTE = 127  # readers of before 2020 know the operators up to here by an int8


@dataclass(frozen=True)
class Quant:
    """real = (integer - zero_point) * scale; one number, or one for each slice of `axis`."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int = 0

    @classmethod
    def of(cls, found: Quantity) -> Quant:
        """That of ONNX's QuantizeLinear, its zero point as of int8."""
        return cls((float(np.float32(found.scale)),), (found.zero_point,))

    @classmethod
    def symmetric(cls, scale: np.ndarray, axis: int = 0) -> Quant:
        """Zero points 0; `scale` is a number or has one for each slice of `axis`."""
        values = tuple(float(s) for s in np.asarray(scale, np.float32).reshape(-1))
        return cls(values, (0,) * len(values), axis)


@dataclass
class Tensor:
    """`dtype` is a key of schema.TYPES; `data` are the bytes of a constant."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quant: Quant | None = None
    data: bytes | None = None


@dataclass
class Operator:
    """`name` is a key of schema.OPERATORS; tensors by their index, -1 for one that is left out."""

    name: str
    inputs: list[int]
    outputs: list[int]
    options: dict[str, Any]


@dataclass
class Graph:
    """`inputs` and `outputs` are (name, tensor) pairs in the order of the ONNX model."""

    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[tuple[str, int]] = field(default_factory=list)
    outputs: list[tuple[str, int]] = field(default_factory=list)
    _constants: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def tensor(self, name: str, shape: Iterable[int], dtype: str, quant: Quant | None = None) -> int:
        """A new tensor that an operator writes, or an input."""
        self.tensors.append(Tensor(name, tuple(int(d) for d in shape), dtype, quant))
        return len(self.tensors) - 1

    def constant(self, name: str, array: np.ndarray, quant: Quant | None = None) -> int:
        """A tensor of the array's type; equal ones are stored once."""
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        key = (data, array.shape, array.dtype.name, quant)
        if key not in self._constants:
            self.tensors.append(Tensor(name, array.shape, array.dtype.name, quant, data))
            self._constants[key] = len(self.tensors) - 1
        return self._constants[key]

    def add(self, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:
        """Appends an operator."""
        self.operators.append(Operator(name, list(inputs), list(outputs), options))

    def drop_unused(self) -> None:
        """Removes the operators that no output needs."""
        needed, kept = {tensor for _, tensor in self.outputs}, []
        for operator in reversed(self.operators):
            if needed.intersection(operator.outputs):
                needed.update(operator.inputs)
                kept.append(operator)
        self.operators = kept[::-1]

    def to_bytes(self) -> bytes:
        """The file; tensors that nothing reads are left out. Raises as `flat.encode`."""
        self.drop_unused()
        used = {i for operator in self.operators for i in (*operator.inputs, *operator.outputs) if i >= 0}
        used |= {tensor for _, tensor in (*self.inputs, *self.outputs)}
        place = {old: new for new, old in enumerate(sorted(used))} | {-1: -1}
        codes = {code: i for i, code in enumerate(dict.fromkeys(map(self._code, self.operators)))}
        tensors, buffers = self._tensors(sorted(used))
        subgraph = {
            "tensors": tensors,
            "inputs": [place[tensor] for _, tensor in self.inputs],
            "outputs": [place[tensor] for _, tensor in self.outputs],
            "operators": [self._operator(operator, codes, place) for operator in self.operators],
            "name": "main",
        }
        signature = {
            "inputs": [{"name": name, "tensor_index": place[tensor]} for name, tensor in self.inputs],
            "outputs": [{"name": name, "tensor_index": place[tensor]} for name, tensor in self.outputs],
            "signature_key": SIGNATURE,
            "subgraph_index": 0,
        }
        model = {
            "version": schema.VERSION,
            "operator_codes": [_code_table(*code) for code in codes],
            "subgraphs": [subgraph],
            "description": "edgeort",
            "buffers": buffers,
            "signature_defs": [signature],
        }
        return flat.encode("Model", model)

    def _tensors(self, used: Sequence[int]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The tables of tensors and buffers; buffer 0 is the one of all that have no data."""
        tables: list[dict[str, Any]] = []
        buffers: list[dict[str, Any]] = [{}]
        for index in used:
            tensor = self.tensors[index]
            table: dict[str, Any] = {"shape": tensor.shape, "type": schema.TYPES[tensor.dtype], "name": tensor.name}
            table |= {"buffer": 0, "has_rank": True}
            if tensor.data is not None:
                table["buffer"] = len(buffers)
                buffers.append({"data": tensor.data})
            if tensor.quant is not None:
                quant = tensor.quant
                table["quantization"] = {"scale": quant.scale, "zero_point": quant.zero_point}
                table["quantization"]["quantized_dimension"] = quant.axis
            tables.append(table)
        return tables, buffers

    def _code(self, operator: Operator) -> tuple[str, int]:
        """The operator's name and version."""
        if operator.name == "FULLY_CONNECTED":
            quant = self.tensors[operator.inputs[1]].quant
            if quant is not None and len(quant.scale) > 1:
                return operator.name, schema.PER_CHANNEL_CONNECTED
        return operator.name, schema.VERSIONS.get(operator.name, 1)

    def _operator(self, operator: Operator, codes: dict[tuple[str, int], int], place: dict[int, int]) -> dict[str, Any]:
        options = schema.OPERATORS[operator.name][1]
        table: dict[str, Any] = {
            "opcode_index": codes[self._code(operator)],
            "inputs": [place[i] for i in operator.inputs],
            "outputs": [place[i] for i in operator.outputs],
        }
        if options is not None:
            table |= {"builtin_options_type": schema.UNION[options], "builtin_options": (options, operator.options)}
        return table


def _code_table(name: str, version: int) -> dict[str, int]:
    number = schema.OPERATORS[name][0]
    return {
        "deprecated_builtin_code": min(number, _LAST_IN_BYTE),
        "version": version,
        "builtin_code": number,
    }
