"""What is asked of answers. One file a metric; TASKS is the list: a task's first metric ranks the worst inputs."""

from __future__ import annotations

from edgeort.validate.metrics.accuracy import Accuracy
from edgeort.validate.metrics.agreement import Agreement
from edgeort.validate.metrics.boxes import Boxes
from edgeort.validate.metrics.cosine import Cosine, EmbeddingAgreement
from edgeort.validate.metrics.divergence import Divergence
from edgeort.validate.metrics.metric import Case, Figure, Loss, Metric
from edgeort.validate.metrics.sqnr import Sqnr
from edgeort.validate.metrics.text import Text

TASKS: dict[str, tuple[type[Metric], ...]] = {
    "classification": (Divergence, Agreement, Accuracy, Sqnr),
    "detection": (Boxes, Sqnr),
    "embedding": (EmbeddingAgreement, Sqnr),
    "ocr": (Text, Sqnr),
    "custom": (Sqnr, Cosine, Agreement),
}

__all__ = ["TASKS", "Case", "Figure", "Loss", "Metric"]
