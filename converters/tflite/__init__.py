"""ONNX -> .tflite, for LiteRT (TensorFlow Lite): float32, float16 weights, int8 from QuantizeLinear/DequantizeLinear.

    graph = edgeort.model.clean(edgeort.model.load("model.onnx", shapes=...))
    for node, reason in refusals(graph): ...
    data = write(graph, Options(io_layout="nhwc"))

Nothing but `flatbuffers` is needed to write; `interpreter` runs the file. The same model gives the same bytes.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.converters.tflite.lowering import Lowered, Remark, lower
from edgeort.converters.tflite.running import interpreter
from edgeort.converters.tflite.writer import Options
from edgeort.errors import UnsupportedError

DEFAULT = Options()
_SHOWN = 3  # refusals in a message


def refusals(model: ir.Model, options: Options = DEFAULT) -> list[Remark]:
    """(node, reason) for every node that LiteRT cannot compute; nothing is written. ShapeError as `lower`."""
    return lower(model, options).refusals


def write(model: ir.Model, options: Options = DEFAULT) -> bytes:
    """The .tflite file of a clean model.

    Raises UnsupportedError with the nodes that LiteRT cannot compute, ShapeError where dimensions are free,
    MissingExtraError without `flatbuffers`, OutputError where the file would be larger than its format allows.
    """
    return to_bytes(lower(model, options))


def to_bytes(lowered: Lowered) -> bytes:
    """The file of a graph that `lower` made; raises as `write`."""
    if lowered.refusals:
        lines = [f"node {node.name!r} ({node.op_type}): {reason}" for node, reason in lowered.refusals[:_SHOWN]]
        more = len(lowered.refusals) - _SHOWN
        lines += [f"and {more} more"] if more > 0 else []
        raise UnsupportedError(
            "LiteRT cannot run this model: " + "; ".join(lines),
            hint="build it for the cpu provider, which has these kernels",
        )
    return lowered.graph.to_bytes()


__all__ = ["Lowered", "Options", "Remark", "interpreter", "lower", "refusals", "to_bytes", "write"]
