"""The memory layout of `model.plan`, declared once; the C++ header is generated from it (header.py).

A plan is one little-endian memory image: a `Header`, then tables of fixed-size records, then constant data.
Every reference is an offset or an index, so opening a plan is a mapping and one bounds check of each of them.

Adding an operator's parameters is one `Struct` in params.py; adding a micro-operation is one name in `UOPS`.
"""

from __future__ import annotations

from edgeort.lowering.structs import Struct

MAGIC = b"EDGEORT\x01"
VERSION = 5
ALIGNMENT = 64  # of constant data: a cache line, and the widest vector
MAX_RANK = 8
PANEL = 16  # columns in a panel of packed matrix weights: one cache line of float32, for every ISA level

# Element types, in the order of their codes in a plan. (name, ONNX TensorProto.DataType, bytes)
# Types of less than 8 bits lie one element a byte, in its low bits; those of signed integers extend their sign.
# A string is a pointer and a length, a tensor (an element of a sequence) a pointer: core/texts.h, core/items.h.
# q8 is the runtime's own: a quantised activation, canonically signed, that no input or output of a graph has.
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
    ("f8e4m3fn", 17, 1),
    ("f8e4m3fnuz", 18, 1),
    ("f8e5m2", 19, 1),
    ("f8e5m2fnuz", 20, 1),
    ("f8e8m0", 24, 1),
    ("f4e2m1", 23, 1),
    ("i4", 22, 1),
    ("u4", 21, 1),
    ("i2", 26, 1),
    ("u2", 25, 1),
    ("string", 8, 16),
    ("tensor", -2, 8),
    ("q8", -1, 1),
)
Q8 = len(DTYPES) - 1
TENSOR_CODE = Q8 - 1
STRING = Q8 - 2
QUANTISED_PRODUCTS = ("BlockQGemm", "DynamicQGemm", "QConv", "QDepthwiseConv", "QGemm", "QStemConv")
FLOAT_PRODUCTS = (
    *("Conv", "ConvTranspose", "DepthwiseConv", "Gemm", "GroupedConv", "SparseGemm", "StemConv"),
    *("DepthwiseConvTranspose", "WinogradConv", "WinogradStemConv"),
)
COMPRESSED_PRODUCTS = ("CompressedConv", "CompressedGemm")
RECURRENT_PRODUCTS = ("GRU", "LSTM", "RNN")  # with weights of the input, then of the state
COMPRESSED_RECURRENT = tuple(f"Compressed{name}" for name in RECURRENT_PRODUCTS)
QUANTISED_RECURRENT = tuple(f"DynamicQ{name}" for name in RECURRENT_PRODUCTS)
BLOCK_PRODUCTS = ("BlockQGemm", *COMPRESSED_PRODUCTS)  # whose u8 weights are pairs of 4 bits

HEADER = Struct(
    "Header",
    "The first bytes of a plan. Tables are (offset in bytes, count of records or bytes).",
    (
        ("magic", "u8", 8),
        ("version", "u32", 1),
        ("reserved", "u32", 1),
        ("size", "u64", 1),
        ("ram_limit", "u64", 1),  # bytes that activations may take; 0: any
        ("tensors", "u64", 2),
        ("nodes", "u64", 2),
        ("ops", "u64", 2),
        ("operands", "u64", 2),
        ("dims", "u64", 2),
        ("bounds", "u64", 2),  # of the first free dimensions: least and greatest size, i64 each
        ("strings", "u64", 2),
        ("params", "u64", 2),
        ("data", "u64", 2),
        ("inputs", "u32", 2),  # first operand, count
        ("outputs", "u32", 2),
    ),
)

TENSOR = Struct(
    "TensorRecord",
    "A value of the graph. dims: index of its first entry in the dims table; an entry -(k+1) is free dimension k. "
    "sparse: a constant of a mask and the entries that are not zero. Constants of strings: where each ends (u64), then "
    "their bytes.",
    (
        ("data", "u64", 1),  # constants: offset within the data section
        ("bytes", "u64", 1),
        ("name", "u32", 1),
        ("dims", "u32", 1),
        ("kind", "u8", 1),
        ("dtype", "u8", 1),
        ("rank", "u8", 1),
        ("sparse", "u8", 1),
        ("reserved", "u8", 4),
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
    "Add", "Sub", "ReverseSub", "Mul", "Div", "ReverseDiv", "Min", "Max", "Pow", "ReversePow",
    "Neg", "Abs", "Sqrt", "Reciprocal", "Exp", "Log", "Floor", "Ceil", "Round", "Sign",
    "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh",
    "Relu", "Clip", "LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "HardSigmoid", "HardSwish",
    "Sigmoid", "Tanh", "Erf", "Silu", "Swish", "Gelu", "GeluTanh", "Mish", "Softplus", "Softsign",
    "Shrink", "Dequantize", "Quantize",
)  # fmt: skip
IMMEDIATE = 255
