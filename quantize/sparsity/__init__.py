"""From a float model to one with zeros among its weights, without training: plain ONNX that runs everywhere.

    result = sparsify("model.onnx", "sparse.onnx", data="calibration/", options=Options(Pattern(0.7)))

prepare -> look at what layers read -> choose the weights that matter least -> fit those that stay, layer by layer ->
judge on other samples. edgeort stores weights without their zeros, and skips them where that is faster
(lowering/sparse.py).
"""

from __future__ import annotations

from edgeort.quantize.sparsity.patterns import Pattern, parse_pattern
from edgeort.quantize.sparsity.sparsity import Line, Options, Result, sparsify

__all__ = ["Line", "Options", "Pattern", "Result", "parse_pattern", "sparsify"]
