"""SmoothQuant (Xiao et al. 2022): moves the differences between channels from activations into weights.

    x W  =  (x / s) (s W)             s_j = max |x_j|^a / rms(W_j)^(1 - a),    a number for each channel j of x

Eight bits for a row of x / s waste less where the channels are alike, and eight bits for a column of s W more. Both
noises are predicted from rows of samples,

    E[range(x / s)^2] / (12 * 255^2) * sum over j of s_j^2 |W_j|^2   and   sum over n of step_n^2 / 12 * E[|x / s|^2],

and the exponent with the least sum is taken, or none. (The paper has max |W_j|; the noise goes with the root mean
square.) The division is folded into a layer norm that nothing else reads, and is a Mul elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from edgeort.ort import open_session
from edgeort.passes.edit import add_constant, constant, is_op, new_node, operand
from edgeort.quantize.calibration import with_outputs
from edgeort.quantize.forms import Form
from edgeort.quantize.gptq import as_rows
from edgeort.quantize.layers import Layer
from edgeort.quantize.parallel import ordered_map
from edgeort.quantize.parameters import LEVELS, WEIGHT_MAX
from edgeort.quantize.preparing import Prepared, serialize
from edgeort.quantize.selection import Selection
from edgeort.quantize.store import Store

EXPONENTS = (0.35, 0.5, 0.65, 0.8)
SAMPLES, ROWS = 32, 32  # samples, and rows of each, that the noise is predicted from
GAIN = 0.8  # of the noise, at most, that is left: less is not worth a Mul
_WIDEST = 1e3  # factors are in 1 / this .. this


def smooth(prepared: Prepared, selection: Selection, store: Store) -> int:
    """Edits the float model, whose outputs stay the same; returns for how many tensors."""
    readers: dict[ir.Value, list[Layer]] = defaultdict(list)
    for layer in selection.layers:
        if selection.forms[layer.name] is Form.DYNAMIC and not layer.is_tied:
            readers[layer.input].append(layer)
    if not readers or not store.samples:
        return 0
    rows, count = _rows(prepared, list(readers), store), 0
    for value, layers in readers.items():
        found = factors(rows[str(value.name)], [as_rows(layer, layer.weight)[0] for layer in layers])
        if found is not None:
            count += 1
            _apply(prepared.model.graph, value, layers, found)
    return count


def factors(rows: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray | None:
    """s of the least noise for `rows` [rows, k] and `weights` [outputs, k] that multiply them; None: no s is better."""
    x, weight = rows.astype(np.float64), np.concatenate(weights).astype(np.float64)
    largest, size = np.abs(x).max(axis=0), np.sqrt((weight**2).mean(axis=0))
    used = (largest > 0) & (size > 0)
    if not used.any():  # as where a state that is zero is multiplied
        return None
    best, least = None, GAIN * _noise(x, weight, np.ones(x.shape[1]))
    for exponent in EXPONENTS:
        s = np.ones(x.shape[1])
        s[used] = largest[used] ** exponent / size[used] ** (1 - exponent)
        s[used] = np.clip(s[used] / np.exp(np.log(s[used]).mean()), 1 / _WIDEST, _WIDEST)
        noise = _noise(x, weight, s)
        if noise < least:
            best, least = s.astype(np.float32), noise
    return best


def _noise(x: np.ndarray, weight: np.ndarray, s: np.ndarray) -> float:
    divided, multiplied = x / s, weight * s
    spans = np.maximum(divided.max(axis=1), 0) - np.minimum(divided.min(axis=1), 0)
    steps = np.abs(multiplied).max(axis=1) / WEIGHT_MAX
    of_rows = (spans**2).mean() / LEVELS**2 * (multiplied**2).sum()
    return float(of_rows + (steps**2).sum() * (divided**2).sum(axis=1).mean()) / 12


def _rows(prepared: Prepared, values: Sequence[ir.Value], store: Store) -> Mapping[str, np.ndarray]:
    """Evenly spread rows of the tensors, [rows, width], by name."""
    names = [str(value.name) for value in values]
    inputs = [value.name for value in prepared.inputs]
    computed = [name for name in names if name not in inputs]
    session = open_session(with_outputs(serialize(prepared.model), computed), threads=1) if computed else None

    def run(sample: int) -> dict[str, np.ndarray]:
        feeds = {name: store.get(name, sample) for name in inputs}
        found = session.run(computed, feeds) if session is not None else []
        arrays = feeds | dict(zip(computed, found, strict=True))
        flat = {name: arrays[name].reshape(-1, arrays[name].shape[-1]) for name in names}
        return {name: array[:: max(len(array) // ROWS, 1)][:ROWS].copy() for name, array in flat.items()}

    found = list(ordered_map(run, range(min(SAMPLES, store.samples))))
    return {name: np.concatenate([one[name] for one in found]) for name in names}


def _apply(graph: ir.Graph, value: ir.Value, layers: Sequence[Layer], s: np.ndarray) -> None:
    for layer in layers:
        shape = (-1, 1) if layer.weight_axis == 1 else (1, -1)
        scaled = add_constant(graph, layer.weight * s.reshape(shape), f"{layer.name}_weight_smooth")
        layer.node.replace_input_with(1, scaled)
    inverse, producer = (1 / s).astype(np.float32), value.producer()
    if producer is not None and _takes_factors(producer, value, [layer.node for layer in layers]):
        for index in (1, 2):
            old = constant(operand(producer, index))
            if old is not None:
                producer.replace_input_with(index, add_constant(graph, old * inverse, f"{producer.name}_smooth"))
        return
    divided = new_node(
        graph,
        "Mul",
        [value, add_constant(graph, inverse, f"{value.name}_factor")],
        stem=f"{value.name}_smooth",
        like=value,
    )
    if producer is None:
        graph.insert_before(graph[0], divided)
    else:
        graph.insert_after(producer, divided)
    for layer in layers:
        layer.node.replace_input_with(0, divided.outputs[0])


def _takes_factors(node: ir.Node, value: ir.Value, layers: Sequence[ir.Node]) -> bool:
    """Whether it is a layer norm over the last axis, with constant scale and bias, that only the layers read."""
    if not is_op(node, "LayerNormalization") or value.is_graph_output() or len(node.outputs) > 1:
        return False
    operands = [operand(node, index) for index in (1, 2)]
    constants = [constant(each) for each in operands if each is not None]
    return all(c is not None and c.ndim == 1 for c in constants) and all(use.node in layers for use in value.uses())
