"""Samples on devices: the bytes of this machine over ssh and adb, lost connections, interrupts that leave nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeort.bundle import Bundle, open_bundle
from edgeort.devices import Device, open_device
from edgeort.errors import DeviceError
from edgeort.session import open_plan
from edgeort.validate import Exam, Where, assess
from edgeort.validate.stream import Stream
from tests.cli.support import call
from tests.devices.adbd import Adbd
from tests.devices.sshd import Sshd
from tests.devices.userland import Userland, needs_proot
from tests.devices.watching import is_running, is_tidy, soon

COUNT = 18
MANY = 4000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x.npy for `pi`, many.npy for `host`."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    np.save(folder / "x.npy", rng.standard_normal((COUNT, 1, 8)).astype(np.float32))
    np.save(folder / "many.npy", rng.standard_normal((MANY, 64, 8)).astype(np.float32))
    return folder


def compare(bundle: Bundle, device: Device) -> None:
    """Bit for bit with this machine; one input is large enough for a table."""
    rng = np.random.default_rng(1)
    inputs = [rng.standard_normal((1 + index, 8)).astype(np.float32) for index in range(5)]
    inputs.append(rng.integers(-9, 9, (4096, 8)).astype(np.float32) / 7)
    here = open_plan(bundle.artefact, bundle.manifest.kernels)
    with Stream(bundle, device) as stream:
        waiting = [stream.submit([array]) for array in inputs]
        for array, answer in zip(inputs, waiting, strict=True):
            assert answer()[0].tobytes() == here.run([array])[0].tobytes()
    here.close()


def figures(result: object) -> object:
    assert result.exit_code == 0, result.stderr  # type: ignore[attr-defined]
    return json.loads(result.stdout)["evaluation"]["figures"]  # type: ignore[attr-defined]


@pytest.mark.slow
def test_validate_on_an_arm_userland(arm_board: Sshd, bundles: Path, data: Path):
    there = arm_board.userland
    command = ("validate", bundles / "pi", "--model", bundles / "m.onnx", "--data", data / "x.npy", "--on", "ssh:board")
    result = call(*command)
    assert result.exit_code == 0, result.stderr
    words = f"golden outputs and 8 of {COUNT} samples are bit-identical on ssh:board"
    assert words in " ".join(result.stdout.split()) and "validating on this machine, as ssh:board" in result.stderr
    assert is_tidy(there) and arm_board.connections() == 1
    assert figures(call(*command, "--json")) == figures(call(*command, "--json", "--all-on-device"))
    assert is_tidy(there)


def test_streams_over_ssh(arm_board: Sshd, bundles: Path):
    with open_bundle(bundles / "pi") as bundle, open_device("ssh:board", bundle.manifest) as device:
        compare(bundle, device)
        assert soon(lambda: not is_running(arm_board.userland))  # it ends with the stream, not with the connection
        compare(bundle, device)
    assert is_tidy(arm_board.userland)


@pytest.mark.slow
@needs_proot
def test_streams_over_adb(attach: Callable[..., Adbd], bundles: Path, busybox: Path, tmp_path: Path):
    there = Userland.arm(tmp_path / "phone", busybox, "cortex-a76", android=True)
    phone = attach(there)
    with open_bundle(bundles / "pi") as bundle, open_device(f"adb:{phone.serial}", bundle.manifest) as device:
        compare(bundle, device)
        compare(bundle, device)
    assert is_tidy(there)


def test_a_connection_that_is_lost_midway(board: Sshd, bundles: Path, data: Path):
    caught: list[DeviceError] = []

    def run() -> None:
        try:
            with open_bundle(bundles / "host") as bundle, open_device("ssh:board", bundle.manifest) as device:
                where = Where(device=device, all_there=True)
                assess(bundle, bundles / "slow.onnx", Exam(data / "many.npy"), where=where, progress=said.append)
        except DeviceError as error:
            caught.append(error)

    said: list[str] = []
    thread = threading.Thread(target=run)
    thread.start()
    assert soon(lambda: said)
    board.drop_connections()
    thread.join(60)
    (error,) = caught
    words = str(error)
    assert words.startswith("the connection to ssh:board was lost")
    judged = int(words.partition(f" of {MANY} samples were judged until then")[0].split()[-1])
    assert MANY // 10 <= judged < MANY and is_tidy(board.userland)


def leftovers(folder: Path, harness: str) -> list[object]:
    """Files of ours, and processes that run a harness."""
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout.splitlines()
    return [*folder.iterdir(), *(words for words in running if harness in words)]


@pytest.mark.parametrize(("name", "on"), [("host", None), ("host", "ssh:board"), ("pi", None)])
def test_interrupts_leave_nothing(board: Sshd, bundles: Path, data: Path, tmp_path: Path, name: str, on: str | None):
    if name == "pi" and shutil.which("qemu-aarch64-static") is None:
        pytest.skip("needs qemu-user-static")
    for folder in ("tmp", "samples"):
        (tmp_path / folder).mkdir()
    many = np.load(data / "many.npy", mmap_mode="r")
    np.save(tmp_path / "samples/x.npy", many if name == "host" else many[:, :1])
    model = bundles / ("slow.onnx" if name == "host" else "m.onnx")
    command = ["validate", bundles / name, "--model", model, "--data", tmp_path / "samples", "--all-on-device"]
    place = ["--on", on] if on else []
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeort", *map(str, command), *place],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        start_new_session=True,
    )
    assert process.stderr is not None
    assert any("validating on" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in said
    assert soon(lambda: not leftovers(tmp_path / "tmp", f"{bundles / name}/bin"))
    assert on is None or is_tidy(board.userland)
