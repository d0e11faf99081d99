"""Boxes as the COCO data set has them: what is read, where preprocessing puts them, what is said of bad files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeort.errors import InputError
from edgeort.quantize.samples import Samples, open_samples
from edgeort.recipes.picture_steps import parse
from edgeort.validate.labels.coco import read_boxes
from edgeort.values import Value

INPUT = [Value("x", "float32", (1, 3, 64, 64))]


def content() -> dict[str, Any]:
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 200, "height": 100},
            {"id": 3, "file_name": "b.png", "width": 80, "height": 160},
            {"id": 9, "file_name": "elsewhere.png", "width": 1, "height": 1},
        ],
        "categories": [{"id": 44, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 44, "bbox": [10, 20, 30, 40], "area": 900, "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [0.5, 0, 8, 9.5], "iscrowd": 1},
        ],
    }


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    (tmp_path / "data/deep").mkdir(parents=True)
    Image.new("RGB", (200, 100)).save(tmp_path / "data/a.png")
    Image.new("RGB", (80, 160)).save(tmp_path / "data/deep/b.png")
    return open_samples(tmp_path / "data", INPUT, parse("resize"))


def read(folder: Path, samples: Samples, what: Any) -> Any:
    (folder / "l.json").write_text(what if isinstance(what, str) else json.dumps(what))
    return read_boxes(str(folder / "l.json"), samples.names(), samples)


def test_boxes_classes_areas_and_crowds(tmp_path: Path, samples: Samples):
    found = read(tmp_path, samples, content())
    assert list(found) == ["a.png", "deep/b.png"]
    a, b = found.values()
    np.testing.assert_array_equal(a.boxes, [[10, 20, 40, 60], [0.5, 0, 8.5, 9.5]])
    assert (a.categories.tolist(), a.areas.tolist(), a.crowds.tolist()) == ([1, 0], [900, 76], [False, True])
    assert (a.image, b.image, a.classes, b.boxes.shape) == (7, 3, 2, (0, 4))


@pytest.mark.parametrize("steps", ["resize", "resize share=0.875; crop", "letterbox"])
def test_boxes_come_back_from_where_the_recipe_puts_them(tmp_path: Path, samples: Samples, steps: str):
    """A bright rectangle of the picture is found in the input, and its corners are those of the picture again."""
    picture = np.zeros((100, 200, 3), np.uint8)
    box = np.array([80, 30, 121, 76])
    picture[box[1] : box[3], box[0] : box[2]] = 255
    Image.fromarray(picture).save(tmp_path / "data/a.png")
    samples = open_samples(tmp_path / "data", INPUT, parse(f"{steps}; scale=1"))
    truth = read(tmp_path, samples, content())["a.png"]
    pixels = dict(samples.named())["a.png"]["x"][0, 0]
    rows, columns = (np.flatnonzero((pixels > 127).any(axis=axis)) for axis in (1, 0))
    corners = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], float)
    np.testing.assert_allclose(
        truth.in_picture(corners)[0], box, atol=3.2
    )  # a pixel of the input is 3.1 of the picture


def test_of_arrays_coordinates_are_those_of_the_input(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 3, 64, 64), np.float32))
    samples = open_samples(tmp_path / "x.npy", INPUT)
    what = content()
    what["images"] = [{"id": 7, "file_name": "x.npy[0]"}]
    truth = read(tmp_path, samples, what)["x.npy[0]"]
    assert truth.in_picture(np.array([[1.0, 2, 3, 4]])).tolist() == [[1, 2, 3, 4]]


def change(*path: Any, to: Any) -> Any:
    what: Any = content()
    place = what
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return what


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("{", "l.json is no JSON"),
        ("[]", "it has no list 'images'"),
        (change("annotations", to=None), "it has no list 'annotations'"),
        (change("categories", 1, to=5), "categories[1] is no object"),
        (change("categories", 0, "id", to="dog"), "categories[0]: id is 'dog', no whole number"),
        (change("images", 0, "file_name", to=None), "images[0] has no file_name"),
        (change("images", 1, "id", to=None), "images[1]: id is None"),
        (change("images", 1, "file_name", to="a.png"), "images[1]: a.png stands there twice"),
        (change("images", 0, "width", to="200"), "images[0]: width is '200'"),
        (
            change("annotations", 1, "bbox", to=[1, 2, 3]),
            "annotations[1]: bbox is [1, 2, 3], not [x, y, width, height]",
        ),
        (change("annotations", 1, "bbox", to=[1, 2, 3, float("nan")]), "annotations[1]: bbox is"),
        (change("annotations", 0, "bbox", to=[1, 2, -3, 4]), "is no size"),
        (change("annotations", 0, "area", to="big"), "area 'big' is no size"),
        (change("annotations", 0, "category_id", to=1), "annotations[0]: there is no category 1"),
        (change("annotations", 0, "image_id", to=1.5), "image_id is 1.5"),
        (change("images", to=[{"id": 1, "file_name": "z.png"}]), "z.png is none of a.png, deep/b.png"),
    ],
)
def test_bad_files(tmp_path: Path, samples: Samples, what: Any, words: str):
    with pytest.raises(InputError) as caught:
        read(tmp_path, samples, what)
    assert words in str(caught.value)


def test_a_name_that_fits_two_pictures(tmp_path: Path, samples: Samples):
    (tmp_path / "data/other").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "data/other/b.png")
    samples = open_samples(tmp_path / "data", INPUT)
    with pytest.raises(InputError, match=r"b.png may be deep/b.png or other/b.png"):
        read(tmp_path, samples, content())
    with pytest.raises(InputError, match="No such file"):
        read_boxes(str(tmp_path / "none.json"), samples.names(), samples)
