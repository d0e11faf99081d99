"""build(): from an ONNX model and a device's profile to a checked bundle."""

from __future__ import annotations

from edgeort.pipeline.accuracy import Accuracy
from edgeort.pipeline.building import build
from edgeort.pipeline.choosing import Candidate, Wish
from edgeort.pipeline.result import BuildResult
from edgeort.pipeline.surveying import survey

__all__ = ["Accuracy", "BuildResult", "Candidate", "Wish", "build", "survey"]
