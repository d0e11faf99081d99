"""The node that makes a model's input of a picture: passes/add_picture.py puts it in front of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.lowering.context import Group, Lowering, attribute, unsupported
from edgeort.lowering.layout import DTYPES
from edgeort.lowering.params import PARAMS
from edgeort.passes.add_picture import DOMAIN, NAME

Handler = Callable[[Lowering, ir.Node, Group], None]

_FIELDS = tuple(field for field, *_ in PARAMS["PictureParams"].fields if field != "quantised")


def _picture(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Bytes that something reads as quantised integers are made as such."""
    pixels, table = node.inputs
    levels, result = ctx.constant(table), node.outputs[0]
    if pixels is None or levels is None:
        raise unsupported(node, "its table is not constant")
    quantised = levels.dtype.kind in "iu" and any(_is_dequantise(use.node) for use in result.uses())
    if quantised and levels.dtype == np.uint8:
        levels = (levels.astype(np.int16) - 128).astype(np.int8)  # canonical, as all q8 are
    code = next(code for code, (_, onnx, _) in enumerate(DTYPES) if onnx == ir.DataType.from_numpy(levels.dtype).value)
    tensor = ctx.weights(f"{node.name}.table", levels, code)
    fields: dict[str, Any] = {name: attribute(node, name) for name in _FIELDS}
    params = PARAMS["PictureParams"].pack(quantised=int(quantised), **fields)
    outputs = [ctx.q8_result(result) if quantised else ctx.result(result)]
    ctx.emit("Picture", node, params, inputs=[ctx.value(pixels), tensor], outputs=outputs)


def _is_dequantise(node: ir.Node) -> bool:
    return node.op_type == "DequantizeLinear"


HANDLERS: dict[tuple[str, str], Handler] = {(DOMAIN, NAME): _picture}
