"""LSTM, GRU and RNN.

    LSTM, RNN   MIL's own, one direction or (LSTM) both; gates in the order of ONNX's weights become MIL's
    GRU         MIL's own has one bias for both products, so that it serves linear_before_reset without Rb of the new
                gate; other GRUs are written out step by step where the number of steps is fixed
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var

from edgeort.converters.coreml.emission import Emission, Refused, Results
from edgeort.passes import edit

_STEPS = 128  # of a GRU that is written out
# From ONNX's order of gates to MIL's.
_LSTM_GATES = (0, 2, 1, 3)  # i o f c -> i f o c
_GRU_GATES = (1, 2, 0)  # z r h -> r h z
_PEEPHOLES = (0, 2, 1)  # i o f -> i f o


def lstm(e: Emission, node: ir.Node) -> Results:
    """LSTM -> Y [steps, directions, batch, hidden], Y_h and Y_c [directions, batch, hidden]."""
    _check(e, node, ["Sigmoid", "Tanh", "Tanh"])
    x = e.input(node)
    directions = _weights(e, node, _LSTM_GATES, 7)
    hidden = directions[0]["weight_hh"].shape[1]
    given = dict(directions[0])
    if len(directions) == 2:
        given |= {f"{key}_back": array for key, array in directions[1].items()}
    direction = edit.text(node, "direction", "forward")
    y, h, c = mb.lstm(
        x=_turned(x, direction),
        initial_h=_initial(e, node, 5, x, hidden, len(directions)),
        initial_c=_initial(e, node, 6, x, hidden, len(directions)),
        direction="bidirectional" if direction == "bidirectional" else "forward",
        output_sequence=True,
        recurrent_activation="sigmoid",
        cell_activation="tanh",
        activation="tanh",
        **given,
    )
    y = _turned(y, direction)
    return [_sequence(y, hidden, len(directions)), *(_state(part, hidden, len(directions)) for part in (h, c))]


def rnn(e: Emission, node: ir.Node) -> Results:
    """RNN with tanh or relu, one direction."""
    activation = _check(e, node, None)
    x = e.input(node)
    (given,) = _one_direction(_weights(e, node, (0,), None))
    hidden = given["weight_hh"].shape[1]
    direction = edit.text(node, "direction", "forward")
    y, h = mb.rnn(
        x=_turned(x, direction),
        initial_h=_initial(e, node, 5, x, hidden, 1),
        direction="forward",
        output_sequence=True,
        activation=activation,
        **given,
    )
    return [_sequence(_turned(y, direction), hidden, 1), _state(h, hidden, 1)]


def gru(e: Emission, node: ir.Node) -> Results:
    """GRU, one direction or both, of which each is its own."""
    _check(e, node, ["Sigmoid", "Tanh"])
    x = e.input(node)
    w, r = (e.constant(node, index, "its weights") for index in (1, 2))
    hidden, count = r.shape[2], w.shape[0]
    b = np.zeros((count, 6 * hidden), np.float32) if edit.operand(node, 3) is None else e.constant(node, 3, "its bias")
    direction = edit.text(node, "direction", "forward")
    linear = edit.integer(node, "linear_before_reset", 0) == 1
    initial = _initial(e, node, 5, x, hidden, count)
    ways = ["forward", "reverse"] if count == 2 else [direction]
    runs = []
    for index, way in enumerate(ways):
        start = mb.slice_by_size(x=initial, begin=[0, index * hidden], size=[-1, hidden]) if count == 2 else initial
        own = linear and not np.any(b[index, 5 * hidden :])
        run = _own_gru if own else _written_out
        runs.append(run(x, start, w[index], r[index], b[index], way, linear))
    if count == 1:
        y, h = runs[0]
    else:
        y = mb.concat(values=[run[0] for run in runs], axis=2)
        h = mb.concat(values=[run[1] for run in runs], axis=1)
    return [_sequence(y, hidden, count), _state(h, hidden, count)]


def _own_gru(
    x: Var, start: Var, w: np.ndarray, r: np.ndarray, b: np.ndarray, way: str, linear: bool
) -> tuple[Var, Var]:
    half = b.size // 2
    y, h = mb.gru(
        x=_turned(x, way),
        initial_h=start,
        weight_ih=_gates(w, _GRU_GATES),
        weight_hh=_gates(r, _GRU_GATES),
        bias=_gates(b[:half] + b[half:], _GRU_GATES),
        direction="forward",
        output_sequence=True,
        recurrent_activation="sigmoid",
        activation="tanh",
    )
    return _turned(y, way), h


def _written_out(
    x: Var, h: Var, w: np.ndarray, r: np.ndarray, b: np.ndarray, way: str, linear: bool
) -> tuple[Var, Var]:
    """z, r = sigmoid(.); new = tanh(W x + b + (r h) R + Rb), or r (h R + Rb); h = (1 - z) new + z h."""
    steps, hidden = x.shape[0], r.shape[1]
    if not isinstance(steps, (int, np.integer)) or steps > _STEPS:
        raise Refused(f"this form is written out step by step, for up to {_STEPS} steps, and it has {steps}")
    wb, rb = b[: 3 * hidden], b[3 * hidden :]
    inputs = mb.linear(x=x, weight=w, bias=wb)
    found: list[Var] = []
    for step in range(int(steps)) if way == "forward" else reversed(range(int(steps))):
        now = mb.squeeze(x=mb.slice_by_size(x=inputs, begin=[step, 0, 0], size=[1, -1, -1]), axes=[0])
        from_x = mb.split(x=now, num_splits=3, axis=1)
        gates = mb.linear(x=h, weight=r[: 2 * hidden], bias=rb[: 2 * hidden])
        from_h = mb.split(x=gates, num_splits=2, axis=1)
        z, reset = (mb.sigmoid(x=mb.add(x=from_x[gate], y=from_h[gate])) for gate in (0, 1))
        new, new_bias = r[2 * hidden :], rb[2 * hidden :]
        if linear:
            inner = mb.mul(x=reset, y=mb.linear(x=h, weight=new, bias=new_bias))
        else:
            inner = mb.linear(x=mb.mul(x=reset, y=h), weight=new, bias=new_bias)
        fresh = mb.tanh(x=mb.add(x=from_x[2], y=inner))
        h = mb.add(x=fresh, y=mb.mul(x=z, y=mb.sub(x=h, y=fresh)))
        found.append(h)
    return mb.stack(values=found if way == "forward" else found[::-1], axis=0), h


def _turned(x: Var, direction: str) -> Var:
    """The steps backwards for a network that runs so: MIL does not say in which order its `reverse` answers."""
    return mb.reverse(x=x, axes=[0]) if direction == "reverse" else x


def _check(e: Emission, node: ir.Node, defaults: list[str] | None) -> str:
    """Refuses what MIL's have not; returns the first activation, in MIL's name."""
    if edit.integer(node, "layout", 0):
        raise Refused("its batch is the first axis (layout = 1)")
    if "clip" in node.attributes:
        raise Refused("it clips")
    if edit.integer(node, "input_forget", 0):
        raise Refused("its input and forget gates are coupled")
    count = 2 if edit.text(node, "direction", "forward") == "bidirectional" else 1
    found = node.attributes.get("activations")
    names = list(found.as_strings()) if found is not None else (defaults or ["Tanh"]) * count
    if names != (defaults or [names[0]]) * count or (defaults is None and names[0] not in ("Tanh", "Relu")):
        raise Refused(f"its activations are {', '.join(names)}")
    lengths = e.known(node, 4)
    steps = e.input(node).shape[0]
    if edit.operand(node, 4) is not None and (lengths is None or np.any(lengths != steps)):
        raise Refused("its sequences have lengths of their own")
    return names[0].lower()


def _weights(
    e: Emission, node: ir.Node, gates: Sequence[int], peepholes: int | None
) -> list[dict[str, np.ndarray]]:
    """MIL's arguments for each direction."""
    w, r = (e.constant(node, index, "its weights") for index in (1, 2))
    b = None if edit.operand(node, 3) is None else e.constant(node, 3, "its bias")
    p = None if peepholes is None or edit.operand(node, peepholes) is None else e.constant(node, peepholes, "they")
    found = []
    for index in range(w.shape[0]):
        given = {"weight_ih": _gates(w[index], gates), "weight_hh": _gates(r[index], gates)}
        if b is not None:
            half = b.shape[1] // 2
            given["bias"] = _gates(b[index, :half] + b[index, half:], gates)
        if p is not None:
            given["peephole"] = _gates(p[index], _PEEPHOLES)
        found.append(given)
    return found


