"""The memory layout of `model.plan`, declared once; the C++ header is generated from it.

A plan is one little-endian memory image: a `Header`, then tables of fixed-size records, then constant data.
Every reference is an offset or an index, so opening a plan is a mapping and one bounds check of each of them.

    python edgeort/lowering/layout.py        # rewrites runtime/core/plan_layout.h

Adding an operator's parameters is one `Struct` in `PARAMS`; adding a micro-operation is one name in `UOPS`.
"""

from __future__ import annotations

import struct as _struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"EDGEORT\x01"
VERSION = 1
ALIGNMENT = 64  # of constant data: a cache line, and the widest vector
MAX_RANK = 8
PANEL = 16  # columns in a panel of packed matrix weights: one cache line of float32, for every ISA level

# Element types, in the order of their codes in a plan. (name, ONNX TensorProto.DataType, bytes)
DTYPES: tuple[tuple[str, int, int], ...] = (
    ("f32", 1, 4),
    ("u8", 2, 1),
    ("i8", 3, 1),
    ("u16", 4, 2),
    ("i16", 5, 2),
    ("i32", 6, 4),
    ("i64", 7, 8),
    ("boolean", 9, 1),
    ("f16", 10, 2),
    ("f64", 11, 8),
    ("u32", 12, 4),
    ("u64", 13, 8),
    ("bf16", 16, 2),
)

_FORMATS = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f"}

Field = tuple[
    str, str, int
]  # name, C type or the name of an earlier Struct (given as packed bytes), number of elements
_STRUCTS: dict[str, Struct] = {}


@dataclass(frozen=True)
class Struct:
    """A C struct without implicit padding: `fields` are (name, type, element count)."""

    name: str
    doc: str
    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        offset = 0
        for name, ctype, count in self.fields:
            size = _STRUCTS[ctype].size if ctype in _STRUCTS else _struct.calcsize(_FORMATS[ctype])
            if offset % min(size, 8):
                raise ValueError(f"{self.name}.{name} at {offset} is not aligned to {size}")
            offset += size * count
        if offset % 8:
            raise ValueError(f"{self.name} has {offset} bytes, not a multiple of 8")
        _STRUCTS[self.name] = self

    @property
    def format(self) -> str:
        """The struct-module format of the whole record."""
        return "<" + "".join(
            f"{_STRUCTS[ctype].size}s" if ctype in _STRUCTS else f"{count}{_FORMATS[ctype]}"
            for _, ctype, count in self.fields
        )

    @property
    def size(self) -> int:
        """Bytes of one record."""
        return _struct.calcsize(self.format)

    def pack(self, **values: int | float | bytes | Sequence[int] | Sequence[float]) -> bytes:
        """The record's bytes. Fields left out are zero, short sequences are padded with zeros."""
        flat: list[int | float | bytes] = []
        for name, ctype, count in self.fields:
            value = values.pop(name, b"" if ctype in _STRUCTS else 0)
            items = list(value) if isinstance(value, Sequence) and not isinstance(value, bytes) else [value]
            if len(items) > count:
                raise ValueError(f"{self.name}.{name} holds {count} elements, not {len(items)}")
            flat += items + [0] * (count - len(items))
        if values:
            raise ValueError(f"{self.name} has no field {', '.join(values)}")
        return _struct.pack(self.format, *flat)

    def unpack(self, data: bytes | memoryview) -> Mapping[str, tuple[int | float, ...]]:
        """Field name -> elements, of one record's bytes."""
        flat = _struct.unpack(self.format, data)
        out, at = {}, 0
        for name, _, count in self.fields:
            out[name] = flat[at : at + count]
            at += count
        return out


HEADER = Struct(
    "Header",
    "The first bytes of a plan. Tables are (offset in bytes, count of records or bytes).",
    (
        ("magic", "u8", 8),
        ("version", "u32", 1),
        ("reserved", "u32", 1),
        ("size", "u64", 1),
        ("tensors", "u64", 2),
        ("nodes", "u64", 2),
        ("ops", "u64", 2),
        ("operands", "u64", 2),
        ("dims", "u64", 2),
        ("strings", "u64", 2),
        ("params", "u64", 2),
        ("data", "u64", 2),
        ("inputs", "u32", 2),  # first operand, count
        ("outputs", "u32", 2),
    ),
)

TENSOR = Struct(
    "TensorRecord",
    "A value of the graph. dims: index of its first entry in the dims table; an entry -(k+1) is free dimension k.",
    (
        ("data", "u64", 1),  # constants: offset within the data section
        ("bytes", "u64", 1),
        ("name", "u32", 1),
        ("dims", "u32", 1),
        ("kind", "u8", 1),
        ("dtype", "u8", 1),
        ("rank", "u8", 1),
        ("reserved", "u8", 5),
    ),
)

