"""softmax, sigmoid and top-k behind a model, against their formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.errors import InputError
from edgeort.recipes.labels import read_characters
from edgeort.recipes.postprocessing import read_postprocessing
from tests.recipes.attached import behind, identity, run

LABELS = [f"class {k}" for k in range(7)]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(LABELS) + "\n")
    return path


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def folder(tmp_path: Path) -> Path:
    found = tmp_path / "plans"
    found.mkdir()
    return found


@pytest.mark.parametrize("opset", [11, 13, 17, 21])
@pytest.mark.parametrize("shape", ["N, 7", "7", "2, 3, 7", "N, 7, 1, 1"])
def test_top_k(shape: str, opset: int, labels: Path, tmp_path: Path):
    dims = [2 if dim == "N" else int(dim) for dim in shape.split(", ")]
    x = np.random.default_rng(0).standard_normal(dims).astype(np.float32)
    attached = behind(identity(f"float[{shape}] y", opset=opset), f"softmax; top-k 3 labels={labels}")
    assert attached.outputs == ("label", "score", "class")
    found = run(attached, [x], folder(tmp_path))
    flat = x.reshape(dims[0], 7) if len(dims) == 4 else x
    order = np.argsort(-flat, axis=-1, kind="stable")[..., :3]
    np.testing.assert_array_equal(found["class"], order)
    np.testing.assert_array_equal(found["label"], np.array(LABELS, object)[order])
    np.testing.assert_allclose(found["score"], np.take_along_axis(softmax(flat), order, -1), rtol=1e-5)
    np.testing.assert_array_equal(found["y"], x)


def test_scores_that_softmax_rounds_to_one_number_keep_their_order(tmp_path: Path):
    x = np.array([[-500, -300, 100, -400, -301, -302, -600]], np.float32)
    found = run(behind(identity("float[1, 7] y"), "softmax; top-k 7"), [x], folder(tmp_path))
    np.testing.assert_array_equal(found["class"], [[2, 1, 4, 5, 3, 0, 6]])
    np.testing.assert_array_equal(found["score"], [[1, 0, 0, 0, 0, 0, 0]])


def test_of_equal_scores_the_lower_class_comes_first(tmp_path: Path):
    x = np.array([[1, 2, 2, 1, 2, 0, 2]], np.float32)
    found = run(behind(identity("float[1, 7] y"), "top-k 5"), [x], folder(tmp_path))
    np.testing.assert_array_equal(found["class"], [[1, 2, 4, 6, 0]])
    np.testing.assert_array_equal(found["score"], [[2, 2, 2, 2, 1]])


def test_sigmoid(tmp_path: Path):
    x = np.random.default_rng(1).standard_normal((2, 7)).astype(np.float32)
    attached = behind(identity("float[2, 7] y"), "sigmoid")
    assert attached.outputs == ("score",)
    np.testing.assert_allclose(run(attached, [x], folder(tmp_path))["score"], 1 / (1 + np.exp(-x)), rtol=1e-5)


def test_a_name_that_the_model_has_is_left_to_it(tmp_path: Path):
    x = np.arange(7, dtype=np.float32)[None]
    attached = behind(identity("float[1, 7] score"), "top-k 1")
    assert attached.outputs == ("post_score", "class")
    found = run(attached, [x], folder(tmp_path))
    np.testing.assert_array_equal(found["post_score"], [[6]])
    np.testing.assert_array_equal(found["score"], x)


def test_a_name_inside_of_the_model_is_left_to_it(tmp_path: Path):
    from tests.kernels.support import parse

    nodes = "score = Neg (x) class = Neg (score) y = Mul (class, post_class)"
    model = parse(f"g (float[1, 7] x) => (float[1, 7] y) <float post_class = {{2}}> {{ {nodes} }}")
    attached = behind(model, "top-k 1")
    assert attached.outputs == ("post_score", "post_post_class")
    found = run(attached, [np.arange(7, dtype=np.float32)[None]], folder(tmp_path))
    assert found["post_score"] == 12 and found["post_post_class"] == 6


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("top-k", "an argument is missing"),
        ("top-k 0", "no whole number"),
        ("top-k 8", "has 7 classes"),
        ("top-k 5 labels=nowhere.txt", "nowhere.txt cannot be read: No such file"),
        ("top-k 5 labels=a\0b", "cannot be read"),
        ("top-k 5 colour=red", "it takes no colour=red"),
        ("softmax; sigmoid", "there is 'softmax' already"),
        ("top-k 5; softmax", "softmax stands behind top-k"),
        ("sigmoid; yolo", "yolo reads scores as the model gives them, not sigmoid's"),
        ("top-q 5", "'top-k' is near"),
    ],
)
def test_what_is_wrong_is_named(recipe: str, message: str):
    with pytest.raises(InputError, match=message):
        behind(identity("float[1, 7] y"), recipe)


def test_labels_must_be_as_many_as_classes(labels: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"labels.txt has 7 labels, and output 'y' of the model has 8 classes"):
        behind(identity("float[1, 8] y"), f"top-k 5 labels={labels}")
    labels.write_text("a\n\nb\n")
    with pytest.raises(InputError, match="line 2 is empty"):
        read_postprocessing(f"top-k 5 labels={labels}")


def test_a_model_without_real_numbers_has_no_scores():
    from tests.kernels.support import parse

    model = parse("g (int64[1, 7] x) => (int64[1, 7] y) { y = Neg (x) }")
    with pytest.raises(InputError, match="no float32 numbers"):
        behind(model, "top-k 1")
    for recipe in ("softmax", "top-k 1"):
        with pytest.raises(InputError, match="output 'y' of the model is one number"):
            behind(parse("g (float[7] x) => (float y) { y = ReduceSum <keepdims = 0> (x) }"), recipe)
    with pytest.raises(InputError, match="opset 10"):
        behind(identity("float[1, 7] y", opset=10), "top-k 1")


def test_characters_end_at_line_feeds_alone(tmp_path: Path):
    """Others split lines for Python, too, and may be characters of a recogniser."""
    (tmp_path / "characters.txt").write_bytes("a\r\n\u2028\n\u0085\n \n\u3000\n".encode())
    found = read_characters(str(tmp_path / "characters.txt"))
    assert found.names == ("a", "\u2028", "\u0085", " ", "\u3000")
