"""The budget of a build as the goal of the search for promotions: the verdict of samples that calibrate nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edgeort.compiling import plan_of, signature
from edgeort.device_profiles import Profile
from edgeort.progress import Progress
from edgeort.quantize.attempts import Attempt
from edgeort.quantize.comparing import ROOM
from edgeort.quantize.goals import BLOCK, Margin
from edgeort.quantize.parts import Part
from edgeort.quantize.samples import Sample, Samples
from edgeort.quantize.store import Store
from edgeort.session import open_plan
from edgeort.validate import Evaluation, Exam, Limits
from edgeort.validate.artefacts import Answer, Artefact, InOnnxRuntime
from edgeort.validate.evaluation import evaluate, evaluations

MOST_BLOCKS = 32  # after which margins are looked at
_ANSWERS = {"points": 100.0, "": 1.0}  # what an answer weighs, times the samples, by the unit of a figure


class Remembered:
    """The float model's answers to the same samples, pass after pass; `store` keeps them, `room` bytes at most."""

    def __init__(self, reference: InOnnxRuntime, store: Store, room: int = ROOM) -> None:
        self.reference, self.store, self.room = reference, store, room
        self.kept: dict[int, list[str]] = {}
        self.place = 0

    @property
    def joined(self) -> list[Part]:
        """The parts of its outputs."""
        return self.reference.joined

    def restart(self) -> Remembered:
        """The next sample is the first again."""
        self.place = 0
        return self

    def submit(self, sample: Sample) -> Callable[[], Answer]:
        """The answer to the next sample, once it is asked for."""
        place, self.place = self.place, self.place + 1
        if place in self.kept:
            return lambda: {name: self.store.get(name, place) for name in self.kept[place]}
        pending = self.reference.submit(sample)

        def answer() -> Answer:
            found = pending()
            size = sum(array.nbytes for array in found.values())
            if size <= self.room and all(array.dtype.kind in "biufc" for array in found.values()):
                self.room -= size
                for name, array in found.items():
                    self.store.put(name, place, array)
                self.kept[place] = list(found)
            return found

        return answer


class ByPlan:
    """A model as the bundle will have it: lowered for the device, its plan in kernels for this CPU."""

    basis = ""

    def __init__(self, model: bytes, profile: Profile, folder: Path) -> None:
        self.where = f"this machine, as {profile.name}"
        (folder / "tried.onnx").write_bytes(model)
        plan, graph = plan_of(folder / "tried.onnx", profile)
        (folder / "tried.plan").write_bytes(plan.to_bytes())
        self.engine = open_plan(folder / "tried.plan", plan.ops)
        self.inputs, self.outputs = ([value.name for value in values] for values in signature(graph))

    def submit(self, sample: Sample) -> Callable[[], Answer]:
        """When it is waited for: its threads would share the cores with those of the reference."""
        return lambda: dict(zip(self.outputs, self.engine.run([sample[name] for name in self.inputs]), strict=True))


class Judge:
    """Tells the search whether a QDQ model keeps the budget on the samples that judge.

    In ONNX Runtime; where `only` is the profile that the model is for, and no provider but cpu can be taken, in the end
    by its plan, as the bundle: they round alike but not the same. `store` receives the float model's answers.
    """

    def __init__(
        self,
        path: Path,
        exam: Exam,
        samples: Samples,
        store: Store,
        progress: Progress | None,
        only: Profile | None = None,
    ) -> None:
        reference, self.only = InOnnxRuntime(path), only
        self.reference = Remembered(reference, store)
        self.samples, self.question, self.progress = samples, exam.question(samples, reference), progress
        self.last: Evaluation | None = None

    @property
    def hint(self) -> str:
        """What to do when the last model tried is not good enough."""
        return ways_out(self.question.limits, self.last)

    def margins(self, attempt: Attempt, *, finally_: bool) -> Iterator[list[Margin]]:
        """Of every limit: how much of it is left, by how many samples were judged."""
        every = max(BLOCK, (self.samples.count or 0) // MOST_BLOCKS)
        with self._artefact(attempt, finally_=finally_) as model:
            found = evaluations(self.reference.restart(), model, self.samples, self.question, every, self.progress)
            for evaluation in found:
                self.last, count = evaluation, evaluation.samples
                yield [Margin(-one.excess * count, _ANSWERS.get(one.figure.unit, 0.0)) for one in evaluation.judgements]

    @contextmanager
    def _artefact(self, attempt: Attempt, *, finally_: bool) -> Iterator[Artefact]:
        if self.only is None or not finally_:
            yield InOnnxRuntime(attempt.model)
            return
        with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
            made = ByPlan(attempt.model, self.only, Path(folder))
            with closing(made.engine):
                yield made

    def reached(self, attempt: Attempt) -> str:
        """What the model comes to on all samples."""
        with self._artefact(attempt, finally_=True) as model:
            self.last = evaluate(self.reference.restart(), model, self.samples, self.question, self.progress)
        return "; ".join(judgement.text() for judgement in self.last.judgements)

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