NODE = Struct(
    "NodeRecord",
    "One call of a kernel. operands: index of its first input in the operand table, outputs follow; -1: absent.",
    (
        ("params", "u64", 1),
        ("params_bytes", "u32", 1),
        ("name", "u32", 1),
        ("op", "u32", 1),
        ("operands", "u32", 1),
        ("inputs", "u16", 1),
        ("outputs", "u16", 1),
        ("reserved", "u32", 1),
    ),
)

KINDS = ("activation", "input", "constant")

INSTRUCTION = Struct(
    "Instruction",
    "registers[dst] = uop(registers[a], registers[b]), or with the immediate p0 in place of b when b is kImmediate.",
    (
        ("uop", "u8", 1),
        ("dst", "u8", 1),
        ("a", "u8", 1),
        ("b", "u8", 1),
        ("p0", "f32", 1),
        ("p1", "f32", 1),
        ("reserved", "u32", 1),
    ),
)

PROGRAM = Struct(
    "Program",
    "A straight-line program over tiles. Register 0 is the tile itself (an epilogue) or the first operand; operands "
    "follow. `count` Instructions lie directly behind the struct that holds the Program.",
    (
        ("count", "u32", 1),
        ("operands", "u32", 1),  # how many node inputs it reads
        ("first_operand", "u32", 1),  # the first of them among the node's inputs
        ("registers", "u32", 1),
        ("result", "u32", 1),
        ("reserved", "u32", 1),
    ),
)

# Micro-operations of programs, one row each in runtime/kernels/elementwise/uops.inc.
UOPS = (
    "Copy", "Add", "Sub", "ReverseSub", "Mul", "Div", "ReverseDiv", "Min", "Max", "Pow", "ReversePow",
    "Neg", "Abs", "Sqrt", "Reciprocal", "Exp", "Log", "Floor", "Ceil", "Round", "Sign",
    "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh",
    "Relu", "Clip", "LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "HardSigmoid", "HardSwish",
    "Sigmoid", "Tanh", "Erf", "Silu", "Swish", "Gelu", "GeluTanh", "Mish", "Softplus", "Softsign",
    "Shrink",
)  # fmt: skip
IMMEDIATE = 255

PARAMS: tuple[Struct, ...] = (
    Struct(
        "ConvParams",
        "Convolution of 1 to 3 spatial dimensions, padded to three at the front, channels last. "
        "auto_pad: 0 explicit, 1 SAME_UPPER, 2 SAME_LOWER, 3 VALID.",
        (
            ("spatial", "i32", 1),
            ("group", "i32", 1),
            ("kernel", "i32", 3),
            ("stride", "i32", 3),
            ("dilation", "i32", 3),
            ("pad_begin", "i32", 3),
            ("pad_end", "i32", 3),
            ("output_padding", "i32", 3),
            ("output_shape", "i32", 3),
            ("auto_pad", "i32", 1),
            ("channels_in", "i32", 1),
            ("channels_out", "i32", 1),
            ("epilogue", "Program", 1),
        ),
    ),
    Struct(
        "GemmParams",
        "y[m, n] = alpha * a[m, k] * b[k, n] + bias. b is packed in panels when packed is 1 (k and n as given).",
        (
            ("k", "i64", 1),
            ("n", "i64", 1),
            ("packed", "u32", 1),
            ("transpose_a", "u32", 1),
            ("transpose_b", "u32", 1),
            ("alpha", "f32", 1),
            ("epilogue", "Program", 1),
        ),
    ),
    Struct(
        "RnnParams",
        "LSTM, GRU and RNN. packed: weights come as panels, recurrent ones a group of gates at a time. flag: "
        "input_forget or linear_before_reset. activations: three a direction, codes of lowering/rnn.py. clip: 0 for "
        "none.",
        (
            ("hidden", "i64", 1),
            ("inputs", "i64", 1),
            ("directions", "u32", 1),
            ("reverse", "u32", 1),
            ("layout", "u32", 1),
            ("packed", "u32", 1),
            ("flag", "u32", 1),
            ("clip", "f32", 1),
            ("activation", "u32", 6),
            ("alpha", "f32", 6),
            ("beta", "f32", 6),
        ),
    ),
    Struct("ElementwiseParams", "A program over broadcast operands.", (("program", "Program", 1),)),
    Struct(
        "AxisParams",
        "Operators with one axis and one switch.",
        (("axis", "i64", 1), ("flag", "i64", 1), ("value", "f32", 1), ("value2", "f32", 1)),
    ),
    Struct(
        "ListParams",
        "Operators with a list of integers (axes, a permutation, ...).",
        (("count", "i64", 1), ("values", "i64", 8), ("flag", "i64", 1)),
    ),
    Struct(
        "PoolParams",
        "Pooling of 1 to 3 spatial dimensions, padded to three at the front. auto_pad as in ConvParams; "
        "p: the norm of LpPool.",
        (
            ("spatial", "i32", 1),
            ("channels_first", "i32", 1),
            ("kernel", "i32", 3),
            ("stride", "i32", 3),
            ("dilation", "i32", 3),
            ("pad_begin", "i32", 3),
            ("pad_end", "i32", 3),
            ("auto_pad", "i32", 1),
            ("ceil_mode", "i32", 1),
            ("count_include_pad", "i32", 1),
            ("column_major", "i32", 1),
            ("p", "f32", 1),
        ),
    ),
    Struct(
        "LrnParams",
        "y = x / (bias + alpha / size * sum of x^2 over `size` channels) ^ beta.",
        (("size", "i64", 1), ("alpha", "f32", 1), ("beta", "f32", 1), ("bias", "f32", 1), ("channels_first", "u32", 1)),
    ),
    Struct(
        "ResizeParams",
        "Resize; the numbers of the enumerations are those of lowering/resize.py. axes: count -1 is all of them.",
        (
            ("mode", "i32", 1),
            ("transform", "i32", 1),
            ("nearest", "i32", 1),
            ("policy", "i32", 1),
            ("exclude_outside", "i32", 1),
            ("antialias", "i32", 1),
            ("cubic_a", "f32", 1),
            ("extrapolation", "f32", 1),
            ("axes_count", "i64", 1),
            ("axes", "i64", 8),
        ),
    ),
    Struct(
        "RoiAlignParams",
        "RoiAlign, channels first. maximum: of the samples instead of their mean; offset: half a pixel.",
        (
            ("height", "i64", 1),
            ("width", "i64", 1),
            ("samples", "i64", 1),
            ("scale", "f32", 1),
            ("offset", "f32", 1),
            ("maximum", "u32", 1),
            ("reserved", "u32", 1),
        ),
    ),
)

