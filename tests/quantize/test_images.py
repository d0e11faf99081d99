"""Pictures: what each option does, and what is said about files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.errors import InputError, MissingExtraError
from edgeort.quantize import Preprocessing
from edgeort.quantize.samples import open_samples
from edgeort.values import Value

PIL = pytest.importorskip("PIL.Image", reason="needs Pillow")

NCHW = Value("x", "float32", (1, 3, 8, 8))
PLAIN = Preprocessing(scale=1.0, mean=(0.0,), std=(1.0,))


def write(path: Path, pixels: np.ndarray) -> None:
    PIL.fromarray(pixels).save(path)


def read(folder: Path, value: Value = NCHW, how: Preprocessing | None = None) -> np.ndarray:
    (sample,) = open_samples(folder, [value], how)
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
    assert read(folder, how=Preprocessing(scale=1, mean=(0,), std=(1,), color="bgr"))[0, :, 0, 0].tolist() == [
        0,
        51,
        255,
    ]
    last = read(folder, Value("x", "float32", (1, 8, 8, 3)), PLAIN)
    assert last.shape == (1, 8, 8, 3)
    assert last[0, 0, 0].tolist() == [255, 51, 0]
    bytes_ = read(folder, Value("x", "uint8", (1, 3, 8, 8)))
    assert bytes_.dtype == np.uint8
    assert bytes_[0, :, 0, 0].tolist() == [255, 51, 0]


def test_grey_models(folder: Path):
    assert read(folder, Value("x", "float32", (1, 1, 8, 8)), PLAIN).shape == (1, 1, 8, 8)


def test_center_crop_and_squeeze(tmp_path: Path):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :8] = 255  # a stripe at the left, which the middle square lacks
    write(tmp_path / "a.png", pixels)
    assert read(tmp_path, how=PLAIN).max() == 0
    squeezed = read(tmp_path, how=Preprocessing(crop="none", scale=1, mean=(0,), std=(1,)))
    assert squeezed[0, 0, 0, 0] == 255 and squeezed[0, 0, 0, -1] == 0


def test_padding_keeps_the_whole_picture(tmp_path: Path):
    write(tmp_path / "a.png", np.full((16, 32, 3), 255, np.uint8))
    how = Preprocessing(crop="pad", scale=1, mean=(0,), std=(1,))
    padded = read(tmp_path, how=how)[0, 0]
    assert padded.shape == (8, 8) and (padded[2:6] == 255).all()
    assert (padded[:2] == 114).all() and (padded[6:] == 114).all()
    assert how.text((8, 8)).startswith("padded to 8x8")


def test_short_side_zooms(tmp_path: Path):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[4:12, 4:12] = 255
    write(tmp_path / "a.png", pixels)
    assert read(tmp_path, how=Preprocessing(short_side=16, scale=1, mean=(0,), std=(1,))).min() == 255
    assert read(tmp_path, how=Preprocessing(short_side=8, scale=1, mean=(0,), std=(1,))).min() == 0


def test_a_free_size_is_asked_for(folder: Path):
    free = Value("x", "float32", ("N", 3, "H", "W"))
    with pytest.raises(InputError, match="size of the pictures is free") as caught:
        read(folder, free)
    assert caught.value.hint == "--size 224x224"
    assert read(folder, free, Preprocessing(size=(5, 7))).shape == (1, 3, 5, 7)


def test_what_is_done_is_said(folder: Path):
    told = open_samples(folder, [NCHW], PLAIN).pictures
    assert told == "short side 9, middle 8x8, bilinear, RGB, (pixel * 1 - 0) / 1"


def test_files_that_are_no_pictures(folder: Path):
    (folder / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"b\.jpg is not a picture"):
        list(open_samples(folder, [NCHW]))


def test_models_that_take_no_pictures(folder: Path):
    for value in (Value("x", "float32", (1, 8)), Value("x", "float32", (1, 4, 8, 8))):
        with pytest.raises(InputError, match="takes no pictures"):
            open_samples(folder, [value])
    with pytest.raises(InputError, match="mean has 2 numbers"):
        open_samples(folder, [NCHW], Preprocessing(mean=(1.0, 2.0)))
    np.save(folder / "x.npy", np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(InputError, match=r"arrays \(x.npy\) and pictures \(a.png\)"):
        open_samples(folder, [NCHW])


def test_without_pillow(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(MissingExtraError) as caught:
        open_samples(folder, [NCHW])
    assert "edgeort[images]" in str(caught.value.hint)
