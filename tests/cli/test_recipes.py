"""Recipes on the command line and in edgeort.toml."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeort import sample
from edgeort.bundle import open_bundle, write_bundle
from tests.cli.support import call
from tests.models import ON_HOST


def test_build_says_what_comes_out(tmp_path: Path):
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join("abcdefghij"))
    recipe = f"softmax; top-k 2 labels={labels}"
    result = call("build", sample.path(), *ON_HOST, "-o", tmp_path / "b", "--postprocess", recipe)
    assert result.exit_code == 0, result.output
    row = next(line for line in result.stdout.splitlines() if line.startswith("  after"))
    assert row.split("after")[1].strip().startswith("softmax; top-k 2")
    result = call("run", tmp_path / "b", "-o", tmp_path / "outputs")
    assert result.exit_code == 0 and "'" in next(line for line in result.stdout.splitlines() if "label" in line)
    assert set(np.load(tmp_path / "outputs/output0.npy").reshape(-1)) <= {c.encode() for c in "abcdefghij"}
    result = call("validate", tmp_path / "b", "--model", sample.path())
    assert result.exit_code == 0 and "logits" in result.stdout and "label" not in result.stdout
    with open_bundle(tmp_path / "b") as bundle:  # whoever makes a bundle may say that there is no post-processing
        files = {name: bundle.folder / name for name in bundle.manifest.files}
        write_bundle(tmp_path / "other", replace(bundle.manifest, postprocessing=None), files)
    result = call("validate", tmp_path / "other", "--model", sample.path())
    assert result.exit_code == 2 and "4 outputs of the model, which has 1" in result.stderr.replace("\n", " ")


def test_the_recipe_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.txt").write_text("\n".join("abcdefghij"))
    model = f'[model]\npath = "{sample.path()}"\n'
    (tmp_path / "edgeort.toml").write_text(f'{model}[postprocess]\nsteps = "top-k 1 labels=labels.txt"\n')
    result = call("build", *ON_HOST, "-o", "b", "--json")
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)["postprocessing"]
    assert made == {"recipe": "top-k 1 labels=labels.txt", "outputs": ["label", "score", "class"]}
    result = call("build", sample.path(), *ON_HOST, "-o", "b2", "--json")  # the recipe is that of the folder's model
    assert json.loads(result.stdout)["postprocessing"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--postprocess", "yolo"], "and yolo reads [1, 4 + classes, boxes]"),
        (["--postprocess", "top-k 11"], "output 'logits' of the model has 10 classes"),
        (["--postprocess", "; ;"], "there is no step in it"),
        (["--preprocess", "whisper"], "axis 2 of the model's input differs"),
        (["--preprocess", "whisper", "--tensor-input"], "--tensor-input is for pictures"),
        (["--preprocess", "log-mel mels=8; rgb"], "'rgb': unknown"),
    ],
)
def test_what_is_wrong_is_bad_input(arguments: list[str], message: str, tmp_path: Path):
    result = call("build", sample.path(), *ON_HOST, "-o", tmp_path / "b", *arguments)
    assert result.exit_code == 2 and message in result.stderr.replace("\n", " ")
    assert not (tmp_path / "b").exists()


def test_a_tensor_input_with_the_recipe_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edgeort.toml").write_text('[preprocess]\nsteps = "bytes; from=gray"\n')
    result = call("build", *ON_HOST, "-o", "b", "--tensor-input", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["preprocess"] == ""
    result = call("build", sample.path(), *ON_HOST, "-o", "b", "--tensor-input")
    assert result.exit_code == 2 and "add --preprocess RECIPE" in result.stderr


@pytest.mark.parametrize("command", ["quantize", "prune"])
def test_samples_need_no_recipe_for_sound(command: str, tmp_path: Path):
    data = ["--data", tmp_path, "-o", tmp_path / "o.onnx", "--preprocess", "whisper"]
    result = call(command, sample.path(), *data)
    assert result.exit_code == 2 and "the recipe is one for sound" in result.stderr.replace("\n", " ")
