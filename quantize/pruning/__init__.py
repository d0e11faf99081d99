"""From a float model to one with fewer channels, without training: plain ONNX that is smaller and runs everywhere.

    result = prune("model.onnx", "pruned.onnx", data="calibration/", options=Options(ratio=0.2))

prepare -> find which channels stand or fall together -> look at what layers read -> order them by what they cost ->
remove as many as asked for or allowed -> fit what is behind, layer by layer -> judge on other samples.
"""

from __future__ import annotations

from edgeort.quantize.pruning.judging import Budget, Score
from edgeort.quantize.pruning.pruning import Line, Options, Result, prune

__all__ = ["Budget", "Line", "Options", "Result", "Score", "prune"]
