"""Recipes for pictures: texts, what a model's input decides, sizes and placements, pixels as the model takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.errors import BundleError, InputError, MissingExtraError
from edgeort.quantize.samples import open_samples
from edgeort.recipes.form import form_of
from edgeort.recipes.front import Front, bind
from edgeort.recipes.picture import Recipe
from edgeort.recipes.picture_steps import KINDS, PRESETS, parse
from edgeort.values import Value

NCHW = Value("x", "float32", (1, 3, 8, 8))
FREE = Value("x", "float32", ("N", 3, "H", "W"))
PLAIN = "resize share=0.875; crop; scale=1"


@pytest.mark.parametrize("text", [*PRESETS, "rgb", "from=bgra; letterbox 8x9 area fill=0; gray; std=2; input=a"])
def test_the_canonical_text_is_the_same_recipe(text: str):
    recipe = parse(text)
    assert parse(recipe.text()) == recipe
    bound = recipe.bound(form_of([Value("x", "float32", (1, 3, 8, 9))]))
    assert parse(bound.text()) == bound


@pytest.mark.parametrize("usage", [kind.usage for name, kind in KINDS.items() if name not in ("rgb", "bgr", "gray")])
def test_usages_begin_with_a_step_that_is_one(usage: str):
    first = usage.split(";")[0].split(", ")[0].split(":")[0]
    assert isinstance(parse(first), Recipe)


def test_a_step_behind_a_preset_changes_it():
    recipe = parse("imagenet; resize short=20 bicubic; bgr; mean=0.5")
    assert recipe.text() == (
        "from=rgb; resize short=20 bicubic; crop; bgr; scale=1/255; mean=0.5; std=0.229,0.224,0.225"
    )
    assert parse("imagenet; letterbox").crop is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("resize 224", "'224' is no size: HEIGHTxWIDTH"),
        ("resize short=8 cover=9", "it has one size"),
        ("resize short=8 9x9", "it has one size"),
        ("resize share=1.5", "a share is above 0, and 1 at most"),
        ("resize nearest antialias=yes", "antialias is a choice for bilinear and bicubic"),
        ("resize 70000x2", "a side has 65536 pixels at most"),
        ("resize lanczos", "no size"),
        ("letterbox; crop 9", "a letterbox has the size"),
        ("crop fill=256", "'256' is no whole number of 0 to 255"),
        ("from=cmyk", "one of rgb, bgr, rgba, bgra, gray is missing"),
        ("std=0", "a standard deviation is not 0"),
        ("rgb 3", "it takes no 3"),
        ("rgb; bgr", "there is 'rgb' already"),
        ("std=1,1e-60,1", "a standard deviation is not 0"),
    ],
)
def test_steps_that_cannot_be(text: str, told: str):
    with pytest.raises(InputError, match="--preprocess") as caught:
        parse(text)
    assert told in str(caught.value) and caught.value.hint


@pytest.mark.parametrize(
    ("text", "value", "told"),
    [
        ("crop 9", NCHW, "the steps give pictures of 9x9"),
        ("resize short=9", NCHW, "what 'resize short=9 bilinear' gives depends on the picture"),
        ("crop", FREE, "the size of the pictures is free"),
        ("resize share=0.5", FREE, "a share is of a crop"),
        ("mean=1,2", NCHW, "mean has 2 numbers, and the pictures have 3 channels"),
        ("imagenet", Value("x", "uint8", (1, 3, 8, 8)), "the recipe makes -2.1"),
        ("rgb", Value("x", "float32", (1, 8)), "the model takes no pictures"),
        ("rgb", Value("x", "float32", (2, 3, 8, 8)), "the model takes no pictures"),
        ("rgb", Value("x", "int64", (1, 3, 8, 8)), "the model takes no pictures"),
    ],
)
def test_recipes_that_do_not_fit_the_model(text: str, value: Value, told: str):
    with pytest.raises(InputError) as caught:
        bind(parse(text), [value])
    assert told in str(caught.value) and caught.value.hint is not None or "numbers" in told


def test_of_several_inputs_one_is_named():
    values = [NCHW, Value("y", "float32", (1, 8, 8, 3)), Value("z", "float32", (4,))]
    with pytest.raises(InputError, match="several inputs may take pictures"):
        bind(parse("resize"), values)
    front = bind(parse("input=y; resize"), values, built_in=True)
    assert front.form.channels_last and [value.dtype for value in front.inputs(values)] == [
        "float32",
        "uint8",
        "float32",
    ]
    assert bind(parse("resize"), [NCHW, values[2]]).form.name == "x"


@pytest.mark.parametrize(
    ("picture", "resized", "corner"),
    [
        ((300, 400), (256, 341), (16, 58)),  # 341.3; 117 / 2 is 58.5, which goes to the even 58
        ((401, 300), (342, 256), (59, 16)),
        ((37, 1000), (256, 6918), (16, 3347)),
        ((225, 333), (256, 378), (16, 77)),
        ((224, 224), (256, 256), (16, 16)),
        ((256, 343), (256, 343), (16, 60)),  # 119 / 2 is 59.5, which goes to 60
    ],
)
def test_sizes_are_those_of_torchvision(picture: tuple[int, int], resized: tuple[int, int], corner: tuple[int, int]):
    """Resize(256) rounds the long side down; CenterCrop(224) rounds halves to even."""
    recipe = parse("resize short=256; crop 224").bound(form_of([Value("x", "float32", (1, 3, 224, 224))]))
    assert recipe.resized(picture) == resized
    assert recipe.window(resized) == (*corner, 224, 224)
    assert recipe.window((100, 223)) == (-62, 0, 224, 224)


def test_letterbox_is_that_of_yolo():
    recipe = parse("yolo").bound(form_of([Value("x", "float32", (1, 3, 640, 640))]))
    assert recipe.resized((720, 1280)) == (360, 640) and recipe.window((360, 640)) == (-140, 0, 640, 640)
    assert recipe.resized((1281, 719)) == (640, 359) and recipe.window((640, 359)) == (0, -140, 640, 640)
    place = recipe.placement((720, 1280))
    assert (place.scale, place.left, place.top) == ((0.5, 0.5), 0, -140)


def test_a_front_is_what_a_manifest_says():
    front = bind(parse("efficientnet-lite"), [NCHW], built_in=True)
    assert Front.from_dict(front.to_dict()) == front
    with pytest.raises(BundleError, match="recipe is incomplete"):
        Front.from_dict({"recipe": "rgb", "built_in": True})
    with pytest.raises(BundleError, match="recipe is incomplete"):
        Front.from_dict({**front.to_dict(), "recipe": 5})


@pytest.mark.parametrize("name", ["my input", "a;b"])
def test_an_input_whose_name_no_recipe_can_have(name: str):
    front = bind(parse("unit"), [Value(name, "float32", (1, 3, 8, 8))], built_in=True)
    assert front.form.name == name and Front.from_dict(front.to_dict()) == front


PIL = pytest.importorskip("PIL.Image", reason="needs Pillow")


def write(path: Path, pixels: np.ndarray) -> None:
    PIL.fromarray(pixels).save(path)


def read(folder: Path, value: Value = NCHW, how: str | None = None) -> np.ndarray:
    (sample,) = open_samples(folder, [value], None if how is None else parse(how))
    return sample["x"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One picture of the colour (255, 51, 0), 20 wide and 10 high."""
    write(tmp_path / "a.png", np.full((10, 20, 3), (255, 51, 0), np.uint8))
    return tmp_path


