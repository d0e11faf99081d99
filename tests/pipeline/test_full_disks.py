"""A disk that is full, or may not be written: one paragraph, exit status 2, and nothing that was not there before."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.models import ON_HOST, mlp
from tests.pipeline.nursery import Ended, Nursery

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the file systems are Linux's")

ROOM = "48k"  # of a disk: less than a bundle needs, or an object of the cache


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    onnx.save(mlp(), path)
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", place], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"a disk cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as running:
        yield running


def command(model: Path, out: Path) -> list[str | Path]:
    return ["build", model, *ON_HOST, "-o", out]


def refused(done: Ended, words: str, hint: str) -> None:
    assert done.status == 2, done.stderr
    assert words in done.stderr and f"hint: {hint}" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["b", "b.zip"])
def test_the_disk_of_the_output_is_full(nursery: Nursery, model: Path, disk: Path, name: str):
    refused(nursery.run(command(model, disk / "new" / name)), "No space left on device", "free some space")
    assert not list(disk.rglob(f"*{name}*"))


def test_what_is_there_stays_on_a_full_disk(nursery: Nursery, model: Path, disk: Path, tmp_path: Path):
    """Too small for two bundles, large enough for one."""
    assert nursery.run(command(model, tmp_path / "b")).status == 0
    size = sum(path.stat().st_size for path in (tmp_path / "b").rglob("*") if path.is_file())
    subprocess.run(["mount", "-o", f"remount,size={size * 3 // 2}", disk], check=True)
    assert nursery.run(command(model, disk / "b")).status == 0
    before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
    onnx.save(mlp(seed=1), model)
    refused(nursery.run(command(model, disk / "b")), "No space left on device", "free some space")
    assert {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("what", "hint"), [("TMPDIR", "set TMPDIR to a folder with room"), ("EDGEORT_CACHE", "set EDGEORT_CACHE to one")]
)
def test_another_disk_is_full(nursery: Nursery, model: Path, disk: Path, tmp_path: Path, what: str, hint: str):
    refused(nursery.run(command(model, tmp_path / "b"), environment={what: str(disk)}), "No space left on device", hint)
    assert not (tmp_path / "b").exists() and not list(tmp_path.glob(".*"))


@pytest.mark.skipif(shutil.which("javac") is None, reason="needs javac")
@pytest.mark.parametrize("room", [ROOM, "88k"])
def test_no_room_to_compile_classes(nursery: Nursery, model: Path, disk: Path, tmp_path: Path, room: str):
    """For the sources; and for what javac makes of them."""
    subprocess.run(["mount", "-o", f"remount,size={room}", disk], check=True)
    assert nursery.run(command(model, tmp_path / "b")).status == 0
    package = ["package", tmp_path / "b", "--android", "--abi", "arm64-v8a", "-o", tmp_path / "p"]
    done = nursery.run(package, environment={"TMPDIR": str(disk)})
    refused(done, f"cannot be compiled in {disk}: No space left on device", "set TMPDIR to a folder with room")
    assert not (tmp_path / "p").exists() and not list(disk.iterdir())


def test_files_beside_the_output_are_whole_or_not_there(nursery: Nursery, model: Path, disk: Path, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.ones((4, 8), np.float32))
    with (disk / "filling").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    quantize = ["quantize", model, "--data", tmp_path / "x.npy", "-o", tmp_path / "q.onnx"]
    board = ["profiles", "probe", "--on", "emulated:cortex-a72", "-o", disk / "board.toml"]
    for arguments, option in (
        ([*quantize, "--save-ranges", disk / "ranges.json"], "--save-ranges"),
        *([(board, "-o")] if shutil.which("qemu-aarch64-static") else ()),
    ):
        refused(nursery.run(arguments), "No space left on device", f"name another file with {option}")
    assert {path.name for path in disk.iterdir()} == {"filling"}


def test_files_may_not_be_that_large(nursery: Nursery, model: Path, tmp_path: Path):
    """A quota, where no disk can be mounted."""
    assert nursery.run(command(model, tmp_path / "whole")).status == 0
    done = nursery.run(command(model, tmp_path / "b"), most_bytes=20_000)
    refused(done, "File too large", "")
    assert not (tmp_path / "b").exists() and not list(tmp_path.glob(".*"))


def test_the_output_is_read_only(nursery: Nursery, model: Path):
    """Where not even root may write."""
    done = nursery.run(command(model, Path("/sys/edgeort/b")))
    refused(done, "/sys/edgeort/b cannot be written: ", "name another place with -o")


def test_a_disk_that_is_read_only(nursery: Nursery, model: Path, disk: Path):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    refused(nursery.run(command(model, disk / "b")), "Read-only file system", "name another place with -o")


@pytest.mark.parametrize("room", [ROOM, "512k"])
def test_the_disk_on_which_a_model_gets_into_its_library_is_full(
    nursery: Nursery, model: Path, disk: Path, tmp_path: Path, room: str
):
    subprocess.run(["mount", "-o", f"remount,size={room}", disk], check=True)
    onnx.save(mlp(hidden=4000), model)  # a plan of more than a hundred kilobytes
    done = nursery.run(
        [*command(model, tmp_path / "b"), "--embed-model", "--static"], environment={"TMPDIR": str(disk)}
    )
    refused(done, "the library cannot be linked in", "set TMPDIR to a folder with room")
    assert not list(disk.iterdir()) and not (tmp_path / "b").exists()
