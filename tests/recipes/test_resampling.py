"""The reference against the libraries whose results it has: every size odd and even, down, up, and both at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeort.recipes.resampling import part, resized

SAMPLE = Path(__file__).parents[3] / "shared/data/imagenet-sample"
SIZES = [
    ((1, 1), (1, 1)),
    ((1, 1), (5, 3)),
    ((2, 3), (1, 1)),
    ((5, 7), (5, 7)),
    ((7, 5), (14, 10)),
    ((8, 6), (4, 3)),
    ((12, 9), (4, 3)),
    ((37, 53), (16, 24)),
    ((37, 53), (61, 19)),
    ((64, 48), (33, 47)),
    ((101, 3), (7, 11)),
    ((3, 200), (9, 31)),
    ((240, 320), (224, 299)),
]
# The method, whether it antialiases, and by how many levels our result may differ.
PILLOW = {"bilinear": 0, "bicubic": 0, "box": 0}
OPENCV = {"nearest": 0, "bilinear": 1, "bicubic": 1, "area": 1}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def need_pillow() -> Any:
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    if int(image.__version__.split(".")[0]) < 13:
        pytest.skip("before version 13 Pillow goes along rows first in tall pictures, too")
    return image


def by_pillow(pixels: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    from PIL import Image

    bands = [Image.fromarray(np.ascontiguousarray(pixels[..., c])) for c in range(pixels.shape[2])]
    how = Image.Resampling[method.upper()]
    return np.stack([np.asarray(band.resize((size[1], size[0]), how)) for band in bands], 2)


def by_opencv(pixels: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    import cv2

    how = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
    found = cv2.resize(pixels, (size[1], size[0]), interpolation=how.get(method, cv2.INTER_AREA))
    return found.reshape(*size, pixels.shape[2])


def pictures(rng: np.random.Generator, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Noise, and edges that overshoot."""
    for channels in (1, 3, 4):
        yield rng.integers(0, 256, (*size, channels), np.uint8)
        yield rng.choice(np.array([0, 255], np.uint8), (*size, channels))


def farthest(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape and a.dtype == b.dtype == np.uint8
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize(("size", "to"), SIZES)
@pytest.mark.parametrize("method", PILLOW)
def test_antialiased_is_pillow(method: str, size: tuple[int, int], to: tuple[int, int], rng: np.random.Generator):
    need_pillow()
    for pixels in pictures(rng, size):
        assert farthest(resized(pixels, to, method, antialias=True), by_pillow(pixels, to, method)) <= PILLOW[method]


@pytest.mark.parametrize(("size", "to"), SIZES)
@pytest.mark.parametrize("method", OPENCV)
def test_not_antialiased_is_opencv(method: str, size: tuple[int, int], to: tuple[int, int], rng: np.random.Generator):
    pytest.importorskip("cv2", reason="needs opencv-python-headless")
    for pixels in pictures(rng, size):
        assert farthest(resized(pixels, to, method, antialias=False), by_opencv(pixels, to, method)) <= OPENCV[method]


@pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"{SAMPLE} is not here")
def test_both_on_photographs():
    PIL = need_pillow()
    pytest.importorskip("cv2", reason="needs opencv-python-headless")
    files = sorted(path for path in SAMPLE.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:100]
    assert len(files) == 100
    for index, path in enumerate(files):
        pixels = np.asarray(PIL.open(path).convert("RGB"))
        method = list(PILLOW)[index % len(PILLOW)]
        assert farthest(resized(pixels, (97, 131), method, antialias=True), by_pillow(pixels, (97, 131), method)) == 0
        method = list(OPENCV)[index % len(OPENCV)]
        assert farthest(resized(pixels, (97, 131), method, antialias=False), by_opencv(pixels, (97, 131), method)) <= 1


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "area", "box"])
def test_a_window_is_cut_from_the_whole(method: str, rng: np.random.Generator):
    pixels = rng.integers(0, 256, (41, 67, 3), np.uint8)
    for smooth in {method == "box", method in ("bilinear", "bicubic", "box")}:
        whole = resized(pixels, (29, 83), method, antialias=smooth)
        window = part(pixels, (29, 83), (3, 11, 20, 64), method, antialias=smooth)
        np.testing.assert_array_equal(window, whole[3:23, 11:75])