def test_the_defaults_are_those_of_classifiers(folder: Path):
    x = read(folder)
    assert x.shape == (1, 3, 8, 8)
    wanted = [(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0 - 0.406) / 0.225]
    np.testing.assert_allclose(x[0, :, 3, 3], wanted, rtol=1e-5)


def test_order_of_channels_and_axes(folder: Path):
    assert read(folder, how=f"{PLAIN}; bgr")[0, :, 0, 0].tolist() == [0, 51, 255]
    last = read(folder, Value("x", "float32", (1, 8, 8, 3)), PLAIN)
    assert last.shape == (1, 8, 8, 3)
    assert last[0, 0, 0].tolist() == [255, 51, 0]
    bytes_ = read(folder, Value("x", "uint8", (1, 3, 8, 8)))
    assert bytes_.dtype == np.uint8
    assert bytes_[0, :, 0, 0].tolist() == [255, 51, 0]


def test_grey_is_that_of_pillow(folder: Path):
    level = PIL.new("RGB", (1, 1), (255, 51, 0)).convert("L").getpixel((0, 0))
    assert (read(folder, Value("x", "float32", (1, 1, 8, 8)), PLAIN) == level).all()
    assert (read(folder, how=f"from=bgra; {PLAIN}; gray") == level).all()


def test_center_crop_and_squeeze(tmp_path: Path):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :8] = 255  # a stripe at the left, which the middle square lacks
    write(tmp_path / "a.png", pixels)
    assert read(tmp_path, how=PLAIN).max() == 0
    squeezed = read(tmp_path, how="resize; scale=1")
    assert squeezed[0, 0, 0, 0] == 255 and squeezed[0, 0, 0, -1] == 0


