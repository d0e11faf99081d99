"""Tensors that an app got wrong in one stage, or two: which is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.bundle.golden_picture import picture
from edgeort.errors import InputError
from edgeort.recipes import reference
from edgeort.recipes.diagnosis import Diagnosis, diagnose, read_tensor
from edgeort.recipes.front import bind
from edgeort.recipes.picture_steps import parse
from edgeort.values import Value

FUZZ = Path(__file__).parents[1] / "fuzz"
RECIPE = "imagenet"
FRONT = bind(parse(RECIPE), [Value("x", "float32", (1, 3, 64, 56))], built_in=True)
PICTURE = picture(FRONT)


def made(text: str) -> np.ndarray:
    front = bind(parse(text), [FRONT.form.value])
    return reference.tensor(PICTURE, front.recipe, front.form)


def named(tensor: np.ndarray) -> list[str]:
    found = diagnose(tensor, PICTURE, FRONT)
    assert found.is_explained and not found.is_same, found
    return [stage.name for stage in found.differing]


def test_our_own_tensor_is_the_same():
    found = diagnose(made(RECIPE), PICTURE, FRONT)
    assert found.is_same and found.levels == 0 and not found.differing
    rounded = diagnose((made(RECIPE) + np.float32(0.004)).astype(np.float32), PICTURE, FRONT)
    assert rounded.is_same and 0 < rounded.levels < 1


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("bgr", ["channels"]),
        ("resize share=0.875 bicubic", ["interpolation"]),
        ("resize share=0.875 bilinear antialias=no", ["interpolation"]),
        ("resize share=0.875 nearest", ["interpolation"]),
        ("resize share=0.875 area", ["interpolation"]),
        ("resize 64x56", ["size", "window"]),
        ("resize cover=64x56", ["size", "window"]),
        ("letterbox", ["size", "window"]),
        ("mean=0", ["scale, mean, std"]),
        ("std=1", ["scale, mean, std"]),
        ("scale=1", ["scale, mean, std"]),
        ("mean=0.3; std=0.7", ["scale, mean, std"]),
        ("bgr; scale=1; mean=0; std=1", ["channels", "scale, mean, std"]),
    ],
)
def test_what_is_wrong_is_named(text: str, stages: list[str]):
    assert named(made(f"{RECIPE}; {text}")) == stages


def test_layout_dtype_and_offset():
    tensor = made(RECIPE)
    assert named(np.ascontiguousarray(tensor.transpose(0, 2, 3, 1))) == ["layout"]
    assert named(made(f"{RECIPE}; bgr").transpose(0, 2, 3, 1)) == ["layout", "channels"]
    levels = reference.resampled(PICTURE, FRONT.recipe, FRONT.form, (1, 0))
    moved = reference.table(FRONT.recipe, FRONT.form)[np.arange(3), levels].transpose(2, 0, 1)
    assert named(moved) == ["window"]
    levels = reference.resampled(PICTURE, FRONT.recipe, FRONT.form)
    assert named(levels.transpose(2, 0, 1)) == ["dtype", "scale, mean, std"]


def test_words_say_what_the_tensor_shows():
    def found(text: str) -> Diagnosis:
        return diagnose(made(f"{RECIPE}; {text}"), PICTURE, FRONT)

    (stage,) = found("mean=0").differing
    assert stage.found.startswith("mean is missing: scale=1/255 mean=0 std=0.229")
    (stage,) = found("scale=1/127.5; mean=1; std=1").differing
    assert stage.found.startswith("pixels from -1 to 1")
    (stage,) = found("mean=0.3; std=0.7").differing
    assert stage.found.startswith("x = 0.0056")


def test_another_picture_is_explained_by_nothing(rng: np.random.Generator):
    found = diagnose(rng.standard_normal((1, 3, 64, 56)).astype(np.float32), PICTURE, FRONT)
    assert not found.is_explained and not found.is_same


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_tensors_of_another_size():
    with pytest.raises(InputError, match=r"float32 \[1, 4, 64, 56\].*it may be 64x56 of 4 channels"):
        diagnose(np.zeros((1, 4, 64, 56), np.float32), PICTURE, FRONT)
    with pytest.raises(InputError, match="the picture as it is"):
        diagnose(np.zeros((1, 3, *PICTURE.shape[:2]), np.float32), PICTURE, FRONT)
    with pytest.raises(InputError, match="no step of the recipe"):
        diagnose(np.zeros(7, np.float32), PICTURE, FRONT)
    with pytest.raises(InputError, match="NaNs or infinities"):
        diagnose(np.full((1, 3, 64, 56), np.nan, np.float32), PICTURE, FRONT)


def test_files(tmp_path: Path):
    tensor, path = made(RECIPE), tmp_path / "t.bin"
    for array in (tensor, tensor.astype(np.float16), tensor.astype(np.float64)):
        path.write_bytes(array.tobytes())
        np.testing.assert_array_equal(read_tensor(path, tensor.size), array.reshape(-1))
    np.save(tmp_path / "t.npy", tensor)
    np.testing.assert_array_equal(read_tensor(tmp_path / "t.npy", tensor.size), tensor)
    path.write_bytes(b"123")
    (tmp_path / "odd.npy").write_bytes((FUZZ / "crashes/bundle/npy-header-without-end").read_bytes())
    for wrong in (path, tmp_path / "none.bin", tmp_path / "none.npy", tmp_path / "odd.npy"):
        with pytest.raises(InputError) as caught:
            read_tensor(wrong, tensor.size)
        assert caught.value.hint
        assert "Errno" not in str(caught.value)


@pytest.mark.parametrize("text", ["from=gray; letterbox", "from=bgra; resize area; bgr", "crop 64x56"])
def test_golden_pictures_of_other_recipes(text: str):
    front = bind(parse(text), [FRONT.form.value], built_in=True)
    pixels = picture(front)
    assert pixels.dtype == np.uint8 and pixels.shape[2] == front.recipe.channels and min(pixels.shape[:2]) > 56
    assert diagnose(reference.tensor(pixels, front.recipe, front.form), pixels, front).is_same
