"""Builds `model.plan`: tensors, nodes and constant data in the layout of layout.py."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from edgeort.errors import UnsupportedError
from edgeort.lowering import layout, storage

_CODES = {onnx_type: code for code, (_, onnx_type, _) in enumerate(layout.DTYPES)}
_F32 = 0
_INT8 = frozenset((*layout.QUANTISED_PRODUCTS, *layout.QUANTISED_RECURRENT))
_RECURRENT = frozenset((*layout.RECURRENT_PRODUCTS, *layout.COMPRESSED_RECURRENT, *layout.QUANTISED_RECURRENT))
_PRODUCTS = (*layout.FLOAT_PRODUCTS, *layout.COMPRESSED_PRODUCTS, *layout.QUANTISED_PRODUCTS)
_STORED = {"f32": "f32", "f16": "f16", "bf16": "bf16", "i8": "int8", "q8": "int8", "u8": "u8"}
_UNBOUNDED = 2**63 - 1
# Constants of no more bytes lie in front of the others: what prepare reads is among them, so that a plan can be opened
# while it arrives; and what is widened, or strings, which opening reads. The others lie in the order in which a run
# reads them.
_SMALL = 1 << 14


def dtype_code(onnx_type: int, where: str) -> int:
    """A plan's code of an ONNX TensorProto.DataType; UnsupportedError names `where` when the runtime lacks it."""
    if onnx_type not in _CODES:
        names = {kind.value: kind.name.lower() for kind in ir.DataType}
        raise UnsupportedError(
            f"{where} has element type {names.get(onnx_type, onnx_type)}, which the runtime cannot hold",
            hint="cast it outside the model, and export the model without it",
        )
    return _CODES[onnx_type]


def code_of(value: ir.Value, where: str) -> int:
    """A plan's code of a value's elements: tensors, of a sequence or an optional; float32 where the type is unknown."""
    if isinstance(value.type, (ir.SequenceType, ir.OptionalType)):
        return layout.TENSOR_CODE
    return _F32 if value.dtype is None else dtype_code(value.dtype.value, where)


def _check_rank(where: str, rank: int) -> None:
    if rank > layout.MAX_RANK:
        raise UnsupportedError(
            f"{where} has {rank} dimensions; kernels exist for up to {layout.MAX_RANK}",
            hint="join some of them, with a Reshape outside the model",
        )


@dataclass
class _Tensor:
    name: str
    kind: str
    dtype: int
    dims: tuple[int, ...] = ()  # free dimensions are -(k + 1)
    data: np.ndarray | None = None


@dataclass
class _Node:
    name: str
    op: str
    inputs: list[int]
    outputs: list[int]
    params: bytes


