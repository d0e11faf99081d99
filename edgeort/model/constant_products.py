"""Computes at build time what products, normalisations and functions make of constants alone.

    LayerNormalization(e, g, b) -> MatMul(., w) -> Add(., c) -> Transpose      a constant, read as the model runs

The relative positions of DeBERTa are such: one table, times the weights of every layer. onnxscript's folder stops at
results of this size, and at LayerNormalization. A result is stored where that takes work off a run, and as long as all
of them add no more than `GROWTH` to the weights; numbers that are only moved or repeated are left to the run.

Floats are computed in float64 and rounded once: nearer to the real numbers than either engine, and hardly ever
dependent on the order in which this machine's NumPy adds.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Container, Iterable, Sequence

import numpy as np
import onnx_ir as ir

from edgeort.model.counting import fixed, multiplies, multiply_adds

log = logging.getLogger(__name__)

GROWTH = 0.25  # of the model's weights, in bytes
WORTH = 8  # operations for each element of a result, from which on it is read sooner than computed
WORK_LIMIT = 2**37  # multiply-adds, which are seconds
ELEMENTS_LIMIT = 2**25  # of anything on the way
_SOFTMAX_OF_ONE_AXIS = 13  # the first opset

# fmt: off
# Operators of whose results inference knows the size, with the operations that an element of them takes.
_COSTS = {
    **dict.fromkeys(("Cast", "Concat", "Flatten", "Gather", "Reshape", "Slice", "Squeeze", "Transpose",
                     "Unsqueeze"), 0),
    **dict.fromkeys(("Abs", "Add", "Clip", "Div", "Max", "Min", "Mul", "Neg", "Relu", "Sub", "Where"), 1),
    **dict.fromkeys(("Cos", "Erf", "Exp", "LayerNormalization", "Log", "Pow", "Sigmoid", "Sin", "Softmax", "Sqrt",
                     "Tanh"), 16),
    "Gemm": 0, "MatMul": 0,  # and their multiply-adds
}
# fmt: on
_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16})  # computed as DOUBLE
_REALS = _FLOATS | {ir.DataType.DOUBLE}
_DTYPES = _REALS | {ir.DataType.INT64, ir.DataType.INT32, ir.DataType.BOOL}


def fold_products(model: ir.Model) -> ir.passes.PassResult:
    """Replaces what is worth storing by initializers; the nodes behind them stay, unused, for the caller to remove.

    Looks at the main graph alone: bodies of control flow read the results, but what they compute themselves stays.
    """
    work = _constant_work(model.graph, model.opset_imports[""])
    wanted = [value for value in work if _is_worth_storing(value, work)]
    wanted.sort(key=lambda value: work[value] / _elements(value), reverse=True)
    weights = sum(_nbytes(value) for value in model.graph.initializers.values())
    while wanted and _added(wanted, work, model.graph) > GROWTH * weights:
        del wanted[-(len(wanted) // 8 + 1) :]
    return ir.passes.PassResult(model, _store(model, wanted, work))


def _constant_work(graph: ir.Graph, opset: int) -> dict[ir.Value, int]:
    """The values that nodes make of constants alone, in the order of the nodes, with the operations behind them.

    Where operands join, the longer way counts: a diamond of them is not counted twice.
    """
    work: dict[ir.Value, int] = {}
    for node in graph:
        operands = [value for value in node.inputs if value is not None]
        if (
            operands
            and node.domain == ""
            and node.op_type in _COSTS
            and not _differs_here(node, work, opset)
            and all(value in work or ir.convenience.get_const_tensor(value) is not None for value in operands)
            and all(_is_computable(value) for value in (*operands, *node.outputs))
        ):
            before = max(work.get(value, 0) for value in operands)
            work.update((value, before + _operations(node)) for value in node.outputs)
    return work


def _differs_here(node: ir.Node, work: Container[ir.Value], opset: int) -> bool:
    """Whether what is computed here may be something else: integers of floats that were rounded in another way, and
    Softmax of several axes as of one, which ONNX's evaluator does not know. NumPy is slow at products of integers."""
    operand, result = node.inputs[0], node.outputs[0]
    if node.op_type == "Cast":
        return operand is not None and operand in work and operand.dtype in _REALS and result.dtype not in _REALS
    if node.op_type == "Softmax" and opset < _SOFTMAX_OF_ONE_AXIS:
        rank = -1 if operand is None or operand.shape is None else len(operand.shape)
        return node.attributes.get_int("axis", 1) not in (-1, rank - 1)
    return multiplies(node) and result.dtype not in _REALS


def _is_computable(value: ir.Value) -> bool:
    return value.dtype in _DTYPES and fixed(value) is not None and _elements(value) <= ELEMENTS_LIMIT


def _operations(node: ir.Node) -> int:
    """What a run of the node takes: multiply-adds, and so many for each element of its results."""
    own = multiply_adds(node) or 0 if multiplies(node) else 0
    return own + _COSTS[node.op_type] * sum(_elements(value) for value in node.outputs)


