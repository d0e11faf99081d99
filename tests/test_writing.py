"""A model's file is written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeort.errors import OutputError
from edgeort.model import write


def test_replaces_a_file(tmp_path: Path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"before")
    write(path, b"after")
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


def test_follows_a_link(tmp_path: Path):
    (tmp_path / "real.onnx").write_bytes(b"before")
    (tmp_path / "link.onnx").symlink_to("real.onnx")
    write(tmp_path / "link.onnx", b"after")
    assert (tmp_path / "link.onnx").is_symlink()
    assert (tmp_path / "real.onnx").read_bytes() == b"after"


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"before")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        write(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("where", ["missing/m.onnx", "file/m.onnx", "folder"])
def test_places_that_cannot_be(tmp_path: Path, where: str):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / where, b"x")


def test_a_device_is_written_to_and_stays():
    write(os.devnull, b"x")
    assert not Path(os.devnull).is_file()
