"""The answers to many samples against the float model's: figures, a budget, the worst inputs."""

from __future__ import annotations

import contextlib
import heapq
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from typing import Any, Protocol

import numpy as np

from edgeort.errors import BudgetError, CheckError, DeviceError, InputError
from edgeort.progress import Progress
from edgeort.quantize.parts import Part
from edgeort.quantize.samples import Sample, Samples
from edgeort.validate.artefacts import Answer, Artefact
from edgeort.validate.labels import Label
from edgeort.validate.limits import Judgement, Limits
from edgeort.validate.metrics import TASKS, Case, Figure, Metric
from edgeort.validate.metrics.boxes import convention

BATCH = 16  # samples that are under way at a time
BATCH_BYTES = 64 << 20  # of their inputs
WORST = 5  # inputs that are shown
SHOWN_LOSS = 1e-6  # below, answers are the same but for rounding
STEPS = 10  # of progress
SILENT_S = 10.0  # longer without a line, and one is said in between


@dataclass(frozen=True)
class Question:
    """What is asked. `output` names the one that the task is about, by default the first that holds real numbers.

    `labels` are by sample; `characters` spell the classes of an OCR model; `threshold` is as in Case.
    """

    task: str = "custom"
    limits: Limits = Limits()
    labels: Mapping[str, Label] = field(default_factory=dict)
    output: str | None = None
    characters: Sequence[str] | None = None
    threshold: float = 0.5


@dataclass(frozen=True)
class Worst:
    """A sample whose answer is far from the float model's, by the task's first metric, and what was answered."""

    name: str
    loss: float
    note: str


@dataclass(frozen=True)
class Evaluation:
    """What was found where, on how many samples; `basis` says why this holds for the device."""

    where: str
    task: str
    output: str
    samples: int
    labelled: int
    figures: tuple[Figure, ...]
    judgements: tuple[Judgement, ...]
    worst: tuple[Worst, ...]
    warnings: tuple[str, ...]
    seconds: float
    basis: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether every limit is kept."""
        return all(judgement.is_kept for judgement in self.judgements)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        judgements = [judgement.to_dict() for judgement in self.judgements]
        return {**asdict(self), "judgements": judgements, "is_kept": self.is_kept}


def enforce(found: Evaluation, hint: str | None = None) -> Evaluation:
    """The evaluation. BudgetError says which limits are not kept, and by how much."""
    over = [judgement.text() for judgement in found.judgements if not judgement.is_kept]
    if over:
        raise BudgetError("; ".join(over), hint=hint)
    return found


class Reference(Protocol):
    """What gives the float model's answers."""

    @property
    def joined(self) -> list[Part]:
        """The parts of its outputs."""

    def submit(self, sample: Sample) -> Callable[[], Answer]:
        """As of an artefact."""


def evaluate(
    reference: Reference,
    artefact: Artefact,
    samples: Samples,
    question: Question,
    progress: Progress | None = None,
) -> Evaluation:
    """Compares the answers of both to all samples. Raises InputError for samples, labels or outputs that do not fit."""
    grading = _Grading(question, artefact)
    for case in _cases(reference, artefact, samples, question, progress):
        grading.add(case)
    return grading.evaluation()


def evaluations(
    reference: Reference,
    artefact: Artefact,
    samples: Samples,
    question: Question,
    every: int,
    progress: Progress | None = None,
) -> Iterator[Evaluation]:
    """The same after `every` samples, twice as many, ..., and all; not where a limit has no figure yet."""
    grading, seen = _Grading(question, artefact), 0
    for seen, case in enumerate(_cases(reference, artefact, samples, question, progress), 1):
        grading.add(case)
        if seen % every == 0 and seen != samples.count:
            with contextlib.suppress(InputError):
                yield grading.evaluation()
    yield grading.evaluation()


