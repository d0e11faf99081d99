"""From a float model to a quantised one: QuantizeLinear/DequantizeLinear pairs in an ONNX graph.

    result = quantize("model.onnx", "q.onnx", data="calibration/")

prepare -> select what becomes int8, and in which form -> calibrate ranges in one pass over samples -> smooth -> insert
the pairs -> refine weights and biases layer by layer on what the quantised layers before give -> compare with the float
model -> promote layers until a budget is kept.
"""

from __future__ import annotations

from edgeort.quantize.forms import Form
from edgeort.quantize.goals import Budget
from edgeort.quantize.measuring import Difference, compare
from edgeort.quantize.options import Options
from edgeort.quantize.quantizing import quantize
from edgeort.quantize.refinement import Steps
from edgeort.quantize.result import Result

__all__ = ["Budget", "Difference", "Form", "Options", "Result", "Steps", "compare", "quantize"]
