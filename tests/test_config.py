"""edgeort.toml: what it may say, and what it is told otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeort import config
from edgeort.errors import InputError


def test_what_it_says(tmp_path: Path):
    assert config.read(tmp_path) is None
    (tmp_path / "edgeort.toml").write_text('[model]\npath = "m.onnx"\n[devices]\npi = "ssh:pi@host"\n')
    assert config.read(tmp_path) == config.Config(tmp_path / "m.onnx", {"pi": "ssh:pi@host"})
    (tmp_path / "edgeort.toml").write_text('[preprocess]\nsteps = "imagenet"\n')
    assert config.read(tmp_path) == config.Config(preprocess="imagenet")
    (tmp_path / "edgeort.toml").write_text('[postprocess]\nsteps = "top-k 5"\n[preprocess]\nsteps = "yolo"\n')
    assert config.read(tmp_path) == config.Config(preprocess="yolo", postprocess="top-k 5")
    (tmp_path / "edgeort.toml").write_text('[devices]\npi = "ssh:pi@host"\n')
    assert config.read(tmp_path) == config.Config(None, {"pi": "ssh:pi@host"})


@pytest.mark.parametrize(
    "text",
    ["", "[model]", "model = 3", "[devices]\npi = 3", "devices = []", "[more]", "[devices", '[devices]\nadb = "local"']
    + ["[postprocess]", "[postprocess]\nsteps = 5", "[preprocess]", '[preprocess]\nsteps = "rgb"\nother = "x"']
    + ['[devices]\nnode = "local"', '[devices]\n"a:b" = "local"', '[model]\npath = "m"\nother = 1'],
)
def test_what_it_must_not(tmp_path: Path, text: str):
    (tmp_path / "edgeort.toml").write_text(text)
    with pytest.raises(InputError, match="edgeort.toml") as caught:
        config.read(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "nothing in it"),
        ('models = "m.onnx"', "models"),
        ('model = "m.onnx"', r"\[model\]"),
        ("[preprocess]\nstep = 'rgb'", r"\[preprocess\]"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, where: str):
    (tmp_path / "edgeort.toml").write_text(text)
    with pytest.raises(InputError, match=f"edgeort.toml: {where}: an unknown or missing key"):
        config.read(tmp_path)
