"""What is asked of answers. One file a metric; TASKS is the list: a task's first metric ranks the worst inputs."""

from __future__ import annotations

from edgeort.validate.metrics.accuracy import Accuracy
from edgeort.validate.metrics.agreement import Agreement
from edgeort.validate.metrics.boxes import Boxes
from edgeort.validate.metrics.correlation import Correlation
from edgeort.validate.metrics.cosine import Cosine, EmbeddingAgreement
from edgeort.validate.metrics.decisions import Decisions
from edgeort.validate.metrics.divergence import Divergence
from edgeort.validate.metrics.error_rate import ErrorRate
from edgeort.validate.metrics.f1 import F1, MultiLabelF1
from edgeort.validate.metrics.mean_precision import MeanPrecision
from edgeort.validate.metrics.metric import Case, Figure, Loss, Metric
from edgeort.validate.metrics.sqnr import Sqnr
from edgeort.validate.metrics.text import Text

TASKS: dict[str, tuple[type[Metric], ...]] = {
    "classification": (Divergence, Agreement, Accuracy, F1, Sqnr),
    "multilabel": (Decisions, MultiLabelF1, Sqnr),
    "detection": (Boxes, MeanPrecision, Sqnr),
    "embedding": (EmbeddingAgreement, Correlation, Sqnr),
    "ocr": (Text, ErrorRate, Sqnr),
    "custom": (Sqnr, Cosine, Agreement),
}

__all__ = ["TASKS", "Case", "Figure", "Loss", "Metric"]
