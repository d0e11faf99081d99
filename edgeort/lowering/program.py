"""Chains of elementwise float32 nodes -> programs of micro-operations (runtime/kernels/elementwise).

An epilogue's register 0 is its anchor's tile, and its result must end there; a program that stands alone reads its
operands from registers 0.. and leaves its result in the last register. Constants of one element become immediates.
What a DequantizeLinear makes is read as its integers, and a QuantizeLinear may come last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.context import Lowering, number, text, unsupported
from edgeort.lowering.params import PARAMS
from edgeort.passes.quantised import BYTES, Quantity, dequantized, integers_of, quantity

MAX_OPERANDS = 16
MAX_REGISTERS = 32
_REVERSED = {
    "Sub": "ReverseSub",
    "Div": "ReverseDiv",
    "Pow": "ReversePow",
    "Add": "Add",
    "Mul": "Mul",
    "Min": "Min",
    "Max": "Max",
}
_FLOAT_MAX = float(np.finfo(np.float32).max)  # Clip's own default limits: infinity is clipped

# A micro-operation with its immediates.
Uop = tuple[str, float, float]


def _gelu(node: ir.Node) -> Uop:
    return ("GeluTanh" if text(node, "approximate", "none") == "tanh" else "Gelu", 0.0, 0.0)


# Operators with attributes -> their micro-operation. The others of UNARY are called what ONNX calls them.
_WITH_ATTRIBUTES: dict[str, Callable[[ir.Node], Uop]] = {
    "LeakyRelu": lambda n: ("LeakyRelu", number(n, "alpha", 0.01), 0.0),
    "Elu": lambda n: ("Elu", number(n, "alpha", 1.0), 0.0),
    "Celu": lambda n: ("Celu", number(n, "alpha", 1.0), 0.0),
    "Selu": lambda n: (
        "Selu",
        number(n, "alpha", 1.67326319217681884765625),
        number(n, "gamma", 1.05070102214813232421875),
    ),
    "HardSigmoid": lambda n: ("HardSigmoid", number(n, "alpha", 0.2), number(n, "beta", 0.5)),
    "ThresholdedRelu": lambda n: ("ThresholdedRelu", number(n, "alpha", 1.0), 0.0),
    "Swish": lambda n: (
        ("Silu", 0.0, 0.0) if number(n, "alpha", 1.0) == 1.0 else ("Swish", number(n, "alpha", 1.0), 0.0)
    ),
    "Gelu": _gelu,
    "Shrink": lambda n: ("Shrink", number(n, "lambd", 0.5), number(n, "bias", 0.0)),
}
UNARY = frozenset(
    (
        "Neg", "Abs", "Sqrt", "Reciprocal", "Exp", "Log", "Floor", "Ceil", "Round", "Sign",
        "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh",
        "Relu", "HardSwish", "Sigmoid", "Tanh", "Erf", "Silu", "GeluTanh", "Mish",
        "Softplus", "Softsign", *_WITH_ATTRIBUTES,
    )
)  # fmt: skip
BINARY = frozenset((*_REVERSED, "PRelu"))
_ONE_OPERAND = ("Clip", "QuantizeLinear", "DequantizeLinear")


@dataclass
class Program:
    """A program under construction: instructions, and the values that it reads from memory."""

    ctx: Lowering
    tile: ir.Value | None  # the anchor's output, which register 0 holds; None for a program that stands alone
    operands: list[ir.Value] = field(default_factory=list)
    code: list[tuple[int, int, int, int, float, float]] = field(default_factory=list)
    registers: dict[ir.Value, int] = field(default_factory=dict)
    count: int = 0  # registers in all

    def add(self, nodes: Sequence[ir.Node]) -> Program:
        """Compiles the nodes, in the graph's order; the last one's output is the result."""
        nodes = _with_dequantized(nodes)
        self._collect(nodes)
        first = 1 if self.tile is not None else 0
        self.registers = {value: first + i for i, value in enumerate(self.operands)}
        if self.tile is not None:
            self.registers[self.tile] = 0
        result = 0 if self.tile is not None else first + len(self.operands)
        self._allocate(nodes, result)
        return self

    def _collect(self, nodes: Sequence[ir.Node]) -> None:
        made = {node.outputs[0] for node in nodes} | ({self.tile} if self.tile is not None else set())
        for node in nodes:
            for value in _data_inputs(node):
                if value not in made and value not in self.operands and self._immediate(value) is None:
                    self.operands.append(value)
        if not self.operands and self.tile is None:
            self.operands.append(nodes[0].inputs[0])  # type: ignore[arg-type]
        if len(self.operands) > MAX_OPERANDS:
            raise unsupported(
                nodes[0], f"its elementwise program reads {len(self.operands)} tensors; the limit is {MAX_OPERANDS}"
            )

    def _immediate(self, value: ir.Value) -> float | None:
        array = self.ctx.constant(value)
        return float(array.reshape(())) if array is not None and array.size == 1 and array.ndim <= 1 else None

    def _allocate(self, nodes: Sequence[ir.Node], result: int) -> None:
        """Linear scan: a register is free again after its value's last reader."""
        last = {value: i for i, node in enumerate(nodes) for value in _data_inputs(node)}
        base = (1 if self.tile is not None else 0) + len(self.operands)
        # A lone program's result is the output's memory, which an operand may share: only the last may write it.
        spare = base if self.tile is not None else base + 1
        for value in self.operands:
            if value in self.ctx.averages:
                found = self.ctx.averages[value][1]
                self._emit("Dequantize", spare, self.registers[value], layout.IMMEDIATE, found.scale, found.zero_point)
                self.registers[value], spare = spare, spare + 1
        free: list[int] = []
        for i, node in enumerate(nodes):
            sources = _data_inputs(node)
            released = [self.registers[v] for v in dict.fromkeys(sources) if v in self.registers and last[v] == i]
            free += [r for r in released if r >= base]
            if i == len(nodes) - 1:
                dst = result
            elif self.tile is not None and 0 in released:
                dst = 0
            elif free:
                dst = free.pop()
            else:
                dst, spare = spare, spare + 1
            self._instruction(node, dst)
            self.registers[node.outputs[0]] = dst
        self.count = max(spare, result + 1)
        if self.count > MAX_REGISTERS:
            raise unsupported(nodes[0], "its elementwise program needs too many registers")

    def _instruction(self, node: ir.Node, dst: int) -> None:
        uop, p0, p1 = micro_operation(self.ctx, node)
        sources = _data_inputs(node)
        if len(sources) < 2:
            self._emit(uop, dst, self.registers[sources[0]], layout.IMMEDIATE, p0, p1)
            return
        if len(sources) > 2:
            raise unsupported(node, "has more than two operands")
        a, b = sources
        if a not in self.registers:
            if b not in self.registers or uop not in _REVERSED:
                raise unsupported(node, "has no operand that is a tensor")
            a, b, uop = b, a, _REVERSED[uop]
        if uop == "Pow" and b not in self.registers and self._immediate(b) == 2.0:
            self._emit("Mul", dst, self.registers[a], self.registers[a], 0.0, 0.0)
        elif b in self.registers:
            self._emit(uop, dst, self.registers[a], self.registers[b], p0, p1)
        else:
            self._emit(uop, dst, self.registers[a], layout.IMMEDIATE, self._immediate(b) or 0.0, p1)

    def _emit(self, uop: str, dst: int, a: int, b: int, p0: float, p1: float) -> None:
        self.ctx.plan.uops.add(uop)
        self.code.append((layout.UOPS.index(uop), dst, a, b, p0, p1))

    def tensors(self) -> list[int]:
        """The operands; integers that the program dequantises are of type q8."""
        return [self._tensor(value) for value in self.operands]

    def _tensor(self, value: ir.Value) -> int:
        if value in self.ctx.averages:
            return self.ctx.averages[value][0]
        return self.ctx.q8(value) if value.dtype in BYTES else self.ctx.value(value)

    def header(self, first_operand: int) -> bytes:
        """The packed Program struct; its operands are the node's inputs from `first_operand` on."""
        result = 0 if self.tile is not None else len(self.operands)
        return layout.PROGRAM.pack(
            count=len(self.code),
            operands=len(self.operands),
            first_operand=first_operand,
            registers=self.count,
            result=result,
        )

    def instructions(self) -> bytes:
        """The packed instructions, which lie behind the params struct."""
        return b"".join(
            layout.INSTRUCTION.pack(uop=uop, dst=dst, a=a, b=b, p0=_f32(p0), p1=_f32(p1))
            for uop, dst, a, b, p0, p1 in self.code
        )


