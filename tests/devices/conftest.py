"""Devices that are none (`Userland`), behind a real sshd; bundles for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest

import edgeort
from edgeort.devices.adb import states
from tests.devices.adbd import Adbd
from tests.devices.sshd import Sshd, free_port, need_sshd
from tests.devices.userland import Userland, fetch_busybox
from tests.devices.watching import soon
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


@pytest.fixture(scope="module")
def adb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """The genuine adb with a server of its own."""
    pytest.importorskip("adbutils")
    program = shutil.which("adb")
    if program is None:
        pytest.skip("needs adb: apt install adb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port()))
        patch.setenv("HOME", str(tmp_path_factory.mktemp("adb")))  # where its key goes

        def run(*words: str) -> str:
            done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60)
            return done.stdout + done.stderr

        run("start-server")
        yield run
        run("kill-server")


@pytest.fixture
def attach(adb: Callable[..., str], tmp_path: Path) -> Iterator[Callable[..., Adbd]]:
    """Makes devices and connects adb to them."""
    made: list[Adbd] = []

    def make(userland: Userland | None = None, **options) -> Adbd:
        made.append(Adbd(userland or Userland.plain(tmp_path / f"phone{len(made)}"), **options))
        connected = threading.Thread(target=adb, args=("connect", made[-1].serial))
        connected.start()
        assert soon(lambda: states().get(made[-1].serial) == made[-1].state), adb("devices")
        return made[-1]

    yield make
    for device in made:
        adb("disconnect", device.serial)
        device.stop()
