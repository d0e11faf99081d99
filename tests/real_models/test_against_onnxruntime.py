"""Real models give ONNX Runtime's results, within 1e-4 of the output's range, on noise and on real inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edgeort import lowering, model, sample
from edgeort.engine import Engine
from edgeort.passes import PassContext, run_passes
from tests.real_models.find import find, pictures
from tests.reference.build import ROOT

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4
CLASSIFIERS = (
    "mobilenetv2_100", "mobilenetv3_small_100", "mobilenetv3_large_100", "resnet18", "resnet50",
    "deit_tiny_patch16_224",
)  # fmt: skip


def compiled(path: Path, library: Path, folder: Path) -> Engine:
    graph = model.clean(model.load(path))
    run_passes(graph, PassContext())
    plan = folder / "model.plan"
    plan.write_bytes(lowering.lower(graph).to_bytes())
    return Engine(library, plan, threads=2)


def compare(path: Path, library: Path, folder: Path, feeds: Sequence[np.ndarray]) -> None:
    """One engine and one session, each of which runs every array: new shapes are prepared anew."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    engine = compiled(path, library, folder)
    pairs = [list(zip(engine.run([feed]), session.run(None, {name: feed}), strict=True)) for feed in feeds]
    for output in zip(*pairs, strict=True):
        # The range is that of all inputs together: a probability map of noise is all but zero.
        span = float(max(want.max() for _, want in output)) - float(min(want.min() for _, want in output))
        for ours, want in output:
            assert ours.shape == want.shape and ours.dtype == want.dtype
            assert np.isfinite(ours).all()
            worst = float(np.abs(ours.astype(np.float64) - want).max())
            assert worst <= TOLERANCE * span, f"{want.shape}: off by {worst} in a range of {span}"


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def photograph(path: Path, width: int, height: int, mean: float = 127, scale: float = 128) -> np.ndarray:
    """The picture as float32 [1, 3, height, width]."""
    image = pytest.importorskip("PIL.Image", reason="needs pillow to read pictures")
    with image.open(path) as file:
        pixels = np.asarray(file.convert("RGB").resize((width, height)), np.float32)
    return np.ascontiguousarray(((pixels - mean) / scale).transpose(2, 0, 1)[np.newaxis], np.float32)


def line_of_text(width: int, height: int) -> np.ndarray:
    """Black letters on white as float32 [1, 3, height, width]."""
    image = pytest.importorskip("PIL.Image", reason="needs pillow to draw text")
    draw, font = (pytest.importorskip(f"PIL.{name}") for name in ("ImageDraw", "ImageFont"))
    page = image.new("RGB", (width, height), "white")
    draw.Draw(page).text((4, height // 2 - 14), "Edge 2026", fill="black", font=font.load_default(28))
    pixels = np.asarray(page, np.float32)
    return np.ascontiguousarray(((pixels - 127.5) / 127.5).transpose(2, 0, 1)[np.newaxis], np.float32)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name: str, whole_library: Path, tmp_path: Path) -> None:
    compare(find(name), whole_library, tmp_path, [noise(1, 3, 224, 224), photograph(pictures(1)[0], 224, 224)])


def test_yolov8n(whole_library: Path, tmp_path: Path) -> None:
    photographs = [photograph(path, 320, 320, 0, 255) for path in pictures(2)]
    compare(find("yolov8n"), whole_library, tmp_path, [noise(1, 3, 320, 320), *photographs])


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("ppocr_det", [(320, 320), (192, 480)]),
        ("ppocr_rec", [(48, 320), (48, 96)]),
        ("ppocr_cls", [(48, 192), (48, 192)]),
    ],
)
def test_reading_text(name: str, sizes: list[tuple[int, int]], whole_library: Path, tmp_path: Path) -> None:
    """Sizes are free dimensions of one engine."""
    feeds = [noise(1, 3, *size) for size in sizes]
    feeds += [line_of_text(width, height) for height, width in sizes]
    if name != "ppocr_det":
        feeds.append(noise(3, 3, *sizes[0]))
    compare(find(name), whole_library, tmp_path, feeds)


def test_magika_on_real_files(whole_library: Path, tmp_path: Path) -> None:
    """The first and last 1024 bytes of a file, 256 where there is none."""
    feeds = []
    for path in (ROOT / "LICENSE", ROOT / "pyproject.toml", sample.path(), Path(__file__), ROOT / ".gitignore"):
        data = np.frombuffer(path.read_bytes(), np.uint8).astype(np.int32)
        tokens = np.full((1, 2048), 256, np.int32)
        head, tail = data[:1024], data[-1024:]
        tokens[0, : head.size] = head
        tokens[0, 2048 - tail.size :] = tail
        feeds.append(tokens)
    compare(find("magika"), whole_library, tmp_path, [*feeds, np.concatenate(feeds)])


def test_sample(whole_library: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 17, (5, 1, 8, 8)).astype(np.float32)
    compare(sample.path(), whole_library, tmp_path, [images, images[:1]])