@dataclass
class PlanBuilder:
    """Collects a plan. Tensors are named by index; -1 stands for an absent operand."""

    tensors: list[_Tensor] = field(default_factory=list)
    nodes: list[_Node] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    symbols: dict[str, int] = field(default_factory=dict)
    bounds: dict[str, tuple[int, int]] = field(default_factory=dict)  # of symbols: least and greatest size
    uops: set[str] = field(default_factory=set)  # micro-operations that its programs use
    nested: set[str] = field(default_factory=set)  # `ops` of the plans that it holds
    reasons: dict[str, str] = field(default_factory=dict)  # of nodes that run in float32: why not on integers
    ram_limit: int = 0  # bytes that the runtime may take for activations; 0: any
    leaves_out_zeros: bool = True  # of constants: the runtime widens them into memory when it opens the plan

    @property
    def ops(self) -> list[str]:
        """What a library for the plan must hold: kernels, and micro-operations as `uop:Name`; sorted."""
        return sorted({node.op for node in self.nodes} | {f"uop:{name}" for name in self.uops} | self.nested)

    @property
    def is_quantised(self) -> bool:
        """Whether anything is kept as quantised integers."""
        return any(tensor.dtype == layout.Q8 for tensor in self.tensors)

    def stored(self, array: np.ndarray) -> np.ndarray:
        """How a constant of numbers lies in the plan: itself, or what `storage.sparse` makes of it."""
        less = storage.sparse(array) if self.leaves_out_zeros else None
        return array if less is None else less

    def precision(self, node: _Node) -> str:
        """The element type that a node computes with: int8 also for what only moves quantised integers."""
        made = [self.tensors[index].dtype for index in node.outputs if index >= 0]
        if node.op in _INT8 or (made and made[0] == layout.Q8 and node.op != "Elementwise"):
            return "int8"
        return layout.DTYPES[0 if made and made[0] == layout.Q8 else made[0]][0] if made else "none"

    def weights(self, node: _Node) -> tuple[str, int]:
        """How a product's constant weights, or the table of a Gather, are stored, and their bytes; else ("", 0)."""
        recurs = node.op in _RECURRENT
        at = 0 if node.op == "Gather" else 1 if recurs or node.op in _PRODUCTS else None
        if at is None or self.tensors[node.inputs[at]].data is None:
            return "", 0
        form = _STORED.get(layout.DTYPES[self.tensors[node.inputs[at]].dtype][0], "")
        if form == "u8" and node.op in (*layout.BLOCK_PRODUCTS, *layout.COMPRESSED_RECURRENT):
            form = "int4"
        masked = node.op == "SparseGemm"
        others = node.inputs[2:3] if masked else node.inputs[3:5] if node.op in layout.BLOCK_PRODUCTS else []
        if recurs:  # the state's weights, and what belongs to both where they are compressed
            others = [*node.inputs[2:3], *node.inputs[8:]]
        arrays = [self.tensors[index].data for index in (node.inputs[at], *others) if index >= 0]
        held = [self.stored(array) for array in arrays if array is not None]
        if form and (masked or held[0] is not arrays[0]):
            form = f"sparse {form}"
        return form, sum(array.nbytes for array in held) if form else 0

    def input(self, name: str, dtype: int, dims: Sequence[int | str | None]) -> int:
        """A graph input; a dimension that is a name (or None) is free, and equal names are equal sizes."""
        _check_rank(f"input {name!r}", len(dims))
        coded = []
        for axis, dim in enumerate(dims):
            if isinstance(dim, int):
                coded.append(dim)
                continue
            coded.append(-1 - self.symbols.setdefault(dim or f"{name}[{axis}]", len(self.symbols)))
        self.tensors.append(_Tensor(name, "input", dtype, tuple(coded)))
        self.inputs.append(len(self.tensors) - 1)
        return self.inputs[-1]

    def activation(self, name: str, dtype: int = _F32) -> int:
        """A value that a node produces; the runtime infers its shape."""
        self.tensors.append(_Tensor(name, "activation", dtype))
        return len(self.tensors) - 1

    def constant(self, name: str, data: np.ndarray, dtype: int) -> int:
        """A constant; `data` is C-contiguous, little-endian, of the element size of `dtype`, or str and bytes."""
        if dtype == layout.STRING:
            _check_rank(f"constant {name!r}", data.ndim)
            self.tensors.append(_Tensor(name, "constant", dtype, data.shape, storage.texts(data)))
            return len(self.tensors) - 1
        data = np.ascontiguousarray(data).reshape(data.shape)  # ascontiguousarray makes scalars vectors
        _check_rank(f"constant {name!r}", data.ndim)
        assert data.dtype.itemsize == layout.DTYPES[dtype][2], (name, data.dtype, dtype)
        self.tensors.append(_Tensor(name, "constant", dtype, data.shape, data))
        return len(self.tensors) - 1

    def node(self, op: str, name: str, inputs: Sequence[int], outputs: Sequence[int], params: bytes = b"") -> None:
        """One call of kernel `op`; `params` is a packed params struct, with what trails it."""
        self.nodes.append(_Node(name, op, list(inputs), list(outputs), params))

    def to_bytes(self) -> bytes:
        """The whole plan."""
        return _Writer(self).write()


