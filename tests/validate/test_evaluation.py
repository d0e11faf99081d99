"""Evaluation: figures, limits, the worst inputs, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.errors import BudgetError, CheckError, InputError
from edgeort.quantize.samples import Sample, Samples, open_samples
from edgeort.validate import Limits, enforce
from edgeort.validate.artefacts import Answer, InOnnxRuntime
from edgeort.validate.evaluation import Question, evaluate
from edgeort.validate.metrics import Figure
from edgeort.values import Value
from tests.models import mlp

X = np.random.default_rng(0).standard_normal((40, 1, 8)).astype(np.float32)
BAD = 7  # the sample whose answer is turned round


class Turned:
    """The model's answers, but for one sample."""

    where, basis = "a test", ""

    def __init__(self, model: InOnnxRuntime) -> None:
        self.model, self.seen = model, 0

    def changed(self, answer: Answer, is_bad: bool) -> Answer:
        return {"y": -answer["y"] if is_bad else answer["y"] + np.float32(1e-4)}

    def submit(self, sample: Sample) -> Callable[[], Answer]:
        index, self.seen = self.seen, self.seen + 1
        return lambda: self.changed(self.model.answer(sample), index == BAD)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> InOnnxRuntime:
    onnx.save(mlp(), tmp_path_factory.mktemp("m") / "m.onnx")
    return InOnnxRuntime(mlp().SerializeToString())


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    np.save(tmp_path / "x.npy", X)
    return open_samples(tmp_path / "x.npy", [Value("x", "float32", ("N", 8))])


def labels(reference: InOnnxRuntime) -> dict[str, int | str]:
    answers = [reference.answer({"x": x}) for x in X]
    return {f"x.npy[{index}]": int(answer["y"].argmax()) for index, answer in enumerate(answers)}


def test_one_bad_answer_of_forty(reference: InOnnxRuntime, samples: Samples):
    said: list[str] = []
    question = Question("classification", Limits(max_drop=2, min_agreement=0.9), labels(reference))
    found = evaluate(reference, Turned(reference), samples, question, said.append)
    figures = {figure.name: figure for figure in found.figures}
    assert figures["agreement"].value == 39 / 40 and figures["top1_float"].value == 100
    assert figures["drop"].value == pytest.approx(2.5) and figures["drop"].note == "1 lost, 0 won of 40"
    assert (found.samples, found.labelled, found.where) == (40, 40, "a test")
    assert found.worst[0].name == f"x.npy[{BAD}]" and "float" in found.worst[0].note
    assert [judgement.is_kept for judgement in found.judgements] == [False, True] and not found.is_kept
    assert said[-1] == "validating on a test: 40 of 40 samples" and len(said) == 10
    with pytest.raises(BudgetError, match=r"drop is 2.50 points .*: 0.5 over --max-drop 2$"):
        enforce(found)


def test_equal_answers_have_no_worst(reference: InOnnxRuntime, samples: Samples):
    found = evaluate(reference, reference, samples, Question(limits=Limits(min_sqnr_db=300)))
    assert found.worst == () and enforce(found).is_kept


def test_limits_without_figures_are_refused(reference: InOnnxRuntime, samples: Samples):
    with pytest.raises(InputError, match="--max-drop 1") as caught:
        evaluate(reference, reference, samples, Question(limits=Limits(max_drop=1)))
    assert "--labels" in str(caught.value.hint)


def test_outputs_that_do_not_fit(reference: InOnnxRuntime, samples: Samples):
    with pytest.raises(InputError, match="no output 'z'"):
        evaluate(reference, reference, samples, Question(output="z"))

    class Other(Turned):
        def changed(self, answer: Answer, is_bad: bool) -> Answer:
            return {"z": answer["y"]}

    class Shorter(Turned):
        def changed(self, answer: Answer, is_bad: bool) -> Answer:
            return {"y": answer["y"][:, :2]}

    with pytest.raises(InputError, match="output 'y' is none of z"):
        evaluate(reference, Other(reference), samples, Question())
    with pytest.raises(CheckError, match=r"x.npy\[0\]: output 'y' is float32 \[1, 2\], and"):
        evaluate(reference, Shorter(reference), samples, Question())


def test_labels_beyond_the_classes(reference: InOnnxRuntime, samples: Samples):
    with pytest.raises(InputError, match="labelled 5, and output 'y' has 5 classes: 0 to 4"):
        evaluate(reference, reference, samples, Question("classification", labels={"x.npy[3]": 5}))


def test_no_boxes_are_compared_as_numbers(reference: InOnnxRuntime, samples: Samples):
    found = evaluate(reference, reference, samples, Question("detection"))
    assert found.task == "custom" and "no known convention of boxes" in found.warnings[0]


def test_judgements():
    limits = Limits(0.5, 0.99, 25)
    assert limits.text() == "--max-drop 0.5 --min-agreement 0.99 --min-sqnr 25" and limits.is_set
    figures = [
        Figure("drop", 0.4, "points", 0.2),
        Figure("agreement", 0.98),
        Figure("sqnr_db", 20),
        Figure("sqnr_db", 30),
    ]
    found = limits.judge(figures)
    assert [one.is_kept for one in found] == [True, False, False, True]
    assert [round(one.excess, 3) for one in found] == [-0.1, 0.01, 5, -5]
    assert found[0].text() == "drop is 0.40 points +- 0.20: kept --max-drop 0.5"
    assert found[1].text() == "agreement is 0.98: 0.01 under --min-agreement 0.99"
    assert Limits().judge(figures) == [] and not Limits().is_set
    assert limits.loosened(found).text() == "--max-drop 0.5 --min-agreement 0.98 --min-sqnr 20"
    nan = Limits(min_sqnr_db=1).judge([Figure("sqnr_db", float("nan"))])
    assert not nan[0].is_kept
