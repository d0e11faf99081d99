"""emit(): program, conversion to a specification, compression of its weights."""

from __future__ import annotations

from typing import Any

import coremltools as ct
import coremltools.optimize as cto
import onnx_ir as ir

from edgeort.converters.coreml.options import Options
from edgeort.converters.coreml.package import Package, from_mlmodel
from edgeort.converters.coreml.packages import quiet
from edgeort.converters.coreml.program import Built, build, refused
from edgeort.errors import UnsupportedError
from edgeort.ort import first_line

_COMPRESSED_ELEMENTS = 2048  # weights of fewer stay float, as coremltools has it


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
    if options.weights == "float":
        return mlmodel
    if options.weights == "int8":
        own = cto.coreml.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=_COMPRESSED_ELEMENTS)
        compress = cto.coreml.linear_quantize_weights
    else:
        own = cto.coreml.OpPalettizerConfig(mode="kmeans", nbits=4, weight_threshold=_COMPRESSED_ELEMENTS)
        compress = cto.coreml.palettize_weights
    return compress(mlmodel, cto.coreml.OptimizationConfig(global_config=own))
