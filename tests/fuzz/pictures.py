"""Plans of the picture in front of a model: every method, both layouts, grey, borders, quantised."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import onnx_ir as ir

from edgeort import lowering
from edgeort.lowering.plan import PlanBuilder
from edgeort.passes import PassContext, run_passes
from edgeort.passes.add_picture import add_picture
from edgeort.recipes.front import bind
from edgeort.recipes.picture_steps import parse
from edgeort.values import Value

_PLANES, _LAST, _GRAY = (1, 3, 12, 10), (1, 12, 10, 3), (1, 1, 12, 10)
RECIPES = (
    ("nearest", "from=bgra; resize short=14 nearest; crop; bgr", _PLANES),
    ("bilinear", "letterbox bilinear antialias=no; scale=1/255", _LAST),
    ("bicubic", "resize cover=20x13 bicubic antialias=no; crop fill=9", _PLANES),
    ("area", "from=rgba; resize area; gray", _GRAY),
    ("box", "from=gray; resize share=0.8 box; crop", _LAST),
    ("smooth", "resize bicubic; mean=0.5; std=0.2", _LAST),
)
_QUANTISED = "q = QuantizeLinear (x, s, z) d = DequantizeLinear (q, s, z) y = Neg (d)"


def _model(dims: tuple[int, ...], body: str) -> onnx.ModelProto:
    shape = ",".join(map(str, dims))
    text = f"""<ir_version: 9, opset_import: ["": 17]> g (float[{shape}] x) => (float[{shape}] y)
      <float s = {{0.02}}, uint8 z = {{110}}> {{ {body} }}"""
    return onnx.parser.parse_model(text)


def pictures() -> Iterator[tuple[str, PlanBuilder, list[np.ndarray]]]:
    """Names, plans, and a picture for each, of an odd size."""
    rng = np.random.default_rng(0)
    cases = [(*case, "y = Neg (x)") for case in RECIPES]
    cases.append(("quantised", "imagenet", _PLANES, _QUANTISED))
    for name, text, dims, body in cases:
        graph = ir.from_proto(_model(dims, body))
        front = bind(parse(text), [Value("x", "float32", dims)], built_in=True)
        run_passes(graph, PassContext())
        add_picture(graph, front, channels_last=front.form.channels_last)
        yield (
            f"picture_{name}",
            lowering.lower(graph),
            [rng.integers(0, 256, (25, 31, front.recipe.channels), np.uint8)],
        )
