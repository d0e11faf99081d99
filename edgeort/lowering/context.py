"""What every operator's lowering is given: the plan under construction and the values made so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from edgeort.device_profiles.rates import CoreRates
from edgeort.errors import UnsupportedError
from edgeort.lowering import layout
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder, code_of, dtype_code
from edgeort.passes.functions import DOMAIN, NHWC
from edgeort.passes.quantised import Quantity, numbers_of

F32 = 0
NO_KERNEL_HINT = (
    "edgeort inspect MODEL --device NAME lists every such node; export the model without them, "
    "or cut it there with onnx.utils.extract_model"
)


@dataclass(frozen=True)
class Group:
    """Nodes that run as one: an anchor (or none) and the elementwise program after it, in the graph's order.

    `within`: a node between the two that the anchor's kernel does itself.
    """

    name: str
    anchor: ir.Node | None
    program: tuple[ir.Node, ...]
    within: ir.Node | None = None

    @property
    def tile(self) -> ir.Value:
        """The value that the anchor's kernel makes and the program begins with."""
        return (self.within or self.anchor).outputs[0]  # type: ignore[union-attr]

    @property
    def output(self) -> ir.Value:
        """The one value that the group leaves."""
        return self.program[-1].outputs[0] if self.program else self.tile


@dataclass
class Lowering:
    """Turns values of the graph into tensors of the plan.

    A value of 8-bit integers may have a tensor of ONNX's type, one of type q8, or both.
    """

    plan: PlanBuilder = field(default_factory=PlanBuilder)
    tensors: dict[ir.Value, int] = field(default_factory=dict)
    quantised: dict[ir.Value, int] = field(default_factory=dict)  # tensors of type q8
    # Float32 tensors of canonical integers, and how programs that read them make the values.
    averages: dict[ir.Value, tuple[int, Quantity]] = field(default_factory=dict)
    deferred: dict[ir.Value, Callable[[], None]] = field(default_factory=dict)  # made when something first reads them
    opset: int = 17  # of the default domain
    rates: CoreRates | None = None  # that say where int8 pays; None: wherever it is possible
    lower_body: Callable[[ir.Model], PlanBuilder] | None = None  # the plan of a body of control flow

    def value(self, value: ir.Value | None) -> int:
        """The plan's tensor of a value; constants are added when first used. -1 for an absent operand."""
        if value is None:
            return -1
        if value in self.deferred:
            self.deferred.pop(value)()
        if value not in self.tensors and value in self.quantised:
            self._convert(value, self.quantised[value], self.result(value), self.code(value))
        if value not in self.tensors:
            array = self.constant(value)
            if array is None:
                raise UnsupportedError(f"value {value.name!r} is read before it is produced")
            assert value.dtype is not None
            self.tensors[value] = self.weights(
                value.name or "", array, dtype_code(value.dtype.value, f"constant {value.name!r}")
            )
        return self.tensors[value]

    def values(self, node: ir.Node) -> list[int]:
        """The tensors of all inputs of a node."""
        return [self.value(v) for v in node.inputs]

    def q8(self, value: ir.Value) -> int:
        """The tensor of type q8 of a value of 8-bit integers."""
        if value not in self.quantised:
            source = self.value(value)
            self._convert(value, source, self.q8_result(value), layout.Q8)
        return self.quantised[value]

    def q8_result(self, value: ir.Value) -> int:
        """A new tensor of type q8 for a value that the caller's plan node produces."""
        self.quantised[value] = self.plan.activation(value.name or "", layout.Q8)
        return self.quantised[value]

    def _convert(self, value: ir.Value, source: int, result: int, code: int) -> None:
        params = PARAMS["AxisParams"].pack(flag=code)
        self.plan.node("QuantisedBytes", value.name or "", [source], [result], params)

    def constant(self, value: ir.Value | None) -> np.ndarray | None:
        """The data of a constant (not of a graph input with a default), or of one that is widened; else None."""
        if value is None or value.is_graph_input():
            return None
        return numbers_of(value) if value.const_value is None else value.const_value.numpy()

    def weights(self, name: str, array: np.ndarray, dtype: int = F32) -> int:
        """A constant tensor of the plan."""
        if dtype == F32:
            array = array.astype(np.float32, copy=False)
        return self.plan.constant(name, array, dtype)

    def result(self, value: ir.Value) -> int:
        """A new tensor for a value that the caller's plan node produces."""
        self.tensors[value] = self.plan.activation(value.name or "", self.code(value))
        return self.tensors[value]

    def results(self, node: ir.Node) -> list[int]:
        """New tensors for all outputs of a node; -1 for those that nobody reads."""
        return [self.result(v) if v.uses() or v.is_graph_output() else -1 for v in node.outputs]

    def code(self, value: ir.Value) -> int:
        """The plan's code of a value's element type; float32 where shape inference found none."""
        return code_of(value, f"value {value.name!r}")

    def is_f32(self, *values: ir.Value | None) -> bool:
        """Whether all given values are float32 (or of unknown type)."""
        return all(v is None or self.code(v) == F32 for v in values)

    def emit(
        self,
        op: str,
        node: ir.Node,
        params: bytes = b"",
        *,
        inputs: Sequence[int] | None = None,
        outputs: Sequence[int] | None = None,
    ) -> None:
        """One plan node for an ONNX node: its own inputs and outputs unless given."""
        ins = self.values(node) if inputs is None else inputs
        while ins and ins[-1] < 0:
            ins = ins[:-1]
        self.plan.node(op, node.name or op, ins, self.results(node) if outputs is None else outputs, params)


def attribute(node: ir.Node, name: str, default: object = None) -> object:
    """An attribute's value (int, float, str, tuple, ...), or the default."""
    found = node.attributes.get(name)
    return default if found is None or found.value is None else found.value


def integer(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute."""
    return int(attribute(node, name, default))  # type: ignore[call-overload]


def number(node: ir.Node, name: str, default: float) -> float:
    """A float attribute."""
    return float(attribute(node, name, default))  # type: ignore[arg-type]


def integers(node: ir.Node, name: str, default: Sequence[int] | None = None) -> list[int] | None:
    """A list-of-integers attribute."""
    found = attribute(node, name, default)
    return None if found is None else [int(v) for v in found]  # type: ignore[attr-defined]


def text(node: ir.Node, name: str, default: str = "") -> str:
    """A string attribute."""
    return str(attribute(node, name, default))


def choice(node: ir.Node, name: str, names: Sequence[str], default: str) -> int:
    """The place of a string attribute among the values that it may have. UnsupportedError for another one."""
    value = text(node, name, default)
    if value not in names:
        raise unsupported(node, f"its {name} is {value!r}", f"what kernels know is {', '.join(names)}")
    return list(names).index(value)


def unsupported(node: ir.Node, reason: str, hint: str | None = None) -> UnsupportedError:
    """The error for a node that no kernel can run. One of the passes' own domains is named as the model has it."""
    ours = node.domain in (DOMAIN, NHWC)
    operator = node.op_type if ours or not node.domain else f"{node.domain}.{node.op_type}"
    name = (node.name or "").removesuffix("_nhwc") if ours else node.name
    return UnsupportedError(f"node {name!r} ({operator}): {reason}", hint=hint or NO_KERNEL_HINT)
