"""From a graph to a MIL program, node by node; or, without one, which nodes are refused and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import coremltools as ct
import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Function, Program, Var, types
from coremltools.converters.mil.mil.passes.defs.preprocess import NameSanitizer
from onnx_ir.passes.common import InlinePass

from edgeort.converters.coreml.emission import Emission, Note, Refused, refusal
from edgeort.converters.coreml.features import Input, inputs, output
from edgeort.converters.coreml.handlers import HANDLERS
from edgeort.converters.coreml.options import Options
from edgeort.converters.coreml.package import Feature
from edgeort.converters.coreml.shape import check_rank, declared
from edgeort.model.dynamic_products import is_known
from edgeort.ort import first_line
from edgeort.passes import PassContext, edit
from edgeort.passes.split_qlinear import split_qlinear

_STAND_IN = "edgeort_stand_in"


@dataclass(frozen=True)
class Built:
    """A program, the types of its inputs, and what describes it."""

    program: Program
    inputs: list[Input]
    outputs: list[Feature]
    notes: list[Note]


def prepare(model: ir.Model) -> ir.Model:
    """A copy without functions but our dynamic products, and with QLinear operators as pairs around float ones."""
    model = model.clone()
    InlinePass(lambda function: not is_known(function))(model)
    split_qlinear(model, PassContext())
    return model


def build(model: ir.Model, options: Options) -> Built:
    """The program of a model that `edgeort.model.clean` made. UnsupportedError names the first node refused."""
    model = prepare(model)
    mb.name_count.clear()  # a counter of the whole process, which names would depend on
    names = NameSanitizer(prefix="_")
    declared_inputs = inputs(model, options, names)
    results, features = [], []
    with _function(declared_inputs, options) as function:
        emission = _begin(model, function, declared_inputs, options)
        for node in model.graph:
            try:
                _emit(emission, node)
            except Refused as reason:
                raise refusal(node, str(reason)) from reason
        for value in model.graph.outputs:
            name = names.sanitize_name(str(value.name), allow_prefix_underscore=False)
            result, feature = output(value, emission.var(value), _apart(name, function))
            results.append(result)
            features.append(feature)
        function.set_outputs(results)
    program = Program()
    program.add_function("main", function)
    return Built(program, declared_inputs, features, emission.notes)


def refused(model: ir.Model, options: Options) -> list[tuple[ir.Node, str]]:
    """Every node that cannot be taken, with the reason: what stands behind one is judged on a value like its result."""
    prepared = prepare(model)
    by_name = {node.name: node for node in model.graph.all_nodes()}
    mb.name_count.clear()
    declared_inputs = inputs(prepared, options, NameSanitizer(prefix="_"))
    found: list[tuple[ir.Node, str]] = []
    unknown: set[ir.Value] = set()
    with _function(declared_inputs, options, stand_in=True) as function:
        emission = _begin(prepared, function, declared_inputs, options)
        for node in prepared.graph:
            if unknown.intersection(value for value in node.inputs if value is not None):
                unknown.update(node.outputs)
                continue
            try:
                _emit(emission, node)
            except Refused as reason:
                found.append((by_name.get(node.name, node), str(reason)))
                unknown.update(value for value in node.outputs if not _stand_in(emission, function, value))
    return found


def _function(declared_inputs: Sequence[Input], options: Options, stand_in: bool = False) -> Function:
    placeholders = {one.feature.feature: one.placeholder() for one in declared_inputs}
    if stand_in:
        placeholders[_STAND_IN] = mb.placeholder(shape=(1,), dtype=types.int32)
    return Function(placeholders, opset_version=getattr(ct.target, f"iOS{options.release}"))


def _begin(model: ir.Model, function: Function, declared_inputs: Sequence[Input], options: Options) -> Emission:
    emission = Emission(options, edit.opset(model))
    for one in declared_inputs:
        emission.variables[one.value] = one.emit(function.inputs[one.feature.feature], options.image)
    return emission


def _emit(emission: Emission, node: ir.Node) -> None:
    """Adds a node's operations. Refused with the reason, also where coremltools itself refuses."""
    handler = HANDLERS.get((node.domain, node.op_type))
    if handler is None:
        raise Refused("no such operator is written for Core ML")
    try:
        results = handler(emission, node)
        made = [results] if isinstance(results, Var) else list(results)
        for value, var in zip(node.outputs, made, strict=False):
            if var is not None:
                check_rank(var.rank)
                emission.variables[value] = var
    except Refused:
        raise
    except Exception as error:  # coremltools raises whatever its checks happen to raise
        raise Refused(f"coremltools refuses it: {first_line(error)}") from error


def _stand_in(emission: Emission, function: Function, value: ir.Value) -> bool:
    """Gives a value that was not made a variable of the declared type and shape; False where they are not declared."""
    dtype, shape = declared(value)
    if dtype is None or shape is None:
        return False
    free = function.inputs[_STAND_IN]
    one: Any = mb.cast(x=free, dtype=types.builtin_to_string(dtype))
    if not shape:
        emission.variables[value] = mb.squeeze(x=one, axes=[0])
        return True
    one = mb.reshape(x=one, shape=[1] * len(shape))
    sizes = [free if size is None else np.array([size], np.int32) for size in shape]
    number = mb.cast(x=one, dtype="int32") if dtype == types.bool else one
    tiled = mb.tile(x=number, reps=mb.concat(values=sizes, axis=0) if len(sizes) > 1 else sizes[0])
    emission.variables[value] = mb.cast(x=tiled, dtype="bool") if dtype == types.bool else tiled
    return True


def _apart(name: str, function: Function) -> str:
    """The name, or another where an input has it: an output that is an input is a copy."""
    return f"{name}_output" if name in function.inputs else name
