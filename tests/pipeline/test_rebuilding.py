"""`edgeort verify --rebuild MODEL`: the options of the build stand in the bundle, files are asked for by content."""

from __future__ import annotations

import dataclasses
import inspect
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort import pipeline
from edgeort.bundle import Vocabulary, open_bundle
from edgeort.errors import BundleError, InputError
from edgeort.pipeline import Accuracy, Wish, recording
from edgeort.pipeline.rebuilding import _run, differences
from edgeort.recipes.picture_steps import parse
from edgeort.recipes.sound import read_sound
from edgeort.recipes.written import Written
from edgeort.records import Content, encode
from edgeort.validate import Limits
from tests.cli.support import call
from tests.models import HOST, ON_HOST, mlp


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """m.onnx, rows.npy, and a bundle of int8 with options of many kinds."""
    folder = tmp_path_factory.mktemp("made")
    onnx.save(mlp(), folder / "m.onnx")
    np.save(folder / "rows.npy", np.random.default_rng(0).standard_normal((16, 8)).astype(np.float32))
    np.save(folder / "x.npy", np.ones((3, 8), np.float32))
    (folder / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\na\n")
    (folder / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    options = ["--precision", "int8", "--data", folder / "rows.npy", "--samples", "12", "--exclude", "fc2"]
    options += ["--vocab", folder / "vocab.txt", "--cased", "--input", f"x={folder / 'x.npy'}", "--threads", "1"]
    options += ["--min-sqnr", "3", "--model-license", "MIT", "--ram-limit", "1M", "--shape", "x=Nx8"]
    options += ["--postprocess", f"top-k 1 labels={folder / 'labels.txt'}"]
    result = call("build", folder / "m.onnx", *ON_HOST, "-o", folder / "b.zip", *options)
    assert result.exit_code == 0, result.stderr
    return folder


def test_the_options_are_told_without_paths(made: Path):
    with open_bundle(made / "b.zip") as bundle:
        options = bundle.manifest.options
    assert options["accuracy"] == {
        "precision": "int8",
        "data": {"sha256": Content.of(made / "rows.npy").sha256, "files": 1},
        "limits": {"min_sqnr_db": 3.0},
        "samples": 12,
        "exclude": ["fc2"],
    }
    assert options["vocabulary"]["cased"] and options["inputs"] == ["x"] and options["ram_limit"] == 1 << 20
    assert options["wish"] == {"provider": "cpu"} and options["profile"]["name"] == "host"
    assert str(made) not in str(options)


def test_a_process_that_prints_much_is_heard_to_its_end():
    """More than a pipe holds, on both streams."""
    program, said = (
        "import sys; print('o' * 200000); print('stage: one\\n' + 'e' * 200000, file=sys.stderr)",
        list[str](),
    )
    code, stdout, stderr = _run([sys.executable, "-c", program], dict(os.environ), said.append)
    assert (code, len(stdout), len(stderr), said) == (0, 200001, 200001, ["one"])


@pytest.mark.slow
def test_the_model_and_the_data_give_the_bundle_again(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere.npy").write_bytes((made / "rows.npy").read_bytes())
    (tmp_path / "json.py").write_text("raise ImportError('this is none of ours')\n")
    result = call("verify", made / "b.zip", "--rebuild", made / "m.onnx", "--data", "elsewhere.npy")
    assert result.exit_code == 0, result.stderr
    assert "the same bytes in every file" in result.stdout
    assert "edgeort: compile\n" in result.stderr


def test_the_build_says_what_it_is_at_until_it_fails(made: Path, tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes((made / "m.onnx").read_bytes()[:-9])
    said: list[str] = []
    with (
        open_bundle(made / "b.zip") as bundle,
        pytest.raises(InputError, match=r"built as .* was: .*truncated") as failed,
    ):
        differences(bundle, tmp_path / "m.onnx", {"data": made / "rows.npy"}, said.append)
    assert said == ["load"] and "download" in str(failed.value.hint)


def test_files_are_asked_for_and_compared(made: Path, tmp_path: Path):
    with open_bundle(made / "b.zip") as bundle:
        with pytest.raises(InputError, match="was built with --data: 1 file of SHA-256 ") as missing:
            differences(bundle, made / "m.onnx", {})
        assert missing.value.hint and "--data PATH" in missing.value.hint
        np.save(tmp_path / "rows.npy", np.ones((16, 8), np.float32))
        with pytest.raises(InputError, match="is not what .* was built with: it holds 1 file"):
            differences(bundle, made / "m.onnx", {"data": tmp_path / "rows.npy"})
        with pytest.raises(InputError, match="--labels: .* was built with --data, --vocabulary"):
            differences(bundle, made / "m.onnx", {"labels": tmp_path})
    result = call("verify", made / "b.zip", "--rebuild", made / "m.onnx", "--data")
    assert result.exit_code == 2 and "this is not --NAME PATH" in result.stderr


@pytest.mark.parametrize("name", ["labels", "data", "path"])
def test_a_file_of_a_recipe_may_be_called_as_an_option(made: Path, name: str):
    behind = {"text": f"top-k 1 labels={name}", "files": {name: encode(made / "labels.txt")}}
    asked = {"data": encode(made / "rows.npy"), "labels": encode(made / "x.npy")}
    with open_bundle(made / "b.zip") as bundle:
        bundle.manifest = dataclasses.replace(bundle.manifest, options={"accuracy": asked, "postprocess": behind})
        found = recording.located(bundle, {"data": made / "rows.npy", "labels": made / "x.npy"})
        own = found.pop(("postprocess", "files", name))
        assert own.read_bytes() == (made / "labels.txt").read_bytes()
    assert found == {("accuracy", "data"): made / "rows.npy", ("accuracy", "labels"): made / "x.npy"}


def test_a_folder_is_its_files(tmp_path: Path):
    for name in ("one", "other"):
        (tmp_path / name / "below").mkdir(parents=True)
        (tmp_path / name / "below/a.png").write_bytes(b"a")
        (tmp_path / name / "b.png").write_bytes(b"b")
    assert Content.of(tmp_path / "one") == Content.of(tmp_path / "other")
    assert Content.of(tmp_path / "one").files == 2
    (tmp_path / "other/b.png").rename(tmp_path / "other/c.png")
    assert Content.of(tmp_path / "one") != Content.of(tmp_path / "other")


def test_every_option_of_a_build_comes_back(made: Path):
    """Also one that is new: each argument that is no place is recorded, and read again as what it was."""
    rows = made / "rows.npy"
    accuracy = Accuracy(
        "int8", rows, None, "folders", "classification", Limits(max_drop=1.0), "y", None, 7, ("a", "b"),
        parse("resize 4x6 bicubic; mean=0.5; std=1,2,3"), "auto", "2:4", 0.25,
    )  # fmt: skip
    arguments = {
        "profile": dataclasses.replace(HOST, name="mine"),
        "shapes": {"x": ("N", 8)},
        "io_layout": "nhwc",
        "threads": 3,
        "ram_limit": 12345,
        "accuracy": accuracy,
        "vocabulary": Vocabulary(made / "vocab.txt", cased=True),
        "preprocess": parse("imagenet; from=rgba"),
        "postprocess": Written.of(f"top-k 3 labels={made}/vocab.txt", "--postprocess"),
        "signatures": True,
        "embed_model": True,
        "static": True,
        "model_licence": "MIT",
        "wish": Wish("openvino", True, {"NUM_STREAMS": "1"}),
    }
    parameters = set(inspect.signature(pipeline.build).parameters) - set(recording.UNRECORDED) - {"inputs"}
    assert parameters == set(arguments), "the test lacks a new option"
    told = recording.record(pipeline.build, {**arguments, "inputs": None})
    with open_bundle(made / "b.zip") as bundle:
        bundle.manifest = dataclasses.replace(bundle.manifest, options=told)
        files = recording.located(bundle, {"data": rows})
        again = recording.replay(pipeline.build, bundle, files)
        assert recording.record(pipeline.build, {**again, "inputs": None}) == told
        own, behind = again.pop("vocabulary"), again.pop("postprocess")
        assert behind.text == "top-k 3 labels=vocab.txt"
        assert behind.files["vocab.txt"].read_bytes() == (made / "vocab.txt").read_bytes()
        assert own.path.read_bytes() == (made / "vocab.txt").read_bytes() and own.cased
    assert again == {name: value for name, value in arguments.items() if name not in ("vocabulary", "postprocess")}


@pytest.mark.parametrize(
    "recipe",
    [
        "whisper; mean=0.5",
        "from=int16; rate=8000; frame 512 hop=256; layout=frames-first; input=x",
        "resample 8000 from=11025; fit 99; stft n_fft=256",
    ],
)
def test_a_recipe_for_sound_comes_back(made: Path, recipe: str):
    sound = read_sound(recipe)
    with open_bundle(made / "b.zip") as bundle:
        told = {"profile": encode(HOST), "preprocess": encode(sound)}
        bundle.manifest = dataclasses.replace(bundle.manifest, options=told)
        assert recording.replay(pipeline.build, bundle, {})["preprocess"] == sound


def test_samples_of_a_program_cannot_be_asked_for(made: Path):
    rows = [{"x": np.ones((1, 8), np.float32)}] * 4
    told = encode(Accuracy("int8", rows))
    assert told == {"precision": "int8", "data": {"untold": "list"}}
    with open_bundle(made / "b.zip") as bundle:
        bundle.manifest = dataclasses.replace(bundle.manifest, options={"accuracy": told})
        with pytest.raises(InputError, match="in Python with a list for data"):
            recording.located(bundle, {})


@pytest.mark.parametrize(
    "options",
    [
        {"x": 1},
        {"threads": "2"},
        {"profile": {}},
        {"inputs": ["none"]},
        {"accuracy": {"precision": "int3"}},
        {"on": "ssh:elsewhere"},
        {"out": "elsewhere"},
    ],
)
def test_options_of_no_build_are_refused(made: Path, options: dict[str, object]):
    with open_bundle(made / "b.zip") as bundle:
        bundle.manifest = dataclasses.replace(bundle.manifest, options={**bundle.manifest.options, **options})
        with pytest.raises(BundleError, match="its options are not those of a build"):
            recording.replay(
                pipeline.build, bundle, dict.fromkeys([("accuracy", "data"), ("vocabulary", "path")], made)
            )
