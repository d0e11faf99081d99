"""Is a bundle right? Bit for bit against its golden outputs, within a tolerance against ONNX Runtime, or, quantised, as
good as its task needs on data against the float model.
"""

from __future__ import annotations

from edgeort.comparison import LIMIT, Comparison, accept, compare, compare_all
from edgeort.validate.assessment import Exam, assess, noise_of, samples_of, sha256_of
from edgeort.validate.choosing import Where
from edgeort.validate.evaluation import Evaluation, enforce
from edgeort.validate.limits import Limits
from edgeort.validate.reference import reference_outputs, reference_session
from edgeort.validate.validation import Validation, validate

__all__ = [
    "LIMIT",
    "Comparison",
    "Evaluation",
    "Exam",
    "Limits",
    "Validation",
    "Where",
    "accept",
    "assess",
    "compare",
    "compare_all",
    "enforce",
    "noise_of",
    "reference_outputs",
    "reference_session",
    "samples_of",
    "sha256_of",
    "validate",
]
