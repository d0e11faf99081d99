"""Builds with a recipe for sound: the bundle takes a signal of any length."""

from __future__ import annotations

import dataclasses
import json
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import edgeort
from edgeort.bundle import open_bundle
from edgeort.devices import open_device
from edgeort.errors import InputError
from edgeort.quantize.samples import open_samples
from edgeort.recipes.hearing import hear
from edgeort.recipes.picture_steps import parse
from edgeort.recipes.sound import read_sound
from edgeort.validate import Exam, assess
from edgeort.validate.validation import validate
from edgeort.values import Value
from tests.cli.support import call
from tests.models import HOST, ON_HOST, model

RECIPE = "from=int16; resample 8000 from=11025; log-mel n_fft=256 hop=80 mels=20 pad=reflect top=80"
VALUE = Value("bands", "float32", (1, 1, 20, "T"))


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bands [1, 1, 20, T] -> convolution, mean over time -> scores [1, 6]."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.standard_normal((6, 1, 20, 3)).astype(np.float32) / 60, "w"),
        numpy_helper.from_array(np.array([1, 6], np.int64), "shape"),
    ]
    nodes = [
        helper.make_node("Conv", ["bands", "w"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["m"]),
        helper.make_node("Reshape", ["m", "shape"], ["scores"]),
    ]
    path = tmp_path_factory.mktemp("model") / "listener.onnx"
    onnx.save(model(nodes, [("bands", [1, 1, 20, "T"])], [("scores", [1, 6])], weights), path)
    return path


@pytest.fixture(scope="module")
def bundle(listener: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "listener"
    after = "softmax; top-k 2"
    done = edgeort.build(listener, HOST, out, preprocess=read_sound(RECIPE), postprocess=after, keep_stages=True)
    assert done.preprocess == read_sound(RECIPE).text and done.postprocessing is not None
    return out


def test_a_session_takes_signals_of_any_length(bundle: Path, listener: Path):
    hearing = hear(read_sound(RECIPE), [Value("bands", "float32", (1, 1, 20, "T"))])
    reference = onnxruntime.InferenceSession(listener, providers=["CPUExecutionProvider"])
    with edgeort.InferenceSession(bundle) as session:
        (value,) = session.get_inputs()
        assert (value.name, value.type, value.shape) == ("bands", "tensor(int16)", ["bands_samples"])
        for samples in (400, 11025, 30001):
            x = (np.random.default_rng(samples).standard_normal(samples) * 3000).astype(np.int16)
            score, classes, scores = session.run(None, {"bands": x})
            (want,) = reference.run(None, hearing.prepared({"bands": x}))
            np.testing.assert_allclose(scores, want, rtol=1e-4, atol=1e-4)
            np.testing.assert_array_equal(classes[0], np.argsort(-scores[0])[:2])


def test_validation_hears_too(bundle: Path, listener: Path):
    with open_bundle(bundle) as opened:
        with open_device(None, opened.manifest) as device:
            found = validate(opened, device, model=listener)
        assert [comparison.output for comparison in found.comparisons] == ["scores"]
        assert opened.manifest.hearing is not None and opened.manifest.hearing.sound == read_sound(RECIPE)
        with pytest.raises(InputError, match="the bundle takes sound, by the recipe it has"):
            assess(opened, listener, Exam([{"bands": np.zeros(4000, np.int16)}]), recipe=parse("imagenet"))


def test_onnx_runtime_runs_the_models_that_are_kept(bundle: Path):
    stage = next(Path(f"{bundle}.stages").glob("*-postprocess.onnx"))
    session = onnxruntime.InferenceSession(stage, providers=["CPUExecutionProvider"])
    with edgeort.InferenceSession(bundle) as ours:
        x = (np.random.default_rng(1).standard_normal(5000) * 3000).astype(np.int16)
        for a, b in zip(ours.run(None, {"bands": x}), session.run(None, {"bands": x}), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("recipe", "shape", "message", "hint"),
    [
        ("log-mel mels=20", (1, 1, 20, 30), "axis 3 of the model's input differs", "fit SAMPLES"),
        ("fit 2400; log-mel mels=20 n_fft=256 hop=80", (1, 1, 20, 30), r"the recipe makes \[1, 1, 20, 31\]", None),
        ("fit 2400; log-mel mels=20 n_fft=256 hop=80", (1, 31, 20), "axis 1", "layout=frames-first"),
        ("log-mel mels=20", (2, 20, "T"), "axis 0", None),
        ("log-mel mels=20", (20,), "has rank 1", None),
        ("input=y; log-mel", (1, 20, "T"), "becomes one input of float32", "input=bands"),
    ],
)
def test_what_does_not_fit_is_named(recipe: str, shape: tuple, message: str, hint: str | None):
    with pytest.raises(InputError, match=message) as caught:
        hear(read_sound(recipe), [Value("bands", "float32", shape)])
    assert hint is None or hint in str(caught.value.hint)


def test_a_golden_signal_is_exact():
    hearing = hear(read_sound("log-mel"), [Value("x", "float32", (1, 128, "T"))])
    signal = hearing.golden()
    assert signal.dtype == np.float32 and len(signal) == 1 << 15
    assert np.abs(signal).max() <= 1 and np.array_equal(signal * 32768, np.rint(signal * 32768))


def tones(folder: Path, count: int, rate: int = 11025) -> Path:
    """.wav files of a third of a second, each a tone of its own."""
    folder.mkdir()
    at = np.arange(rate // 3)
    for index in range(count):
        signal = (12000 * np.sin(at * (0.05 + 0.1 * index))).astype("<i2")
        with wave.open(str(folder / f"{index:02}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(signal.tobytes())
    return folder


def test_recordings_calibrate_and_judge(listener: Path, tmp_path: Path):
    data = tones(tmp_path / "tones", 12)
    options = ["--preprocess", RECIPE, "--precision", "int8", "--data", data, "--min-sqnr", "25"]
    done = call("build", listener, *ON_HOST, "-o", tmp_path / "b", *options)
    assert done.exit_code == 0, done.stderr
    with open_bundle(tmp_path / "b") as opened:
        assert "int8" in {node.precision for node in opened.manifest.nodes}
        about = opened.manifest.quantization
        assert about is not None and (about["samples"], about["judged_samples"]) == (6, 6)
    done = call("validate", tmp_path / "b", "--model", listener, "--data", data, "--samples", 4, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["evaluation"]["samples"] == 4


def test_rows_of_an_array_are_signals_as_files_are(listener: Path, tmp_path: Path):
    data, hearing = tones(tmp_path / "tones", 3), hear(read_sound(RECIPE), [VALUE])
    found = list(open_samples(data, [VALUE], hearing))
    np.save(tmp_path / "rows.npy", [sample["bands"] for sample in open_samples(data, [VALUE], hearing).as_loaded()])
    rows = open_samples(tmp_path / "rows.npy", [VALUE], hearing)
    assert rows.count == 3 and rows.names() == ["rows.npy[0]", "rows.npy[1]", "rows.npy[2]"]
    for a, b in zip(found, rows, strict=True):
        assert a["bands"].shape[:3] == (1, 1, 20) and np.array_equal(a["bands"], b["bands"])
    np.save(tmp_path / "one.npy", np.zeros(4000, np.int16))
    assert open_samples(tmp_path / "one.npy", [VALUE], hearing).count == 1


@pytest.mark.parametrize(
    ("name", "made", "message"),
    [
        ("a.wav", lambda path: tones(path.parent / "t", 1, 8000).joinpath("00.wav").rename(path), "16 bits, 8000 Hz"),
        ("a.wav", lambda path: path.write_bytes(b"RIFF\4\0\0\0WAVE"), "cannot be read as .wav"),
        (
            "a.npy",
            lambda path: np.save(path, np.zeros(900, np.float32)),
            "holds float32, and the recipe takes .* int16",
        ),
        ("a.npy", lambda path: np.save(path, np.zeros((1, 1, 900), np.int16)), "is none of signals"),
        ("a.npy", lambda path: path.write_bytes(b"no array"), "cannot be read"),
        ("a.txt", lambda path: path.write_text("none"), "no signals in it"),
        (
            "a.npy",
            lambda path: np.save(path, np.zeros(1, np.int16)),
            "a.npy: the recipe makes nothing of a signal of 1 samples",
        ),
    ],
)
def test_recordings_that_do_not_fit_are_named(tmp_path: Path, name: str, made: Callable, message: str):
    made(tmp_path / name)
    with pytest.raises(InputError, match=message):
        list(open_samples(tmp_path / name, [VALUE], hear(read_sound(RECIPE), [VALUE])))


def test_signals_of_another_type_are_not_made_zeros(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.zeros(900, np.float32))
    with pytest.raises(InputError) as caught:
        open_samples(tmp_path / "a.npy", [VALUE], hear(read_sound(RECIPE), [VALUE]))
    assert caught.value.hint == "numpy.save(FILE, numpy.round(32767 * x).astype('int16'))"


def test_a_signal_of_another_length_than_the_model_takes():
    value = Value("bands", "float32", (1, 1, 20, 30))
    hearing = hear(read_sound("log-mel n_fft=256 hop=80 mels=20; fit 2399"), [value])
    with pytest.raises(InputError, match=r"makes \[1, 1, 20, 31\] of a signal of 2400 samples; the model takes"):
        dataclasses.replace(hearing, sound=read_sound("log-mel n_fft=256 hop=80 mels=20")).prepared(
            {"bands": np.zeros(2400, np.float32)}
        )
