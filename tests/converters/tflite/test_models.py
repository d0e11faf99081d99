"""Whole models in LiteRT: float within 1e-4 of ONNX Runtime, int8 as near to the float model as ONNX Runtime's int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort import model as models
from edgeort import sample
from edgeort.converters import tflite
from edgeort.quantize import Options, Steps, quantize
from tests.converters.tflite.support import operators, run, sqnr_db
from tests.real_models.find import find

ort = pytest.importorskip("onnxruntime")
IMAGE = (1, 3, 224, 224)
FLOAT = {
    "mobilenetv2_100": IMAGE, "resnet18": IMAGE, "deit_tiny_patch16_224": IMAGE, "yolov8n": (1, 3, 320, 320),
    "ppocr_rec": (1, 3, 48, 160),
}  # fmt: skip
LOSS_DB = 1.5  # of signal to noise that int8 in LiteRT may lose to int8 in ONNX Runtime, both against the float model


def answers(path: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def lowered(path: Path, feeds: dict[str, np.ndarray]) -> tflite.Lowered:
    shapes = {name: array.shape for name, array in feeds.items()}
    return tflite.lower(models.clean(models.load(path, shapes=shapes)), tflite.DEFAULT)


def noise(path: Path, shape: tuple[int, ...], seed: int = 0) -> dict[str, np.ndarray]:
    (value,) = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_inputs()
    return {value.name: np.random.default_rng(seed).standard_normal(shape).astype(np.float32)}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOAT)
def test_float(name: str):
    path = find(name)
    feeds = noise(path, FLOAT[name])
    made = lowered(path, feeds)
    assert not made.refusals
    found = run(tflite.to_bytes(made), feeds)
    for got, want in zip(found.values(), answers(path, feeds), strict=True):
        span = float(want.max() - want.min())
        assert got.shape == want.shape and np.abs(got - want).max() <= 1e-4 * span


def test_the_sample_in_float_and_int8(tmp_path: Path):
    feeds = {"image": np.random.default_rng(0).integers(0, 17, (64, 1, 8, 8)).astype(np.float32)}
    (want,) = answers(sample.path(), feeds)
    found = run(tflite.to_bytes(lowered(sample.path(), feeds)), feeds)["logits"]
    assert np.abs(found - want).max() <= 1e-5 * (want.max() - want.min())
    compare_int8(sample.path(), tmp_path / "int8.onnx", [{"image": image[None]} for image in feeds["image"]], feeds)


@pytest.mark.slow
def test_int8(tmp_path: Path):
    path = find("mobilenetv3_small_100")
    made = compare_int8(
        path, tmp_path / "int8.onnx", [noise(path, IMAGE, seed) for seed in range(1, 4)], noise(path, IMAGE)
    )
    floats = {"DEQUANTIZE", "HARD_SWISH", "FULLY_CONNECTED"}
    assert sum(operator in floats for operator in operators(made)) < len(operators(made)) / 2


def compare_int8(
    path: Path, quantised: Path, samples: list[dict[str, np.ndarray]], feeds: dict[str, np.ndarray]
) -> tflite.Lowered:
    """Quantises, and compares both runtimes with the float model."""
    quantize(path, quantised, samples, Options(steps=Steps(gptq=False, compensation=False)))
    (want,), (theirs,) = answers(path, feeds), answers(quantised, feeds)
    made = lowered(quantised, feeds)
    assert not made.refusals
    data = tflite.to_bytes(made)
    (got,) = run(data, feeds).values()
    assert sqnr_db(got, want) > sqnr_db(theirs, want) - LOSS_DB
    assert sqnr_db(got, theirs) > 20
    return made
