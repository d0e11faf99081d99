"""Is a bundle right? Bit for bit against its golden outputs, and within a tolerance against ONNX Runtime."""

from __future__ import annotations

from edgeort.validate.comparison import LIMIT, Comparison, accept, compare, compare_all
from edgeort.validate.reference import reference_outputs, reference_session
from edgeort.validate.validation import Validation, validate

__all__ = [
    "LIMIT",
    "Comparison",
    "Validation",
    "accept",
    "compare",
    "compare_all",
    "reference_outputs",
    "reference_session",
    "validate",
]
