"""Load an ONNX model into the IR, fix its shapes, clean it up.

    model = clean(load("model.onnx", shapes=dict([parse_shape("x=1x3x224x224")])))

Nothing in a model file is trusted: `load` refuses what is not a sane ONNX graph with a ModelError, so that later
stages may rely on unique names, no cycles, tensors whose data has the declared size, and external data inside
the model's own folder.
"""

from __future__ import annotations

from edgeort.model.cleaning import clean
from edgeort.model.inference import infer_shapes
from edgeort.model.loading import load
from edgeort.model.shapes import bounds, fix_shapes, free_dimensions, parse_shape, parse_shapes
from edgeort.model.writing import must_differ, write

__all__ = [
    "bounds",
    "clean",
    "fix_shapes",
    "free_dimensions",
    "infer_shapes",
    "load",
    "must_differ",
    "parse_shape",
    "parse_shapes",
    "write",
]