def _f32(value: float) -> float:
    return float(np.float32(value))


def _data_inputs(node: ir.Node) -> list[ir.Value]:
    """The operands that are read element by element; Clip's limits, scales and zero points are not."""
    return [v for v in (node.inputs[:1] if node.op_type in _ONE_OPERAND else node.inputs) if v is not None]


def _with_dequantized(nodes: Sequence[ir.Node]) -> list[ir.Node]:
    """The nodes, before each the DequantizeLinears that it is the first to read."""
    all_nodes: dict[ir.Node, None] = {}
    for node in nodes:
        read = [dequantized(value) for value in _data_inputs(node)]
        all_nodes |= dict.fromkeys([*(found for found in read if found is not None), node])
    return list(all_nodes)


def micro_operation(ctx: Lowering, node: ir.Node) -> Uop:
    """The micro-operation of an elementwise node, with its immediates."""
    if node.op_type == "Clip":
        return ("Clip", _limit(ctx, node, 1, "min", -_FLOAT_MAX), _limit(ctx, node, 2, "max", _FLOAT_MAX))
    if (found := quantity(node)) is not None:
        factor = found.scale if node.op_type == "DequantizeLinear" else float(found.factor)
        return (node.op_type.removesuffix("Linear"), factor, found.zero_point)
    if node.op_type in _WITH_ATTRIBUTES and node.domain == "":
        return _WITH_ATTRIBUTES[node.op_type](node)
    if node.op_type in layout.UOPS:
        return (node.op_type, 0.0, 0.0)
    raise unsupported(node, "is not an elementwise operator of the runtime")