class _Grading:
    """What the answers come to so far."""

    def __init__(self, question: Question, artefact: Artefact) -> None:
        self.question, self.artefact, self.start = question, artefact, time.perf_counter()
        self.main, self.task, self.count, self.labelled = "", question.task, 0, 0
        self.warnings, self.metrics = list[str](), list[Metric]()
        self.worst: list[tuple[float, int, Worst]] = []

    def add(self, case: Case) -> None:
        """Compares the answers to a sample."""
        if not self.metrics:
            self.main, self.task = case.main, _task(self.question.task, case, self.warnings)
            _check_labels(self.question, case)
            self.metrics = [metric() for metric in TASKS[self.task]]
        losses = [metric.add(case) for metric in self.metrics]
        note = ", ".join(loss.note for loss in losses if loss.note)
        found = Worst(case.name, losses[0].value, note)
        heapq.heappush(self.worst, (found.loss if not math.isnan(found.loss) else math.inf, -self.count, found))
        if len(self.worst) > WORST:
            heapq.heappop(self.worst)
        self.count += 1
        self.labelled += case.label is not None

    def evaluation(self) -> Evaluation:
        """Of all that were added. InputError where there is no figure for a limit."""
        figures = tuple(figure for metric in self.metrics for figure in metric.figures())
        shown = tuple(one for *_, one in sorted(self.worst, reverse=True) if one.loss > SHOWN_LOSS)
        return Evaluation(
            self.artefact.where, self.task, self.main, self.count, self.labelled, figures,
            tuple(self.question.limits.judge(figures)), shown, tuple(self.warnings),
            time.perf_counter() - self.start, self.artefact.basis,
        )  # fmt: skip


def _cases(
    reference: Reference, artefact: Artefact, samples: Samples, question: Question, progress: Progress | None
) -> Iterator[Case]:
    done, step, said_at = 0, max((samples.count or 0) // STEPS, 1), time.monotonic()
    try:
        for batch in _batches(samples.named()):
            answers = [(name, reference.submit(sample), artefact.submit(sample)) for name, sample in batch]
            for name, wanted, given in [(name, wanted(), given) for name, wanted, given in answers]:
                found = given()
                main = _main(wanted, question.output)
                _check_outputs(wanted, found, main, name, question.task)
                label = question.labels.get(name)
                yield Case(name, wanted, found, main, label, question.characters, question.threshold, reference.joined)
                done += 1
                is_slow = time.monotonic() - said_at > SILENT_S
                if progress and (is_slow or done % step == 0 or done == samples.count):
                    said_at = time.monotonic()
                    progress(f"validating on {artefact.where}: {done} of {samples.count or '?'} samples")
    except DeviceError as error:
        of = f" of {samples.count}" if samples.count else ""
        raise DeviceError(f"{error}; {done}{of} samples were judged until then", hint=error.hint) from error


def _batches(samples: Iterator[tuple[str, Sample]]) -> Iterator[Iterator[tuple[str, Sample]]]:
    """`BATCH` samples at a time, fewer where they are large. Each is read when it is asked for."""
    for first in samples:
        size = sum(array.nbytes for array in first[1].values())
        yield chain([first], islice(samples, max(min(BATCH, BATCH_BYTES // max(size, 1)), 1) - 1))


def _check_outputs(want: Answer, found: Answer, main: str, name: str, task: str) -> None:
    for output, array in want.items():
        if output not in found:
            raise InputError(f"the float model's output {output!r} is none of {', '.join(found)}", hint=_OTHER_MODEL)
        fits = array.dtype.kind == found[output].dtype.kind and array.ndim == found[output].ndim
        if not fits or (output == main and task != "detection" and array.shape != found[output].shape):
            now, before = (f"{one.dtype} {list(one.shape)}" for one in (found[output], array))
            raise CheckError(f"{name}: output {output!r} is {now}, and the float model's is {before}")


_OTHER_MODEL = "--model is the float model that the bundle was made from"


def _main(outputs: Answer, wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in outputs:
            raise InputError(f"the model has no output {wanted!r}", hint=f"--output is one of {', '.join(outputs)}")
        return wanted
    floats = [name for name, array in outputs.items() if array.dtype.kind == "f"]
    return (floats or list(outputs))[0]


def _task(task: str, case: Case, warnings: list[str]) -> str:
    if task != "detection" or convention(case.reference, case.main) is not None:
        return task
    shapes = "; ".join(f"{name} {list(array.shape)}" for name, array in case.reference.items())
    warnings.append(f"the outputs ({shapes}) follow no known convention of boxes: compared as numbers (--task custom)")
    return "custom"


def _check_labels(question: Question, case: Case) -> None:
    """A class must be one of the main output's."""
    array: np.ndarray = case.reference[case.main]
    for name, label in question.labels.items():
        if question.task == "classification" and isinstance(label, int) and not 0 <= label < array.size:
            raise InputError(
                f"{name} is labelled {label}, and output {case.main!r} has {array.size} classes: 0 to {array.size - 1}",
                hint="the first class is 0",
            )