def _is_worth_storing(value: ir.Value, work: dict[ir.Value, int]) -> bool:
    """Whether something that runs reads it, and would rather read it than wait for it."""
    read = any(not user.outputs or user.outputs[0] not in work for user, _ in value.uses())
    return read and not value.is_graph_output() and work[value] >= WORTH * _elements(value) > 0


def _added(wanted: Sequence[ir.Value], work: dict[ir.Value, int], graph: ir.Graph) -> int:
    """Bytes that storing these adds to the weights, without those that nothing reads any more."""
    stored, gone = set(wanted), set[ir.Node]()
    for value in reversed(work):
        node = value.producer()
        assert node is not None
        if all(o in stored or (not o.is_graph_output() and _users(o) <= gone) for o in node.outputs):
            gone.add(node)
    freed = sum(_nbytes(value) for value in graph.initializers.values() if _users(value) and _users(value) <= gone)
    return sum(_nbytes(value) for value in wanted) - freed


def _users(value: ir.Value) -> set[ir.Node]:
    return {user for user, _ in value.uses()}


def _store(model: ir.Model, wanted: Sequence[ir.Value], work: Iterable[ir.Value]) -> bool:
    """Computes these values and puts them into the graph; whether there were any. One that fails stays as it was."""
    nodes = _behind(wanted, work)
    if not nodes or sum(_operations(node) for node in nodes) > WORK_LIMIT:
        return False
    stored, chosen = 0, set(wanted)
    readers = Counter(value for node in nodes for value in node.inputs)
    arrays: dict[ir.Value, np.ndarray] = {}
    for node in nodes:
        try:
            results = _evaluate(node, arrays, model.opset_imports[""])
        except Exception as error:  # whatever the operator at hand made NumPy raise, or that one before it failed
            log.info("node %r stays: %s", node.name, str(error).split("\n")[0])
            continue
        arrays.update(zip(node.outputs, results, strict=True))
        for value in [value for value in node.outputs if value in chosen]:
            _replace(value, arrays[value], model.graph)
            stored += 1
        readers.subtract(node.inputs)
        for operand in (*node.inputs, *node.outputs):
            if operand is not None and readers[operand] <= 0:
                arrays.pop(operand, None)
    if stored:
        log.info("computed %d values of constants alone", stored)
    return stored > 0


def _behind(wanted: Sequence[ir.Value], work: Iterable[ir.Value]) -> list[ir.Node]:
    """The nodes that compute these from constants, each after those before it."""
    needed = set(wanted)
    found: dict[ir.Node, None] = {}
    for value in reversed(list(work)):
        node = value.producer()
        if value in needed and node is not None:
            found[node] = None
            needed.update(operand for operand in node.inputs if operand is not None)
    return list(reversed(found))


def _evaluate(node: ir.Node, arrays: dict[ir.Value, np.ndarray], opset: int) -> list[np.ndarray]:
    """The results of a node, floats as float64."""
    from onnx.reference import ReferenceEvaluator  # here, not on top: it is slow to import

    proto = ir.to_proto(node)
    proto.input[:] = [f"i{index}" if value is not None else "" for index, value in enumerate(node.inputs)]
    feeds = {
        name: arrays[value] if value in arrays else _widened(_numbers(value), value)
        for name, value in zip(proto.input, node.inputs, strict=True)
        if value is not None
    }
    with np.errstate(all="ignore"):
        results = ReferenceEvaluator(proto, opsets={"": opset}).run(None, feeds)
    return [_widened(np.asarray(result), value) for result, value in zip(results, node.outputs, strict=True)]


def _numbers(value: ir.Value) -> np.ndarray:
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is None:
        raise ValueError(f"{value.name} could not be computed")
    return tensor.numpy()


def _widened(array: np.ndarray, value: ir.Value) -> np.ndarray:
    """An array of a value's numbers as they are computed here."""
    if array.shape != fixed(value):
        raise ValueError(f"{value.name} has the shape {list(array.shape)}, not {value.shape}")
    return array.astype(np.float64) if value.dtype in _FLOATS else array


def _replace(value: ir.Value, array: np.ndarray, graph: ir.Graph) -> None:
    """Lets what reads a value read an initializer of its numbers, under its name."""
    assert value.dtype is not None
    name, value.name = value.name, f"{value.name}.computed"
    with np.errstate(over="ignore"):
        tensor = ir.tensor(array.astype(value.dtype.numpy()), name=name)
    shape, type_ = ir.Shape(array.shape), ir.TensorType(value.dtype)
    constant = ir.Value(name=name, shape=shape, type=type_, const_value=tensor)
    graph.register_initializer(constant)
    ir.convenience.replace_all_uses_with(value, constant)


def _elements(value: ir.Value) -> int:
    return math.prod(fixed(value) or ())


def _nbytes(value: ir.Value) -> int:
    """Bytes of its numbers, of which inference knows the shape."""
    if value.const_value is not None:
        return value.const_value.nbytes
    assert value.dtype is not None
    return math.ceil(value.dtype.itemsize * _elements(value))
