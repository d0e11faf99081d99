"""Devices that are none (`Userland`), behind a real sshd; bundles for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

import edgeort
from tests.devices.sshd import Sshd, need_sshd
from tests.devices.userland import Userland, fetch_busybox
from tests.models import HOST, mlp


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetch_busybox(tmp_path_factory.mktemp("busybox"))


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with m.onnx, its bundle `pi` for an Arm board, and `host` for this machine, of a slower model."""
    place = tmp_path_factory.mktemp("bundles")
    onnx.save(mlp(), place / "m.onnx")
    onnx.save(mlp(64, hidden=4000), place / "slow.onnx")
    edgeort.build(place / "slow.onnx", HOST, place / "host")
    edgeort.build(place / "m.onnx", "raspberrypi4", place / "pi")
    return place


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """`ssh:board` is this machine, with an empty home folder."""
    need_sshd()
    yield from _serve(Sshd(tmp_path / "sshd", Userland.plain(tmp_path / "board")), monkeypatch)


@pytest.fixture
def arm_board(tmp_path: Path, busybox: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """`ssh:board` has an Arm userland on a Cortex-A72, emulated."""
    need_sshd("proot", "qemu-aarch64-static")
    yield from _serve(Sshd(tmp_path / "sshd", Userland.arm(tmp_path / "board", busybox)), monkeypatch)


def _serve(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    monkeypatch.setenv("PATH", f"{server.folder}/bin{os.pathsep}{os.environ['PATH']}")
    server.start()
    try:
        yield server
    finally:
        server.stop()
