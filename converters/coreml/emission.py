"""What the handlers of operators share: the MIL variables of ONNX values, constants, and how a node is refused.

A handler is a function of an `Emission` and a node that adds MIL operations to the function being built and returns
the variables of the node's outputs. MIL has float32, float16, int32 and bool; ONNX's other integers become int32,
double becomes float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from edgeort.converters.coreml.options import Options
from edgeort.errors import UnsupportedError
from edgeort.passes import edit

RANK_LIMIT = 5  # of Core ML's tensors
_INT32 = np.iinfo(np.int32)
_ENDLESS = 2**62  # and beyond: "to the end" of a slice
_UNBOUNDED = 1e38  # and beyond: "as large as can be", such as the mask of an attention
_HALF_UNBOUNDED = 60000.0  # that in float16, with room for a sum; -inf would make rows that are masked throughout NaN

# ONNX's element types -> MIL's, for values that are no quantised integers.
DTYPES = {
    ir.DataType.FLOAT: types.fp32,
    ir.DataType.DOUBLE: types.fp32,
    ir.DataType.BFLOAT16: types.fp32,
    ir.DataType.FLOAT16: types.fp16,
    ir.DataType.BOOL: types.bool,
    **dict.fromkeys(
        (
            ir.DataType.INT64, ir.DataType.INT32, ir.DataType.INT16, ir.DataType.INT8,
            ir.DataType.UINT64, ir.DataType.UINT32, ir.DataType.UINT16, ir.DataType.UINT8,
        ),
        types.int32,
    ),
}  # fmt: skip


class Note(NamedTuple):
    """What was done to a node that changes its numbers, or that costs time."""

    node: str
    text: str


class Refused(Exception):
    """Core ML cannot take the node at hand; the text is the reason."""


@dataclass
class Emission:
    """The state of one walk through a graph."""

    options: Options
    opset: int
    variables: dict[ir.Value, Var] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def var(self, value: ir.Value | None) -> Var:
        """The variable of a value; constants are added when first read."""
        if value is None:
            raise Refused("an input that it needs is absent")
        if value not in self.variables:
            array = edit.constant(value)
            if array is None:
                raise Refused(f"its input {value.name!r} comes from no node of this graph")
            self.variables[value] = mb.const(val=self.mil_array(array))
        return self.variables[value]

    def input(self, node: ir.Node, index: int = 0) -> Var:
        """The variable of input `index`, which must be there."""
        return self.var(edit.operand(node, index))

    def optional(self, node: ir.Node, index: int) -> Var | None:
        """The variable of input `index`, None where it is left out."""
        value = edit.operand(node, index)
        return None if value is None else self.var(value)

    def known(self, node: ir.Node, index: int) -> np.ndarray | None:
        """The numbers of input `index` where they are known before a run, with the dtype of MIL."""
        value = edit.operand(node, index)
        if value is None:
            return None
        array = edit.constant(value)
        if array is not None:
            return self.mil_array(array)
        found = self.var(value).val
        return None if found is None else np.asarray(found)

    def constant(self, node: ir.Node, index: int, what: str) -> np.ndarray:
        """The same; refuses the node where they are not known. `what` names them, such as "its axes"."""
        array = self.known(node, index)
        if array is None:
            raise Refused(f"{what} are computed by the graph, and Core ML wants them fixed")
        return array

    def mil_array(self, array: np.ndarray) -> np.ndarray:
        """The array in a dtype of MIL. Refused where integers do not fit int32."""
        if array.dtype == np.float16 or array.dtype == np.bool_:
            return array
        if array.dtype.kind in "iu":
            odd = array[(array < _INT32.min) | (array > _INT32.max)]
            if any(abs(int(number)) < _ENDLESS for number in odd.flat):
                raise Refused(f"a constant holds {odd.flat[0]}, and Core ML's integers have 32 bits")
            return np.clip(array, _INT32.min, _INT32.max).astype(np.int32)
        if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
            raise Refused(f"a constant is {array.dtype.name}")
        wide = array.astype(np.float32)
        if self.options.precision == "float16":
            wide = np.where(np.abs(wide) >= _UNBOUNDED, np.copysign(np.float32(_HALF_UNBOUNDED), wide), wide)
        return wide

    def needs(self, release: int, what: str) -> None:
        """Refuses the node where the package must run on systems older than that."""
        if self.options.release < release:
            raise Refused(
                f"{what} needs {self.options.version(release)}, and the profile's min_os is {self.options.min_os}"
            )

    def note(self, node: ir.Node, text: str) -> None:
        """Records a sentence on the node."""
        self.notes.append(Note(node.name or node.op_type, text))


def static_shape(var: Var, what: str = "its shape") -> tuple[int, ...]:
    """The dimensions of a variable as numbers. Refused where one is free."""
    if not all(isinstance(size, (int, np.integer)) for size in var.shape):
        raise Refused(f"{what} is not fixed ({', '.join(map(str, var.shape))})")
    return tuple(int(size) for size in var.shape)


def is_float(var: Var) -> bool:
    """Whether the variable is float32 or float16."""
    return var.dtype in (types.fp32, types.fp16)


def scalar(var: Var, value: float) -> np.ndarray:
    """A number of the variable's dtype."""
    return np.asarray(value, types.nptype_from_builtin(var.dtype))


def cast(var: Var, dtype: type) -> Var:
    """The variable in another MIL type."""
    return var if var.dtype == dtype else mb.cast(x=var, dtype=types.builtin_to_string(dtype))


def positive(axis: int, rank: int) -> int:
    """The axis counted from the front."""
    return axis + rank if axis < 0 else axis


def refusal(node: ir.Node, reason: str, hint: str | None = None) -> UnsupportedError:
    """The error for a node that Core ML cannot take."""
    operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    return UnsupportedError(f"node {node.name!r} ({operator}): {reason}", hint=hint)


Results = Var | Sequence[Var | None]
