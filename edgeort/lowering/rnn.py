"""LSTM, GRU and RNN (runtime/kernels/rnn): weights packed into panels, activations as codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.lowering.compressed import panels
from edgeort.lowering.context import Group, Lowering, attribute, choice, integer, number, unsupported
from edgeort.lowering.params import PARAMS

# Activation functions in the order of their codes (kernels/rnn/rnn.isa.cc): default alpha and beta; None: not used.
ACTIVATIONS: tuple[tuple[str, float | None, float | None], ...] = (
    ("sigmoid", None, None),
    ("tanh", None, None),
    ("relu", None, None),
    ("hardsigmoid", 0.2, 0.5),
    ("leakyrelu", 0.01, None),
    ("thresholdedrelu", 1.0, None),
    ("elu", 1.0, None),
    ("softsign", None, None),
    ("softplus", None, None),
    ("affine", 1.0, 0.0),
    ("scaledtanh", 1.0, 1.0),
)
_CODES = {name: code for code, (name, _, _) in enumerate(ACTIVATIONS)}
_DIRECTIONS = ("forward", "reverse", "bidirectional")
_SLOTS = 3  # activations of a direction in RnnParams


@dataclass(frozen=True)
class _Cell:
    """groups: how many gates each product with the state makes; activations: the defaults of one direction."""

    groups: tuple[int, ...]
    activations: tuple[str, ...]


_CELLS = {
    "LSTM": _Cell((4,), ("Sigmoid", "Tanh", "Tanh")),
    "GRU": _Cell((2, 1), ("Sigmoid", "Tanh")),
    "RNN": _Cell((1,), ("Tanh",)),
}


def _activations(node: ir.Node, cell: _Cell, directions: int) -> dict[str, list[float] | list[int]]:
    """Codes, alphas, betas, three a direction; activation_alpha and _beta list those of the functions that use one."""
    names = [str(name) for name in attribute(node, "activations", cell.activations * directions)]  # type: ignore[attr-defined]
    if len(names) != len(cell.activations) * directions:
        raise unsupported(node, f"has {len(names)} activations, not {len(cell.activations) * directions}")
    given = [list(attribute(node, f"activation_{which}", ())) for which in ("alpha", "beta")]  # type: ignore[call-overload]
    codes, values = [0] * (2 * _SLOTS), [[0.0] * (2 * _SLOTS), [0.0] * (2 * _SLOTS)]
    for index, name in enumerate(names):
        if name.lower() not in _CODES:
            raise unsupported(node, f"has activation {name}; known are {', '.join(_CODES)}")
        slot = index // len(cell.activations) * _SLOTS + index % len(cell.activations)
        codes[slot] = _CODES[name.lower()]
        for which, default in enumerate(ACTIVATIONS[codes[slot]][1:]):
            if default is not None:
                values[which][slot] = float(given[which].pop(0)) if given[which] else default
    return {"activation": codes, "alpha": values[0], "beta": values[1]}


def _packed(weights: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """float32 [directions, gates * hidden, k] -> panels of each direction and group of gates, flat."""
    hidden = weights.shape[1] // sum(groups)
    cuts = np.cumsum(groups)[:-1] * hidden
    parts = [panels(part.T).reshape(-1) for direction in weights for part in np.split(direction, cuts)]
    return np.concatenate(parts)


def _recurrent(ctx: Lowering, node: ir.Node, group: Group) -> None:
    cell = _CELLS[node.op_type]
    if not ctx.is_f32(node.inputs[0]):
        raise unsupported(node, "has a kernel for float32 alone", "convert its operands to float32 with a Cast")
    direction = choice(node, "direction", _DIRECTIONS, "forward")
    directions = 2 if _DIRECTIONS[direction] == "bidirectional" else 1
    weights, recurrent = ctx.constant(node.inputs[1]), ctx.constant(node.inputs[2])
    packed = weights is not None and recurrent is not None
    if weights is not None and recurrent is not None:  # which the plan then holds in that form alone
        x, others = ctx.value(node.inputs[0]), [ctx.value(value) for value in node.inputs[3:]]
        w = ctx.weights(f"{node.name}.W.packed", _packed(weights, (sum(cell.groups),)))
        r = ctx.weights(f"{node.name}.R.packed", _packed(recurrent, cell.groups))
        inputs = [x, w, r, *others]
    else:
        inputs = ctx.values(node)
    params = PARAMS["RnnParams"].pack(
        hidden=recurrent.shape[2] if recurrent is not None else 0,
        inputs=weights.shape[2] if weights is not None else 0,
        directions=directions,
        reverse=int(_DIRECTIONS[direction] == "reverse"),
        layout=integer(node, "layout", 0),
        packed=int(packed),
        flag=integer(node, "input_forget", 0) | integer(node, "linear_before_reset", 0),
        clip=number(node, "clip", 0.0),
        **_activations(node, cell, directions),
    )
    ctx.emit(node.op_type, node, params, inputs=inputs)


HANDLERS: dict[tuple[str, str], Callable[[Lowering, ir.Node, Group], None]] = {
    ("", name): _recurrent for name in _CELLS
}
