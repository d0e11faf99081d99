"""The budget of a build as the goal of the search for promotions: the verdict of samples that calibrate nothing."""

from __future__ import annotations

from pathlib import Path

from edgeort.progress import Progress
from edgeort.quantize.attempts import Attempt
from edgeort.quantize.samples import Samples
from edgeort.validate import Evaluation, Exam, Limits
from edgeort.validate.artefacts import InOnnxRuntime
from edgeort.validate.evaluation import evaluate


class Judge:
    """Tells the search whether a QDQ model, in ONNX Runtime, keeps the budget on the samples that judge."""

    def __init__(self, path: Path, exam: Exam, samples: Samples, progress: Progress | None) -> None:
        self.reference = InOnnxRuntime(path)
        self.samples, self.question, self.progress = samples, exam.question(samples, self.reference), progress
        self.last: Evaluation | None = None

    @property
    def hint(self) -> str:
        """What to do when the last model tried is not good enough."""
        return ways_out(self.question.limits, self.last)

    def kept(self, attempt: Attempt) -> bool:
        """Whether every limit is kept."""
        model = InOnnxRuntime(attempt.model)
        self.last = evaluate(self.reference, model, self.samples, self.question, self.progress)
        return self.last.is_kept

    def reached(self, attempt: Attempt) -> str:
        """What the last model tried comes to."""
        return "; ".join(judgement.text() for judgement in self.last.judgements) if self.last else ""

    def text(self) -> str:
        """The budget."""
        return self.question.limits.text()


def ways_out(limits: Limits, found: Evaluation | None) -> str:
    """What to do about a budget that is not kept: the cheapest first."""
    looser = limits if found is None else limits.loosened(found.judgements)
    return (
        f"what was reached keeps {looser.text()}; or calibrate (--data) with samples more like those that judge; or "
        "--precision float32"
    )