def test_padding_keeps_the_whole_picture(tmp_path: Path):
    write(tmp_path / "a.png", np.full((16, 32, 3), 255, np.uint8))
    padded = read(tmp_path, how="letterbox; scale=1")[0, 0]
    assert padded.shape == (8, 8) and (padded[2:6] == 255).all()
    assert (padded[:2] == 114).all() and (padded[6:] == 114).all()


def test_a_free_size_is_asked_for(folder: Path):
    with pytest.raises(InputError, match="size of the pictures is free") as caught:
        read(folder, FREE)
    assert caught.value.hint == '--preprocess "imagenet; crop 224x224"'
    assert read(folder, FREE, "imagenet; crop 5x7").shape == (1, 3, 5, 7)


@pytest.mark.parametrize(("recipe", "word"), [("yolo", "letterbox"), ("unit", "resize")])
def test_a_free_size_is_asked_for_in_the_recipes_own_step(folder: Path, recipe: str, word: str):
    with pytest.raises(InputError, match="size of the pictures is free") as caught:
        read(folder, FREE, recipe)
    assert caught.value.hint == f'--preprocess "...; {word} 320x320"'
    assert read(folder, FREE, f"{recipe}; {word} 5x7").shape == (1, 3, 5, 7)


def test_files_that_are_no_pictures(folder: Path):
    (folder / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"b\.jpg is not a picture"):
        list(open_samples(folder, [NCHW]))


def test_models_that_take_no_pictures(folder: Path):
    for value in (Value("x", "float32", (1, 8)), Value("x", "float32", (1, 4, 8, 8))):
        with pytest.raises(InputError, match="takes no pictures"):
            open_samples(folder, [value])
    with pytest.raises(InputError, match="takes no pictures alone"):
        open_samples(folder, [NCHW, Value("y", "float32", (3,))])
    np.save(folder / "x.npy", np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(InputError, match=r"arrays \(x.npy\) and pictures \(a.png\)"):
        open_samples(folder, [NCHW])


def test_without_pillow(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(MissingExtraError) as caught:
        open_samples(folder, [NCHW])
    assert "edgeort[images]" in str(caught.value.hint)


def test_arrays_of_pictures_where_the_recipe_is_built_in(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 11, 3), np.uint8)
    np.save(tmp_path / "x.npy", pixels)
    front = bind(parse("bytes"), [NCHW], built_in=True)
    samples = open_samples(tmp_path / "x.npy", [NCHW], front)
    assert [sample["x"].shape for sample in samples] == [(1, 3, 8, 8)] * 3
    np.testing.assert_array_equal([sample["x"] for sample in samples.as_loaded()], pixels)
