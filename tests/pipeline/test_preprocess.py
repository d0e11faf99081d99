"""Bundles that take pictures: the answers are the model's to the recipe's tensor, and so is all that goes with it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import edgeort
from edgeort import pipeline
from edgeort.bundle import Bundle, open_bundle
from edgeort.devices import open_device
from edgeort.errors import InputError, UnsupportedError
from edgeort.pipeline import Accuracy, Wish
from edgeort.recipes import reference
from edgeort.recipes.picture_steps import parse
from edgeort.validate import Exam, Limits, assess, validate
from tests.cli.support import call
from tests.models import HOST
from tests.quantize.models import mobile, save

PIL = pytest.importorskip("PIL.Image", reason="needs Pillow")
RECIPE = "imagenet; resize share=0.8 bicubic"
SIZES = [(31, 20), (12, 12), (40, 57), (15, 90), (24, 33), (101, 64)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """m.onnx, its bundle b that takes pictures, and a folder of pictures of many sizes."""
    folder = tmp_path_factory.mktemp("preprocess")
    save(folder / "m.onnx", mobile())
    (folder / "pictures").mkdir()
    for index, pixels in enumerate(photographs()):
        PIL.fromarray(pixels).save(folder / f"pictures/{index}.png")
    edgeort.build(folder / "m.onnx", HOST, folder / "b", preprocess=parse(RECIPE))
    return folder


def photographs() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in SIZES]


@pytest.fixture(scope="module")
def bundle(place: Path) -> Bundle:
    with open_bundle(place / "b") as opened:
        return opened


def test_it_takes_pictures_of_any_size(place: Path, bundle: Bundle):
    front = bundle.manifest.built_in
    assert front is not None and bundle.manifest.preprocessing is not None
    assert bundle.manifest.preprocessing["recipe"] == (
        "input=x; from=rgb; resize short=15 bicubic; crop 12x12; rgb; scale=1/255; mean=0.485,0.456,0.406; "
        "std=0.229,0.224,0.225"
    )
    (value,) = bundle.manifest.inputs
    assert (value.dtype, value.shape) == ("uint8", ("x_height", "x_width", 3))
    assert bundle.manifest.nodes[0].op == "Picture"
    taking, plain = (edgeort.InferenceSession(place / name) for name in ("b", "m.onnx"))
    for pixels in photographs():
        tensor = reference.tensor(pixels, front.recipe, front.form)
        (found,), (want,) = taking.run(None, {"x": pixels}), plain.run(None, {"x": tensor})
        np.testing.assert_array_equal(found, want)


def test_its_golden_files_are_picture_tensor_and_output(place: Path, bundle: Bundle):
    front = bundle.manifest.built_in
    assert front is not None
    pixels, tensor = (np.load(bundle.golden / name) for name in ("input0.npy", "tensor.npy"))
    np.testing.assert_array_equal(reference.tensor(pixels, front.recipe, front.form), tensor)
    session = onnxruntime.InferenceSession(place / "m.onnx")
    np.testing.assert_allclose(session.run(None, {"x": tensor})[0], np.load(bundle.golden / "output0.npy"), atol=1e-5)


def test_it_is_validated(place: Path, bundle: Bundle):
    with open_device(None, bundle.manifest) as device:
        found = validate(bundle, device, model=place / "m.onnx")
        assert [one.problem for one in found.comparisons] == [None]
        given = validate(bundle, device, model=place / "m.onnx", feeds={"x": photographs()[0]})
        assert given.golden == found.golden
    exam = Exam(place / "pictures", task="classification", limits=Limits(min_agreement=1.0))
    judged = assess(bundle, place / "m.onnx", exam)
    assert judged.is_kept and judged.samples == len(SIZES) and not judged.warnings
    np.save(place / "x.npy", np.stack([photographs()[0]] * 2))
    assert assess(bundle, place / "m.onnx", Exam(place / "x.npy")).samples == 2
    with pytest.raises(InputError, match="the bundle takes pictures, by the recipe it has"):
        assess(bundle, place / "m.onnx", exam, recipe=parse("yolo"))


def test_int8_is_calibrated_by_the_recipe_and_reads_bytes(place: Path):
    with (place / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label"), *((f"{i}.png", i % 2) for i in range(len(SIZES)))])
    accuracy = Accuracy("int8", place / "pictures", labels=str(place / "labels.csv"))
    built = edgeort.build(place / "m.onnx", HOST, place / "i", accuracy=accuracy, preprocess=parse(RECIPE))
    assert built.evaluation is not None and built.evaluation.labelled == 3
    with open_bundle(place / "i") as opened:
        first, second = opened.manifest.nodes[:2]
        assert (first.op, first.precision, second.precision) == ("Picture", "int8", "int8")
        exam = Exam(place / "pictures", limits=Limits(min_sqnr_db=10))
        assert assess(opened, place / "m.onnx", exam).is_kept


def test_other_layouts_and_channels(place: Path, bundle: Bundle):
    recipe = parse(f"from=bgra; {RECIPE.removeprefix('imagenet; ')}; crop; bgr")
    edgeort.build(place / "m.onnx", HOST, place / "l", preprocess=recipe, io_layout="nhwc")
    front = bundle.manifest.built_in
    pixels = photographs()[0]
    alpha = np.concatenate([pixels[..., ::-1], np.zeros((*pixels.shape[:2], 1), np.uint8)], 2)
    bound = recipe.bound(front.form) if front else recipe
    assert front is not None
    tensor = reference.tensor(alpha, bound, front.form)
    (want,) = edgeort.InferenceSession(place / "m.onnx").run(None, {"x": tensor})
    (found,) = edgeort.InferenceSession(place / "l").run(None, {"x": np.ascontiguousarray(alpha)})
    np.testing.assert_array_equal(found, want)


def test_other_providers_say_why_they_do_not_take_it(place: Path):
    pytest.importorskip("openvino", reason="needs openvino")
    with pytest.raises(UnsupportedError, match="it takes tensors, and --preprocess puts a node"):
        pipeline.build(place / "m.onnx", "host", place / "o", preprocess=parse(RECIPE), wish=Wish("openvino", True))


def test_core_ml_takes_an_image(place: Path):
    """Of the model's size: it scales and normalises, the app resizes."""
    pytest.importorskip("coremltools", reason="needs coremltools")
    out = place / "coreml"
    wish = Wish("coreml", True)
    built = pipeline.build(place / "m.onnx", "iphone15", out, preprocess=parse(RECIPE), wish=wish)
    assert "to resize and to crop is the app's part" in " ".join(built.refusals)
    with open_bundle(out) as opened:
        assert opened.manifest.front is not None and opened.manifest.built_in is None
        features = json.loads((opened.folder / "model/features.json").read_bytes())
        assert [feature["dtype"] for feature in features["inputs"]] == ["image"]
        assert np.load(opened.golden / "input0.npy").dtype == np.float32
    result = call("package", out, "--ios", "-o", place / "app")
    assert result.exit_code == 0, result.stderr
    assert len(list((place / "app").rglob("*.mlpackage"))) == 1
    assert any("CVPixelBuffer" in source.read_text() for source in (place / "app").rglob("*.swift"))


