"""The elementwise operators that a program can hold; lowering maps the same names to micro-ops."""

from __future__ import annotations

import onnx_ir as ir

# (domain, operator)
UNARY: tuple[tuple[str, str], ...] = (
    ("", "Neg"),
    ("", "Abs"),
    ("", "Sqrt"),
    ("", "Reciprocal"),
    ("", "Exp"),
    ("", "Log"),
    ("", "Tanh"),
    ("", "Sigmoid"),
    ("", "Erf"),
    ("", "Relu"),
    ("", "LeakyRelu"),
    ("", "HardSwish"),
    ("", "HardSigmoid"),
    ("", "Gelu"),
    ("", "Mish"),
    ("", "Elu"),
    ("", "Selu"),
    ("", "Celu"),
    ("", "Softplus"),
    ("", "Softsign"),
    ("", "Shrink"),
    ("", "ThresholdedRelu"),
    ("", "Floor"),
    ("", "Ceil"),
    ("", "Round"),
    ("", "Sign"),
    ("", "Sin"),
    ("", "Cos"),
    ("", "Swish"),
    ("edgeort", "Silu"),
    ("edgeort", "Gelu"),
    ("edgeort", "GeluTanh"),
    ("edgeort", "HardSwish"),
    ("edgeort", "Mish"),
)
BINARY: tuple[tuple[str, str], ...] = (
    ("", "Add"),
    ("", "Sub"),
    ("", "Mul"),
    ("", "Div"),
    ("", "Pow"),
    ("", "Min"),
    ("", "Max"),
)
# one data input; the others must be constants
WITH_CONSTANTS: tuple[tuple[str, str], ...] = (
    ("", "Clip"),
    ("", "PRelu"),
)
PROGRAM_OPERATORS: frozenset[tuple[str, str]] = frozenset(UNARY + BINARY + WITH_CONSTANTS)


def is_program_operator(node: ir.Node) -> bool:
    """Whether the node's operator is one of PROGRAM_OPERATORS."""
    return (node.domain, node.op_type) in PROGRAM_OPERATORS
