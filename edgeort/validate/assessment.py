"""A bundle or a quantised model on many samples, against the float model in ONNX Runtime."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edgeort.bundle import Bundle
from edgeort.compiling import signature
from edgeort.errors import InputError, ModelError
from edgeort.model import load
from edgeort.progress import Progress
from edgeort.quantize.samples import Data, Samples, open_samples
from edgeort.recipes.front import Front
from edgeort.recipes.hearing import Hearing
from edgeort.recipes.picture import Recipe
from edgeort.validate.artefacts import Artefact, InOnnxRuntime, sample_inputs
from edgeort.validate.choosing import ANYWHERE, Where, open_artefact
from edgeort.validate.evaluation import Evaluation, Question, evaluate
from edgeort.validate.labels import READERS, Label
from edgeort.validate.limits import Limits
from edgeort.validate.metrics import TASKS
from edgeort.validate.tensors import TensorNoise, tensor_noise

CHARACTERS = "character"  # metadata in which exports of PaddleOCR's recognisers keep the characters of the classes


@dataclass(frozen=True)
class Exam:
    """What a result is judged by: samples, what they are labelled with, and what they have to reach.

    `task` is a key of TASKS; by default classification where there are labels, else custom. `labels` is a file in the
    task's format (validate/labels), or the labels by the names of samples: `sample 0`, ... of an iterable.
    `characters` is a file with the character of class 1, 2, ... one a line; a sample has the classes whose scores are
    at least `threshold`, where it may have several.
    """

    data: Data
    labels: str | Mapping[str, Label] | None = None
    task: str | None = None
    limits: Limits = Limits()
    output: str | None = None
    characters: Path | None = None
    samples: int | None = None
    threshold: float = 0.5

    def with_budget(self, max_drop: float | None) -> Exam:
        """With the profile's limit of what may be lost, where there are labels and no other limit."""
        if max_drop is None or self.labels is None or self.limits.max_drop is not None:
            return self
        return replace(self, limits=replace(self.limits, max_drop=max_drop))

    def question(self, samples: Samples, reference: InOnnxRuntime) -> Question:
        """The question, with the labels read. Raises InputError."""
        task, labels = self.labelled(samples)
        return Question(task, self.limits, labels, self.output, self._characters(reference), self.threshold)

    def labelled(self, samples: Samples) -> tuple[str, Mapping[str, Label]]:
        """The task, and the labels. InputError for options that do not go together and labels that do not fit."""
        task = self.task or ("classification" if self.labels else "custom")
        if task not in TASKS:
            raise InputError(f"--task {task}: unknown", hint=f"--task is one of {', '.join(TASKS)}")
        if self.labels is None:
            if self.limits.max_drop is not None:
                raise InputError("what is lost is counted on labels, and there are none", hint="add --labels FILE")
            return task, {}
        if task not in READERS:
            raise InputError(f"--task {task} has no use for labels", hint=f"--task {' or '.join(READERS)}")
        if not isinstance(self.labels, str):
            return task, self.labels
        if isinstance(self.data, Iterator):
            raise InputError(
                "a file of labels is matched by names, and what the iterator gives is not known before",
                hint='labels={"sample 0": 3, ...}, or data that can be iterated again',
            )
        return task, READERS[task](self.labels, samples.names(), samples)

    def _characters(self, reference: InOnnxRuntime) -> list[str] | None:
        if self.characters is None:
            own = reference.metadata.get(CHARACTERS)
            return None if own is None else [*own.splitlines(), " "]
        try:
            return self.characters.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.characters} cannot be read: {error}") from error


def assess(
    judged: Bundle | Path,
    model: str | os.PathLike[str],
    exam: Exam,
    *,
    where: Where = ANYWHERE,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Answers of a bundle (on a device) or of an ONNX file (in ONNX Runtime), judged by the float `model`'s.

    The recipe of pictures or of sound is by default the one that the bundle was built with. Raises InputError for data,
    labels and options that do not fit; limits that are not kept are in the result.
    """
    if isinstance(judged, Bundle):
        exam = exam.with_budget(judged.manifest.budgets.get("max_drop"))
    samples, warnings = samples_of(judged, model, exam, recipe)
    built_in = (judged.manifest.hearing or judged.manifest.built_in) if isinstance(judged, Bundle) else None
    asked = samples if built_in is None else samples.as_loaded()
    reference = InOnnxRuntime(model, built_in)
    with _artefact(judged, where, samples.count) as artefact:
        found = evaluate(reference, artefact, asked, exam.question(samples, reference), progress)
    return replace(found, warnings=(*warnings, *found.warnings))


def samples_of(
    judged: Bundle | Path, model: str | os.PathLike[str], exam: Exam, recipe: Recipe | None = None
) -> tuple[Samples, list[str]]:
    """The samples of an exam, as the float model takes them, and what is odd about model and recipe."""
    built: Front | Hearing | None = None
    if isinstance(judged, Bundle):
        inputs, warnings = sample_inputs(judged.manifest), _other_model(judged, Path(model))
        built = judged.manifest.hearing or judged.manifest.front
    else:
        inputs, warnings = list(signature(load(judged))[0]), []
    if recipe is not None and (isinstance(built, Hearing) or (built is not None and built.built_in)):
        what = "sound" if isinstance(built, Hearing) else "pictures"
        raise InputError(f"{judged}: the bundle takes {what}, by the recipe it has", hint="leave out --preprocess")
    samples = open_samples(exam.data, inputs, recipe or built).limited(exam.samples)
    if isinstance(samples.front, Front) and isinstance(built, Front) and samples.front.recipe != built.recipe:
        warnings.append(f"pictures: {samples.front.text()}; the bundle was built with {built.text()}")
    return samples, warnings


def noise_of(
    quantised: Path, model: str | os.PathLike[str], samples: Samples, progress: Progress | None = None
) -> list[TensorNoise]:
    """Where the error of a quantised ONNX file enters."""
    return tensor_noise(Path(model), quantised, samples, progress)


def sha256_of(model: Path) -> str:
    """The digest of a model's file. ModelError where it cannot be read."""
    if model.is_dir():
        raise ModelError(f"{model}: this is a folder, not an ONNX file", hint="pass the path of an .onnx file")
    try:
        return hashlib.sha256(model.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{model}: {error.strerror}", hint="check the path of the model") from error


def _other_model(bundle: Bundle, model: Path) -> list[str]:
    if sha256_of(model) == bundle.manifest.model_sha256:
        return []
    return [f"{model} is not the file that {bundle.path} was built from: its SHA-256 is another"]


@contextmanager
def _artefact(judged: Bundle | Path, where: Where, count: int | None) -> Iterator[Artefact]:
    if isinstance(judged, Bundle):
        with open_artefact(judged, where, count) as artefact:
            yield artefact
    elif where.on is not None:
        raise InputError(f"{judged} is no bundle: it runs in ONNX Runtime, on no device", hint="leave out --on")
    else:
        yield InOnnxRuntime(judged)