def _one_direction(directions: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    if len(directions) > 1:
        raise Refused("it runs in both directions")
    return directions


def _gates(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """The blocks of the first axis in another order."""
    parts = np.split(array, len(order))
    return np.ascontiguousarray(np.concatenate([parts[index] for index in order]))


def _initial(e: Emission, node: ir.Node, index: int, x: Var, hidden: int, count: int) -> Var:
    """[directions, batch, hidden] -> [batch, directions * hidden]; zeros where it is left out."""
    given = e.optional(node, index)
    if given is not None:
        return mb.reshape(x=mb.transpose(x=given, perm=[1, 0, 2]), shape=[-1, count * hidden])
    batch = x.shape[1]
    if isinstance(batch, (int, np.integer)):
        return mb.const(val=np.zeros((int(batch), count * hidden), np.float32))
    sizes = [mb.slice_by_size(x=mb.shape(x=x), begin=[1], size=[1]), np.array([count * hidden], np.int32)]
    return mb.fill(shape=mb.concat(values=sizes, axis=0), value=np.float32(0))


def _sequence(y: Var, hidden: int, count: int) -> Var:
    """[steps, batch, directions * hidden] -> [steps, directions, batch, hidden]."""
    if count == 1:
        return mb.expand_dims(x=y, axes=[1])
    steps, batch = (int(size) if isinstance(size, (int, np.integer)) else None for size in y.shape[:2])
    if steps is None and batch is None:
        halves = mb.split(x=y, num_splits=2, axis=2)
        return mb.stack(values=halves, axis=1)
    shape = [steps if steps is not None else -1, batch if batch is not None else -1, count, hidden]
    return mb.transpose(x=mb.reshape(x=y, shape=shape), perm=[0, 2, 1, 3])


def _state(h: Var, hidden: int, count: int) -> Var:
    """[batch, directions * hidden] -> [directions, batch, hidden]."""
    if count == 1:
        return mb.expand_dims(x=h, axes=[0])
    return mb.transpose(x=mb.reshape(x=h, shape=[-1, count, hidden]), perm=[1, 0, 2])
