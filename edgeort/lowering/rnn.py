"""LSTM, GRU and RNN (runtime/kernels/rnn): weights packed into panels, activations as codes.

Weights that are stored in fewer bits stay so where both of a node are. Where a node says that it rounds what they
multiply (model/recurrence.py), and both are int8 with a scale a column, products are of integers (kernels/qrnn).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_ir as ir

from edgeort.lowering import quantised
from edgeort.lowering.compressed import Arrange, is_small, pack, panels
from edgeort.lowering.context import Group, Lowering, attribute, choice, integer, number, unsupported
from edgeort.lowering.dynamic import MOST
from edgeort.lowering.params import PARAMS
from edgeort.lowering.typed import CODES
from edgeort.model.recurrence import is_dynamic
from edgeort.passes.quantised import HIGH, LOW, Constant, dequantized_constant

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


@dataclass(frozen=True)
class _Kernel:
    """The prefix of the kernel's name, RnnParams.packed, and its inputs behind X."""

    prefix: str
    packed: int
    inputs: list[int]


def _kernel(ctx: Lowering, node: ir.Node, weights: Sequence[np.ndarray], cell: _Cell) -> _Kernel:
    """With the inputs of the node, W and R packed, and what these need behind them."""
    others = [-1 if value is None else ctx.value(value) for value in node.inputs[3:]]
    absent = [-1] * (_OTHERS - len(others))
    names = [f"{node.name}.{which}" for which in "WR"]
    arranges = [partial(_matrices, groups=groups) for groups in ((sum(cell.groups),), cell.groups)]
    sources = [dequantized_constant(value) for value in node.inputs[1:3]]
    if is_dynamic(node):
        exact = [_integers(source, arrange) for source, arrange in zip(sources, arranges, strict=True)]
        if all(exact):
            w, r = (_integer_panels(ctx, name, groups) for name, groups in zip(names, exact, strict=True))
            wide = any((q == LOW).any() for groups in exact for q, _ in groups)
            return _Kernel("DynamicQ", 1 + wide, [w[0], r[0], *others, *absent, *w[1:], *r[1:]])
    if all(map(is_small, weights, sources, arranges)):
        small_w, small_r = map(partial(pack, ctx), names, weights, sources, arranges)
        inputs = [small_w.weights, small_r.weights, *others, *absent, *small_w.inputs, *small_r.inputs]
        return _Kernel("Compressed", 1, inputs)
    flat = [
        np.concatenate([panels(part).reshape(-1) for part in arrange(weight)])
        for arrange, weight in zip(arranges, weights, strict=True)
    ]
    packed = [ctx.weights(f"{name}.packed", array) for name, array in zip(names, flat, strict=True)]
    return _Kernel("", 1, [*packed, *others])


def _integers(source: Constant | None, arrange: Arrange) -> list[tuple[np.ndarray, np.ndarray]]:
    """int8 [k, n] and scales [n] of each group; none where a column has several scales or what no int8 holds."""
    if source is None or source.integers.min() < LOW or source.integers.max() > HIGH:
        return []
    integers, scales = arrange(source.integers), arrange(np.broadcast_to(source.scales, source.integers.shape))
    if len(integers[0]) > MOST or any((scale != scale[0]).any() for scale in scales):
        return []
    return [(q.astype(np.int8), scale[0]) for q, scale in zip(integers, scales, strict=True)]


def _integer_panels(ctx: Lowering, name: str, groups: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[int]:
    """Weights, sums of columns and scales, of one group behind the other."""
    arrays = {
        "packed": (np.concatenate([quantised.panels(q[None]) for q, _ in groups]), CODES["i8"]),
        "sums": (np.concatenate([quantised.padded(q.sum(axis=0, dtype=np.int32)) for q, _ in groups]), CODES["i32"]),
        "scale": (np.concatenate([quantised.padded(scale) for _, scale in groups]), CODES["f32"]),
    }
    return [ctx.weights(f"{name}.{what}", array, code) for what, (array, code) in arrays.items()]


def _recurrent(ctx: Lowering, node: ir.Node, group: Group) -> None:
    cell = _CELLS[node.op_type]
    if not ctx.is_f32(node.inputs[0]):
        raise unsupported(node, "has a kernel for float32 alone", "convert its operands to float32 with a Cast")
    direction = choice(node, "direction", _DIRECTIONS, "forward")
    directions = 2 if _DIRECTIONS[direction] == "bidirectional" else 1
    weights, recurrent = ctx.constant(node.inputs[1]), ctx.constant(node.inputs[2])
    if weights is not None and recurrent is not None:  # which the plan then holds in that form alone
        x = ctx.value(node.inputs[0])
        kernel = _kernel(ctx, node, (weights, recurrent), cell)
        inputs = [x, *kernel.inputs]
    else:
        kernel = _Kernel("", 0, [])
        inputs = ctx.values(node)
    params = PARAMS["RnnParams"].pack(
        hidden=recurrent.shape[2] if recurrent is not None else 0,
        inputs=weights.shape[2] if weights is not None else 0,
        directions=directions,
        reverse=int(_DIRECTIONS[direction] == "reverse"),
        layout=integer(node, "layout", 0),
        packed=kernel.packed,
        flag=integer(node, "input_forget", 0) | integer(node, "linear_before_reset", 0),
        clip=number(node, "clip", 0.0),
        **_activations(node, cell, directions),
    )
    ctx.emit(kernel.prefix + node.op_type, node, params, inputs=inputs)


HANDLERS: dict[tuple[str, str], Callable[[Lowering, ir.Node, Group], None]] = {
    ("", name): _recurrent for name in _CELLS
}
