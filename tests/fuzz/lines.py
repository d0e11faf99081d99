"""A plan that joins strings, which no node test of the ONNX project does."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from edgeort import lowering
from edgeort.lowering.plan import PlanBuilder
from edgeort.passes import PassContext, run_passes
from edgeort.recipes.lines import JOIN_BODY

_TEXT = """<ir_version: 9, opset_import: ["": 20, "edgeort.text": 1]>
  g (int64[N, T] entries, bool[N, T] kept) => (string[N] y)
  <string[4] strings = {"a", "", "bc", "two words"}> { y = edgeort.text.JoinStrings (strings, entries, kept) }"""


def joined_model() -> onnx.ModelProto:
    """entries int64 [N, T], kept bool [N, T] -> y string [N]."""
    proto = onnx.parser.parse_model(_TEXT)
    proto.functions.append(onnx.parser.parse_function(JOIN_BODY))
    return proto


def joined() -> tuple[str, PlanBuilder, list[np.ndarray]]:
    """Its name, the plan, and inputs of odd sizes."""
    graph = ir.from_proto(joined_model())
    run_passes(graph, PassContext())
    rng = np.random.default_rng(0)
    return "joined", lowering.lower(graph), [rng.integers(0, 4, (3, 7)), rng.integers(0, 2, (3, 7)).astype(bool)]