def test_a_recipe_for_the_data_alone(place: Path):
    out = place / "t"
    command = ("build", place / "m.onnx", "--device", "host", "--provider", "cpu", "-o", out)
    result = call(*command, "--preprocess", RECIPE, "--tensor-input", "--data", place / "pictures")
    assert result.exit_code == 0, result.stderr
    with open_bundle(out) as opened:
        front = opened.manifest.front
        assert opened.manifest.built_in is None and opened.manifest.inputs[0].dtype == "float32"
        assert front is not None and front.recipe.resize is not None and front.recipe.resize.method == "bicubic"


def test_verify_compares_an_apps_tensor(place: Path, bundle: Bundle):
    picture = place / "golden.png"
    said = call("verify", place / "b", "--golden-picture", picture)
    assert said.exit_code == 0 and "golden.png" in said.stdout
    pixels = np.asarray(PIL.open(picture))
    np.testing.assert_array_equal(pixels, np.load(bundle.golden / "input0.npy"))
    tensor = np.load(bundle.golden / "tensor.npy")
    tensor.tofile(place / "right.bin")
    result = call("verify", place / "b", "--input-tensor", place / "right.bin", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["input_tensor"]["is_same"]
    np.save(place / "wrong.npy", tensor.transpose(0, 2, 3, 1))
    result = call("verify", place / "b", "--input-tensor", place / "wrong.npy")
    assert result.exit_code == 1 and "what differs: layout" in result.stderr
    assert "hint: layout: NCHW, not NHWC" in result.stderr and "->" in result.stdout
    np.save(place / "wrong.npy", np.random.default_rng(0).standard_normal(tensor.shape))
    result = call("verify", place / "b", "--input-tensor", place / "wrong.npy")
    assert result.exit_code == 1 and "no stage explains it" in result.stderr