PARAMS_BY_NAME = {record.name: record for record in PARAMS}


def _c_struct(record: Struct) -> str:
    lines = [f"// {record.doc}", f"struct {record.name} {{"]
    lines += [f"  {ctype} {name}{f'[{count}]' if count > 1 else ''};" for name, ctype, count in record.fields]
    return "\n".join([*lines, "};", f"static_assert(sizeof({record.name}) == {record.size});", ""])


def header() -> str:
    """The text of runtime/core/plan_layout.h."""
    magic = ", ".join(str(byte) for byte in MAGIC)
    dtypes = ",\n".join(f"  {name} = {code}" for code, (name, _, _) in enumerate(DTYPES))
    sizes = ", ".join(str(size) for _, _, size in DTYPES)
    types = "\n".join(f"using {name} = {c};" for name, c in _C_TYPES)
    parts = [
        "// Generated by `python edgeort/lowering/layout.py`; edit lowering/layout.py instead.",
        "#pragma once",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        "namespace edgeort {",
        "",
        types,
        "",
        f"static constexpr u8 kMagic[8] = {{{magic}}};",
        f"static constexpr u32 kVersion = {VERSION};",
        f"static constexpr u64 kAlignment = {ALIGNMENT};",
        f"static constexpr int kMaxRank = {MAX_RANK};",
        f"static constexpr i64 kPanel = {PANEL};",
        f"static constexpr u8 kImmediate = {IMMEDIATE};",
        "",
        f"enum class DType : u8 {{\n{dtypes}\n}};",
        f"static constexpr u8 kDTypeSize[] = {{{sizes}}};",
        f"static constexpr u32 kDTypes = {len(DTYPES)};",
        "",
        f"enum class Kind : u8 {{ {', '.join(KINDS)} }};",
        f"enum class Uop : u8 {{\n  {', '.join(UOPS)}\n}};",
        f"static constexpr u32 kUops = {len(UOPS)};",
        "static constexpr const char* kUopNames[] = {" + ", ".join(f'"{name}"' for name in UOPS) + "};",
        "",
        *(_c_struct(record) for record in (HEADER, TENSOR, NODE, INSTRUCTION, PROGRAM, *PARAMS)),
        "}  // namespace edgeort",
        "",
    ]
    return "\n".join(parts)


_C_TYPES = tuple(
    (n, f"{'u' if n[0] == 'u' else ''}int{n[1:]}_t") for n in ("u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64")
) + (
    ("f32", "float"),
    ("f64", "double"),
)

HEADER_PATH = Path(__file__).parent.parent / "runtime" / "core" / "plan_layout.h"

if __name__ == "__main__":
    HEADER_PATH.write_text(header())
