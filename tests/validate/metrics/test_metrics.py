"""Every metric against numbers worked out by hand or by another formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeort.errors import InputError
from edgeort.quantize.parts import Part
from edgeort.validate.metrics import TASKS, Case, Figure
from edgeort.validate.metrics.accuracy import Accuracy
from edgeort.validate.metrics.agreement import Agreement
from edgeort.validate.metrics.boxes import Boxes, convention, overlap
from edgeort.validate.metrics.cosine import Cosine, EmbeddingAgreement
from edgeort.validate.metrics.divergence import Divergence
from edgeort.validate.metrics.sqnr import Sqnr
from edgeort.validate.metrics.text import Text, decode, edit_distance


def case(reference: object, found: object, label: int | str | None = None, **more: object) -> Case:
    pair = [{"y": np.asarray(array, np.float32)} for array in (reference, found)]
    return Case("sample", pair[0], pair[1], "y", label, **more)  # type: ignore[arg-type]


def figures(metric: object) -> dict[str, Figure]:
    return {figure.name: figure for figure in metric.figures()}  # type: ignore[attr-defined]


def test_every_metric_of_a_task_can_be_made_and_says_which_inputs_are_worse():
    ctc = np.zeros((1, 3, 4))
    ctc[0, :, 1] = 1
    other = np.roll(ctc, 1, axis=2)
    boxes = [[[0, 0, 10, 10, 0.9, 1]]], [[[50, 50, 60, 60, 0.9, 1]]]
    for task, metrics in TASKS.items():
        a, b = {"ocr": (ctc, other), "detection": boxes, "multilabel": ([[0, 1]], [[1, 1]])}.get(
            task, ([[1, 2]], [[2, 1]])
        )
        same, worse = metrics[0]().add(case(a, a)), metrics[0]().add(case(a, b))
        assert same.value <= 1e-12 < worse.value, task


def test_sqnr():
    metric = Sqnr()
    metric.add(case([3.0, 4.0], [3.0, 4.5]))
    metric.add(case([0.0, 0.0], [0.0, 0.5]))
    assert figures(metric)["sqnr_db"].value == pytest.approx(10 * math.log10(25 / 0.5))
    assert Sqnr().add(case([10.0], [9.0])).value == pytest.approx(0.01)


def test_sqnr_of_what_is_not_finite():
    same, broken = Sqnr(), Sqnr()
    same.add(case([np.nan, np.inf, 1.0], [np.nan, np.inf, 1.0]))
    broken.add(case([1.0, 1.0], [1.0, np.nan]))
    assert figures(same)["sqnr_db"].value == math.inf and figures(broken)["sqnr_db"].value == -math.inf


def test_sqnr_leaves_out_what_changes_its_shape():
    metric = Sqnr()
    metric.add(case([1.0, 2.0], [1.0]))
    metric.add(case([1.0], [1.0]))
    assert metric.figures() == []


def test_sqnr_of_boxes_and_of_scores_in_one_output():
    boxes, scores = np.full((1, 4, 5), 200.0), np.full((1, 2, 5), 0.5)
    joined = (Part("y", 1, 0, 4), Part("y", 1, 4, 6))
    found = {}
    for size in (1.0, 300.0):
        metric, reference = Sqnr(), np.concatenate([boxes * size / 300, scores], axis=1)
        wrong = np.concatenate([boxes * size / 300, scores * 1.1], axis=1)
        metric.add(Case("a", {"y": reference}, {"y": wrong}, "y", joined=joined))
        found[size] = {figure.note: figure.value for figure in metric.figures()}
    assert list(found[1.0]) == ["output y"], "what is alike is one"
    assert found[300.0] == {"output y[:, 0:4]": math.inf, "output y[:, 4:6]": pytest.approx(20)}


def test_agreement_counts_rows_or_whole_numbers():
    metric = Agreement()
    assert metric.add(case([[1, 2], [3, 1]], [[1, 3], [0, 1]])).value == 0.5
    assert figures(metric)["agreement"].value == 0.5
    integers = Case("s", {"y": np.array([1, 2, 3])}, {"y": np.array([1, 2, 4])}, "y")
    assert Agreement().add(integers).value == pytest.approx(1 / 3)


def test_divergence_of_logits_and_of_probabilities():
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.5, 0.25])
    want = float((p * np.log(p / q)).sum())
    for a, b in ((p, q), (np.log(p) + 3, np.log(q) - 1)):
        metric = Divergence()
        metric.add(case([a], [b]))
        assert figures(metric)["kl"].value == pytest.approx(want, rel=1e-6)
    certain = Divergence()
    certain.add(case([[1.0, 0.0]], [[1.0, 0.0]]))
    assert figures(certain)["kl"].value == 0


def test_accuracy_and_the_standard_error_of_the_drop():
    metric, right, wrong = Accuracy(), [[0, 1]], [[1, 0]]
    for reference, found in [(right, right)] * 6 + [(right, wrong)] * 3 + [(wrong, right)]:
        metric.add(case(reference, found, 1))
    metric.add(case(right, wrong))  # no label: not counted
    found = figures(metric)
    assert (found["top1"].value, found["top1_float"].value, found["top5"].value) == (70.0, 90.0, 100.0)
    answers = np.array([0] * 6 + [1] * 3 + [-1])
    assert found["drop"].value == pytest.approx(20.0)
    assert found["drop"].standard_error == pytest.approx(100 * answers.std() / math.sqrt(10))
    assert "3 lost, 1 won of 10" in found["drop"].text()
    assert Accuracy().figures() == []


def test_top_five_is_by_rank():
    scores = [np.arange(10.0)]
    metric = Accuracy()
    metric.add(case(scores, scores, 5))
    metric.add(case(scores, scores, 4))
    assert figures(metric)["top5"].value == 50.0 and figures(metric)["top1"].value == 0.0


def test_cosine():
    metric = Cosine()
    metric.add(case([[1, 0], [3, 4]], [[2, 0], [4, 3]]))
    metric.add(case([[0, 0]], [[0, 0]]))
    found = figures(metric)
    assert found["cosine"].value == pytest.approx((1 + 24 / 25 + 1) / 3)
    assert found["cosine_min"].value == pytest.approx(24 / 25)
    assert Cosine().add(case([[1.0, 0.0]], [[0.0, 0.0]])).value == 1
    metric = EmbeddingAgreement()
    metric.add(case([[3, 4]], [[4, 3]]))
    assert figures(metric)["agreement"].value == pytest.approx(24 / 25)


def ctc(*classes: int) -> np.ndarray:
    scores = np.zeros((1, len(classes), 4))
    scores[0, np.arange(len(classes)), classes] = 1
    return scores


def test_ctc_joins_repetitions_and_drops_blanks():
    assert decode(ctc(1, 1, 0, 1, 2, 2, 0, 0, 3)) == [[1, 1, 2, 3]]
    assert decode(ctc(0, 0)) == [[]]
    with pytest.raises(InputError, match="a CTC output is"):
        decode(np.zeros((1, 4)))


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "abc", 0), ("ab", "ba", 2), ("abcd", "bcd", 1)],
)
def test_edit_distance(a: str, b: str, want: int):
    assert edit_distance([*map(ord, a)], [*map(ord, b)]) == want


def test_texts_with_labels():
    metric = Text()
    letters = ["a", "b", "c"]
    assert metric.add(case(ctc(1, 2), ctc(1, 3), "ab", characters=letters)).note == "'ab' became 'ac'"
    metric.add(case(ctc(3), ctc(3), "c", characters=letters))
    found = figures(metric)
    assert (found["agreement"].value, found["exact"].value, found["exact_float"].value) == (0.5, 50.0, 100.0)
    assert found["drop"].value == 50.0 and found["edit_distance"].value == pytest.approx(100 / 3)
    with pytest.raises(InputError, match="characters are not known"):
        Text().add(case(ctc(1), ctc(1), "a"))


def test_overlap():
    box = np.array([0.0, 0.0, 2.0, 2.0])
    others = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6], [0, 0, 2, 1]], float)
    assert overlap(box, others).tolist() == pytest.approx([1.0, 1 / 7, 0.0, 0.5])


def test_boxes_as_rows():
    reference = [[[0, 0, 10, 10, 0.9, 1], [20, 20, 30, 30, 0.8, 2], [0, 0, 1, 1, 0.1, 0]]]
    found = [[[20, 20, 30, 29, 0.7, 2], [0, 0, 10, 10, 0.9, 3]]]  # the second: another class
    metric = Boxes()
    loss = metric.add(case(reference, found))
    assert loss.value == pytest.approx(1 - 2 / 4) and "1 of 2 boxes" in loss.note
    assert figures(metric)["agreement"].value == 0.5 and figures(metric)["iou"].value == pytest.approx(0.9)


def test_no_boxes_on_either_side_agree():
    nothing = np.zeros((1, 2, 6))
    metric = Boxes()
    assert metric.add(case(nothing, nothing)).value == 0
    assert figures(metric)["agreement"].value == 1


def test_decoded_boxes_with_classes():
    boxes, scores, classes = (
        np.array([[0, 0, 4, 4], [8, 8, 9, 9]], np.float32),
        np.float32([0.9, 0.8]),
        np.array([1, 2]),
    )
    outputs = {"labels": classes, "boxes": boxes, "scores": scores}
    other = {**outputs, "labels": np.array([1, 3])}
    assert convention(outputs, "boxes") == "decoded"
    assert Boxes().add(Case("s", outputs, outputs, "boxes")).value == 0
    assert Boxes().add(Case("s", outputs, other, "boxes")).value == pytest.approx(0.5)
    fewer = {name: array[:1] for name, array in outputs.items()}
    assert Boxes().add(Case("s", outputs, fewer, "boxes")).value == pytest.approx(1 - 2 / 3)


def test_heads_of_anchors_are_suppressed():
    head = np.zeros((1, 6, 20))  # 2 classes
    head[0, :4, 0], head[0, 4, 0] = (10, 10, 4, 4), 0.9
    head[0, :4, 1], head[0, 4, 1] = (10, 10, 4, 4.2), 0.8  # the same object
    head[0, :4, 2], head[0, 5, 2] = (10, 10, 4, 4), 0.7  # another class
    metric = Boxes()
    metric.add(case(head, head))
    assert metric.matches == 2
    assert convention({"y": np.zeros((1, 10), np.float32)}, "y") is None
