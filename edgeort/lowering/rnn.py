"""LSTM, GRU and RNN (runtime/kernels/rnn): weights packed into panels, activations as codes.

Weights that are stored in fewer bits stay so where both of a node are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_ir as ir

from edgeort.lowering.compressed import is_small, pack, panels
from edgeort.lowering.context import Group, Lowering, attribute, choice, integer, number, unsupported
from edgeort.lowering.params import PARAMS
from edgeort.passes.quantised import dequantized_constant

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
_OTHERS = 5  # operands behind the weights: the bias, lengths, both states, the peephole


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


def _matrices(weights: np.ndarray, groups: Sequence[int]) -> list[np.ndarray]:
    """[directions, gates * hidden, k] -> [k, n] of each direction and group of gates."""
    hidden = weights.shape[1] // sum(groups)
    cuts = np.cumsum(groups)[:-1] * hidden
    return [part.T for direction in weights for part in np.split(direction, cuts)]


def _weights(ctx: Lowering, node: ir.Node, weights: Sequence[np.ndarray], cell: _Cell) -> tuple[str, list[int]]:
    """The prefix of the kernel's name, and its inputs: those of the node with W and R packed, then what these need."""
    others = [-1 if value is None else ctx.value(value) for value in node.inputs[3:]]
    names = [f"{node.name}.{which}" for which in "WR"]
    arranges = [partial(_matrices, groups=groups) for groups in ((sum(cell.groups),), cell.groups)]
    sources = [dequantized_constant(value) for value in node.inputs[1:3]]
    if all(map(is_small, weights, sources, arranges)):
        w, r = map(partial(pack, ctx), names, weights, sources, arranges)
        absent = [-1] * (_OTHERS - len(others))
        return "Compressed", [w.weights, r.weights, *others, *absent, *w.inputs, *r.inputs]
    flat = [
        np.concatenate([panels(part).reshape(-1) for part in arrange(weight)])
        for arrange, weight in zip(arranges, weights, strict=True)
    ]
    return "", [*(ctx.weights(f"{name}.packed", array) for name, array in zip(names, flat, strict=True)), *others]


def _recurrent(ctx: Lowering, node: ir.Node, group: Group) -> None:
    cell = _CELLS[node.op_type]
    if not ctx.is_f32(node.inputs[0]):
        raise unsupported(node, "has a kernel for float32 alone", "convert its operands to float32 with a Cast")
    direction = choice(node, "direction", _DIRECTIONS, "forward")
    directions = 2 if _DIRECTIONS[direction] == "bidirectional" else 1
    weights, recurrent = ctx.constant(node.inputs[1]), ctx.constant(node.inputs[2])
    packed = weights is not None and recurrent is not None
    prefix = ""
    if weights is not None and recurrent is not None:  # which the plan then holds in that form alone
        x = ctx.value(node.inputs[0])
        prefix, rest = _weights(ctx, node, (weights, recurrent), cell)
        inputs = [x, *rest]
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
    ctx.emit(prefix + node.op_type, node, params, inputs=inputs)


HANDLERS: dict[tuple[str, str], Callable[[Lowering, ir.Node, Group], None]] = {
    ("", name): _recurrent for name in _CELLS
}
