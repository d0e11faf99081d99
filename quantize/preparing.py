"""The float model as the quantiser works on it: cleaned up, batch norms and pads folded, opset 13 or newer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx import version_converter
from onnx_ir.passes.common import LiftConstantsToInitializersPass

from edgeort.errors import ModelError
from edgeort.model import clean, infer_shapes, load
from edgeort.passes import PassContext, run_passes
from edgeort.passes.edit import opset
from edgeort.passes.fold_batchnorm import fold_batchnorm
from edgeort.passes.fold_pad import fold_pad
from edgeort.values import Value

MIN_OPSET = 13  # the first whose QuantizeLinear has an axis, for one scale a channel
WIDE_OPSET = 21  # the first whose QuantizeLinear and DequantizeLinear have 16 bits, 4 bits and blocks
MIN_IR_VERSION = 10  # the first with types of 4 bits
PASSES = (fold_batchnorm, fold_pad)  # those that leave plain ONNX and change what a layer's weights are
# fmt: off
QUANTISED = frozenset({
    "ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul",
    "DynamicQuantMatMul", "DynamicQuantGRU", "DynamicQuantGRUBackwards", "DynamicQuantRNN", "DynamicQuantRNNBackwards",
    "MatMulInteger", "MatMulIntegerToFloat", "QAttention", "QGemm", "QuantizeLinear",
})
# fmt: on


@dataclass(frozen=True)
class Prepared:
    """A float model; `sha256` is that of the file it came from."""

    model: ir.Model
    sha256: str

    @property
    def inputs(self) -> list[Value]:
        """What a sample has to have."""
        return [_value(value) for value in self.model.graph.inputs]

    @property
    def serialized(self) -> bytes:
        """The model as ONNX Runtime reads it. ModelError over 2 GB."""
        return serialize(self.model)


def prepare(path: str | os.PathLike[str], shapes: Mapping[str, Sequence[int | str]] | None = None) -> Prepared:
    """Loads and prepares the model; `shapes` fixes dimensions of inputs. Raises ModelError.

    Weights of files beside it become part of it.
    """
    loaded = raised(ir.external_data.load_to_model(load(path, shapes=shapes)), MIN_OPSET)
    model = clean(loaded)
    run_passes(model, PassContext(), PASSES)
    return Prepared(model, hashlib.sha256(Path(path).read_bytes()).hexdigest())


def already_quantised(path: str | os.PathLike[str]) -> bool:
    """Whether the model holds operators of quantisation already."""
    return is_quantised(load(path))


def is_quantised(model: ir.Model) -> bool:
    """The same of a model that is loaded."""
    nodes = model.graph.all_nodes()
    return any(node.op_type in QUANTISED or node.op_type.startswith("QLinear") for node in nodes)


def serialize(model: ir.Model) -> bytes:
    """The bytes of a model of up to 2 GB. ModelError beyond."""
    try:
        return ir.to_proto(model).SerializeToString()
    except ValueError as error:
        raise ModelError(
            f"the model cannot be written in one piece: {error}", hint="models over 2 GB are too large"
        ) from error


def raised(model: ir.Model, to: int) -> ir.Model:
    """The model in that opset or a newer one, by the ONNX project's converter. Raises ModelError."""
    if opset(model) >= to:
        return model
    try:
        proto = version_converter.convert_version(ir.to_proto(model), to)
        onnx.checker.check_model(proto)
    except Exception as error:  # the converter raises RuntimeError and its own ConvertError
        reason = str(error).strip().split("\n")[0][:200]
        raise ModelError(
            f"opset {opset(model)} cannot be raised to {to}: {reason}",
            hint=f"export it with opset {to} or newer",
        ) from error
    return ir.from_proto(proto)


def newer(model: ir.Model) -> ir.Model:
    """The model in an opset with types of 16 and of 4 bits. Raises ModelError."""
    found = infer_shapes(raised(model, WIDE_OPSET))
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(found)
    found.ir_version = max(found.ir_version, MIN_IR_VERSION)
    return found


def _value(value: ir.Value) -> Value:
    if value.dtype is None:
        raise ModelError(f"input {value.name!r} has no type")
    shape = None if value.shape is None else tuple(d if isinstance(d, int) else d.value for d in value.shape)
    return Value(str(value.name), value.dtype.numpy().name, shape)
