"""emit(): program, conversion to a specification, compression of its weights."""

from __future__ import annotations

from typing import Any

import coremltools as ct
import coremltools.optimize as cto
import numpy as np
import onnx_ir as ir

from edgeort.converters.coreml.options import Options
from edgeort.converters.coreml.package import Package, from_mlmodel
from edgeort.converters.coreml.packages import quiet
from edgeort.converters.coreml.program import Built, build, refused
from edgeort.errors import UnsupportedError
from edgeort.ort import first_line

_COMPRESSED_ELEMENTS = 2048  # weights of fewer stay float, as coremltools has it
_THIN = 32  # numbers of an output channel


def emit(model: ir.Model, options: Options) -> Package:
    """See `edgeort.converters.coreml.emit`."""
    options.check()
    with quiet():
        built = build(model, options)
        mlmodel = _compress(_convert(built, options), options)
    mlmodel.author, mlmodel.short_description = options.author, options.description
    inputs = [one.feature for one in built.inputs]
    return from_mlmodel(mlmodel, inputs, built.outputs, built.notes, options.version(options.release))


def refusals(model: ir.Model, options: Options) -> list[tuple[ir.Node, str]]:
    """See `edgeort.converters.coreml.refusals`."""
    with quiet():
        return refused(model, options)


def _convert(built: Built, options: Options) -> Any:
    """Through coremltools' own passes, which fuse, and put casts around what computes in float16."""
    try:
        return ct.convert(
            built.program,
            inputs=[one.type for one in built.inputs],
            convert_to="mlprogram",
            compute_precision=ct.precision[options.precision.upper()],
            minimum_deployment_target=getattr(ct.target, f"iOS{options.release}"),
            skip_model_load=True,
        )
    except Exception as error:  # its passes raise whatever they happen to raise
        raise UnsupportedError(f"coremltools cannot convert the program: {first_line(error)}") from error


def _compress(mlmodel: Any, options: Options) -> Any:
    """coremltools' own compression. What has few numbers a channel, such as depthwise filters, needs a scale each:
    16 values for all of them fit no channel, so that they get int8 in both."""
    if options.weights == "float":
        return mlmodel
    linear = cto.coreml.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=_COMPRESSED_ELEMENTS)
    if options.weights == "int8":
        return cto.coreml.linear_quantize_weights(mlmodel, cto.coreml.OptimizationConfig(global_config=linear))
    found = cto.coreml.get_weights_metadata(mlmodel, weight_threshold=_COMPRESSED_ELEMENTS)
    thin = {name for name, one in found.items() if np.prod(one.val.shape[1:]) < _THIN}
    if thin:
        by_name = cto.coreml.OptimizationConfig(op_name_configs=dict.fromkeys(sorted(thin), linear))
        mlmodel = cto.coreml.linear_quantize_weights(mlmodel, by_name)
    palette = cto.coreml.OpPalettizerConfig(mode="kmeans", nbits=4, weight_threshold=_COMPRESSED_ELEMENTS)
    return cto.coreml.palettize_weights(mlmodel, cto.coreml.OptimizationConfig(global_config=palette))
