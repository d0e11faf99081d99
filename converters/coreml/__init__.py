"""Out of ONNX, into Core ML: an ML program, as an .mlpackage that Xcode and Core ML take (iOS 15, macOS 12 and newer).

    model = edgeort.model.clean(edgeort.model.load("model.onnx"))
    for node, reason in coreml.refusals(model, options): ...
    package = coreml.emit(model, coreml.Options(os="ios", min_os="16.0", weights="int8"))
    package.save("model.mlpackage")

An ONNX node becomes operations of Core ML's MIL, an operator family a module; coremltools' passes fuse them and choose
where float16 is. A model with QuantizeLinear/DequantizeLinear pairs becomes int8 weights and activations (W8A8), which
needs iOS 17 or macOS 14. Needs `pip install 'edgeort[coreml]'`, on any system; to run a package takes macOS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeort.converters.coreml.options import Options
from edgeort.converters.coreml.package import Feature, Package, predict
from edgeort.converters.coreml.packages import coremltools

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["Feature", "Options", "Package", "emit", "predict", "refusals"]


def emit(model: ir.Model, options: Options | None = None) -> Package:
    """The package of a model that `edgeort.model.load` and `clean` made; it is left as it was.

    The same model and options give the same bytes with one version of coremltools. Raises UnsupportedError, which names
    the first node that Core ML cannot take, or says what is too new for `min_os`; ShapeError where a free dimension has
    no range; InputError where an image input is asked for and the model takes none; ProfileError; MissingExtraError.
    """
    coremltools()
    from edgeort.converters.coreml import emitting

    return emitting.emit(model, options or Options())


def refusals(model: ir.Model, options: Options | None = None) -> list[tuple[ir.Node, str]]:
    """Every node that Core ML cannot take and why, in the order of the graph; [] where `emit` takes all.

    Nothing is written. Raises ShapeError, InputError, ProfileError and MissingExtraError, as `emit`.
    """
    coremltools()
    from edgeort.converters.coreml import emitting

    return emitting.refusals(model, options or Options())