def _limit(ctx: Lowering, node: ir.Node, index: int, name: str, default: float) -> float:
    if index < len(node.inputs) and node.inputs[index] is not None:
        array = ctx.constant(node.inputs[index])
        if array is None:
            raise unsupported(node, f"its {name} is not a constant")
        return float(array.reshape(()))
    return number(node, name, default)


def clip_is_constant(ctx: Lowering, node: ir.Node) -> bool:
    """Whether a Clip's limits are known at build time."""
    return all(v is None or ctx.constant(v) is not None for v in node.inputs[1:])


def epilogue(
    ctx: Lowering, tile: ir.Value, nodes: Sequence[ir.Node], first_operand: int
) -> tuple[bytes, bytes, list[int]]:
    """(Program struct, instructions, operand tensors) of the program on an anchor's tile; empty where there is none."""
    if not nodes:
        return layout.PROGRAM.pack(), b"", []
    program = Program(ctx, tile).add(nodes)
    return program.header(first_operand), program.instructions(), program.tensors()


def elementwise(ctx: Lowering, nodes: Sequence[ir.Node]) -> None:
    """Emits a program that stands alone."""
    program = Program(ctx, None).add(nodes)
    params = PARAMS["ElementwiseParams"].pack(program=program.header(0)) + program.instructions()
    ctx.emit("Elementwise", nodes[-1], params, inputs=program.tensors(), outputs=[result(ctx, nodes[-1])])


def result(ctx: Lowering, node: ir.Node) -> int:
    """A new tensor for what a program makes that ends with `node`."""
    out = node.outputs[0]
    return ctx.q8_result(out) if node.op_type == "QuantizeLinear" else ctx.result(out)


def read_integers(ctx: Lowering, node: ir.Node) -> tuple[int, int]:
    """The tensors that a node reads and makes whose result is linear in its input and keeps what all elements share.

    Where its input is dequantised, they are of the integers, and what reads the result dequantises it.
    """
    source, out = dequantized(node.inputs[0]), node.outputs[0]
    found = quantity(source)
    if source is None or found is None:
        return ctx.value(node.inputs[0]), ctx.result(out)
    tensor = ctx.plan.activation(f"{out.name}.integers")
    ctx.averages[out] = tensor, found
    ctx.deferred[out] = lambda: _dequantize(ctx, node, tensor, found)
    return ctx.q8(integers_of(source)), tensor


def _dequantize(ctx: Lowering, node: ir.Node, tensor: int, found: Quantity) -> None:
    ctx.plan.uops.add("Dequantize")
    uop = layout.UOPS.index("Dequantize")
    code = layout.INSTRUCTION.pack(uop=uop, dst=1, b=layout.IMMEDIATE, p0=_f32(found.scale), p1=found.zero_point)
    params = PARAMS["ElementwiseParams"].pack(program=layout.PROGRAM.pack(count=1, operands=1, registers=2, result=1))
    ctx.emit("Elementwise", node, params + code, inputs=[tensor], outputs=[ctx.result(node.outputs[0])])


def add_scaled(ctx: Lowering, node: ir.Node, a: int, b: int, scale: float, result: int) -> None:
    """Emits result = a + scale * b over broadcast tensors, for what an ONNX operator does beside its kernel."""
    mul, add = layout.UOPS.index("Mul"), layout.UOPS.index("Add")
    ctx.plan.uops |= {"Mul", "Add"}
    code = layout.INSTRUCTION.pack(uop=mul, dst=3, a=1, b=layout.IMMEDIATE, p0=_f32(scale))
    code += layout.INSTRUCTION.pack(uop=add, dst=2, a=0, b=3)
    header = layout.PROGRAM.pack(count=2, operands=2, registers=4, result=2)
    params = PARAMS["ElementwiseParams"].pack(program=header) + code
    ctx.emit("Elementwise", node, params, inputs=[a, b], outputs=[result])