class _Writer:
    def __init__(self, plan: PlanBuilder) -> None:
        self.plan = plan
        self.strings: dict[str, int] = {}
        self.string_bytes = bytearray()
        self.dims: list[int] = []
        self.operands: list[int] = []
        self.params = bytearray()
        self.data = self.constants()
        self.places: dict[int, int] = {}
        self.stored: list[np.ndarray] = []  # weights that nodes share are there once
        self.data_size = 0
        places: dict[bytes, int] = {}  # by digest
        for index, array in self.data.items():
            digest = hashlib.sha256(array.tobytes()).digest()  # the bytes are not kept: they may be gigabytes
            if digest not in places:
                places[digest] = self.data_size
                self.stored.append(array)
                self.data_size += -(-array.nbytes // layout.ALIGNMENT) * layout.ALIGNMENT
            self.places[index] = places[digest]

    def string(self, text: str) -> int:
        if text not in self.strings:
            self.strings[text] = len(self.string_bytes)
            self.string_bytes += text.encode() + b"\0"
        return self.strings[text]

    def constants(self) -> dict[int, np.ndarray]:
        """What is stored of each tensor that is a constant, in the order in which the data has them."""
        held: dict[int, np.ndarray] = {}
        readers: dict[int, int] = {}
        for index, tensor in enumerate(self.plan.tensors):
            if tensor.data is not None:
                held[index] = tensor.data if tensor.dtype == layout.STRING else self.plan.stored(tensor.data)
        for at, node in enumerate(self.plan.nodes):
            for index in node.inputs:
                readers.setdefault(index, at)

        def turn(index: int) -> tuple[int, int]:
            tensor, data = self.plan.tensors[index], held[index]
            early = data.nbytes <= _SMALL or data is not tensor.data or tensor.dtype == layout.STRING
            return (-1 if early else readers.get(index, len(self.plan.nodes)), index)

        return {index: held[index] for index in sorted(held, key=turn)}

    def tensor(self, index: int) -> bytes:
        tensor, data, dims = self.plan.tensors[index], self.data.get(index), len(self.dims)
        self.dims += tensor.dims
        return layout.TENSOR.pack(
            data=self.places.get(index, 0),
            bytes=0 if data is None else data.nbytes,
            sparse=int(data is not None and data is not tensor.data),
            name=self.string(tensor.name),
            dims=dims,
            kind=layout.KINDS.index(tensor.kind),
            dtype=tensor.dtype,
            rank=len(tensor.dims),
        )

    def node(self, node: _Node, ops: list[str]) -> bytes:
        first, params = len(self.operands), len(self.params)
        self.operands += node.inputs + node.outputs
        self.params += node.params + b"\0" * (-len(node.params) % 8)
        return layout.NODE.pack(
            params=params,
            params_bytes=len(node.params),
            name=self.string(node.name),
            op=ops.index(node.op),
            operands=first,
            inputs=len(node.inputs),
            outputs=len(node.outputs),
        )

    def bounds(self) -> bytes:
        """Of every free dimension, in the order of their numbers."""
        bounded = self.plan.bounds
        return np.array([bounded.get(symbol, (0, _UNBOUNDED)) for symbol in self.plan.symbols], "<i8").tobytes()

    def write(self) -> bytes:
        plan = self.plan
        ops = sorted({node.op for node in plan.nodes})
        tensors = b"".join(self.tensor(index) for index in range(len(plan.tensors)))
        nodes = b"".join(self.node(n, ops) for n in plan.nodes)
        inputs = (len(self.operands), len(plan.inputs))
        self.operands += plan.inputs
        outputs = (len(self.operands), len(plan.outputs))
        self.operands += plan.outputs
        names = np.array([self.string(op) for op in ops], "<u4").tobytes()
        self.string("")
        sections = {
            "tensors": (tensors, len(plan.tensors)),
            "nodes": (nodes, len(plan.nodes)),
            "ops": (names, len(ops)),
            "operands": (np.array(self.operands, "<i4").tobytes(), len(self.operands)),
            "dims": (np.array(self.dims, "<i8").tobytes(), len(self.dims)),
            "bounds": (self.bounds(), len(plan.symbols)),
            "strings": (bytes(self.string_bytes), len(self.string_bytes)),
            "params": (bytes(self.params), len(self.params)),
        }
        body, at, places = bytearray(), layout.HEADER.size, {}
        for name, (raw, count) in sections.items():
            pad = -at % 8
            body += b"\0" * pad + raw
            places[name] = (at + pad, count)
            at += pad + len(raw)
        pad = -at % layout.ALIGNMENT
        body += b"\0" * pad
        places["data"] = (at + pad, self.data_size)
        for array in self.stored:
            raw = array.tobytes()
            body += raw + b"\0" * (-len(raw) % layout.ALIGNMENT)
        header = layout.HEADER.pack(
            magic=list(layout.MAGIC),
            version=layout.VERSION,
            size=layout.HEADER.size + len(body),
            ram_limit=plan.ram_limit,
            inputs=inputs,
            outputs=outputs,
            **places,
        )
        return b"".join((header, body))
