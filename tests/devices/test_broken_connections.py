"""Devices behind a real sshd when something breaks: what is said, and that nothing is left there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeort import toolchain
from edgeort.bench import measure
from edgeort.bundle import open_bundle
from edgeort.devices import Job, open_device, open_transport
from edgeort.errors import DeviceError
from tests.devices.sshd import Sshd
from tests.devices.watching import MANY, is_running, is_tidy, soon


def test_a_dropped_connection(board: Sshd, bundles: Path):
    caught: list[DeviceError] = []

    def run() -> None:
        with open_bundle(bundles / "host") as bundle:
            try:
                with open_device("ssh:board", bundle.manifest) as device:
                    measure(bundle, device, Job(runs=MANY))
            except DeviceError as error:
                caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert soon(lambda: is_running(board.userland))
    board.drop_connections()
    thread.join(60)
    (error,) = caught
    assert "the connection to ssh:board was lost while running edgeort_bench; what was there of this run" in str(error)
    assert error.hint == "run the command again" and is_tidy(board.userland)


def test_a_server_that_is_gone_for_good(board: Sshd):
    there = open_transport("ssh:board")
    board.drop_connections(for_good=True)
    with pytest.raises(DeviceError, match=r"lost while .*/runs/.* may be left there: the device removes it") as caught:
        there.execute(["echo"])
    assert caught.value.hint == "later: edgeort devices --clear ssh:board"
    with pytest.raises(DeviceError, match="is closed"):
        there.execute(["echo"])
    there.close()
    assert is_tidy(board.userland)  # the guard does it by itself


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_interrupts_leave_nothing(board: Sshd, bundles: Path, number: signal.Signals, status: int, tmp_path: Path):
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "edgeort", "bench", bundles / "host", "--on", "ssh:board", "--runs", str(MANY)]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    assert soon(lambda: is_running(board.userland))
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == status and "Traceback" not in said
    assert is_tidy(board.userland)
    assert number == signal.SIGKILL or not list((tmp_path / "tmp").iterdir())


def test_what_a_dead_device_left_is_removed_by_the_next_run(board: Sshd):
    old = Path(board.userland.home) / ".cache/edgeort/runs/abc-4194305"  # no process has that number
    old.mkdir(parents=True)
    (old / "file").touch()
    open_transport("ssh:board").close()
    assert not old.exists()


REFUSED = [
    ("Connection refused", {"Port": 1}, "nothing listens", "is sshd running"),
    ("host key", {"UserKnownHostsFile": "/dev/null"}, "its host key is not known", "ssh board true"),
    ("key", {"IdentityFile": "FOLDER/other"}, "does not accept any key of yours", "ssh-copy-id board"),
    ("name", {"HostName": "no.such.host.invalid"}, "the name board is not known", "its address"),
]


@pytest.mark.parametrize(("options", "why", "hint"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_connections_say_why(board: Sshd, options: dict[str, object], why: str, hint: str):
    board.configure(**{key: str(value).replace("FOLDER", str(board.folder)) for key, value in options.items()})
    with pytest.raises(DeviceError, match=re.escape(why)) as caught:
        open_transport("ssh:board")
    assert str(caught.value).startswith("ssh:board cannot be reached: ") and hint in str(caught.value.hint)


def test_a_changed_host_key(board: Sshd):
    board.trust_host("other")
    with pytest.raises(DeviceError, match="its host key is not the one that was known") as caught:
        open_transport(f"ssh:127.0.0.1:{board.port}")
    assert f"ssh-keygen -R '[127.0.0.1]:{board.port}'" in str(caught.value.hint)


def test_no_client(board: Sshd, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match="ssh cannot be started") as caught:
        open_transport("ssh:board")
    assert caught.value.hint == "apt install openssh-client"


def test_the_wrong_architecture(board: Sshd, bundles: Path):
    with open_bundle(bundles / "pi") as bundle:
        with pytest.raises(DeviceError, match=r"ssh:board is linux/\w+; the bundle is for linux/aarch64") as caught:
            open_device("ssh:board", bundle.manifest)
        assert "edgeort devices" in str(caught.value.hint)
    assert is_tidy(board.userland)


def test_a_missing_dynamic_linker_and_an_unknown_instruction(arm_board: Sshd, tmp_path: Path):
    (tmp_path / "bad.s").write_text(".global _start\n_start: sdot v0.4s, v1.16b, v2.16b\n mov x8, #93\n svc #0\n")
    program = tmp_path / "bad"
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-none", "-nostdlib", "-static"]
    subprocess.run([*zig, "-mcpu=generic+dotprod", tmp_path / "bad.s", "-o", program], check=True)
    _, dynamic = toolchain.adapter_and_harness(toolchain.target("linux", "aarch64"), "litert")
    with open_transport("ssh:board") as there:
        folder = there.push({"bad": program, "dynamic": dynamic})
        with pytest.raises(DeviceError, match="uses an instruction that the CPU of ssh:board lacks"):
            there.execute([f"{folder}/bad"])
        with pytest.raises(DeviceError, match="whose /lib/ld-linux-aarch64.so.1 is not there") as caught:
            there.execute([f"{folder}/dynamic"])
        assert "--provider cpu" in str(caught.value.hint)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, on which no program can be run."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,noexec", "tmpfs", place], capture_output=True)
    if done.returncode:
        pytest.skip("needs to mount a small tmpfs")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_and_one_without_programs(board: Sshd, small_disk: Path, tmp_path: Path):
    (tmp_path / "large").write_bytes(os.urandom(100_000))
    (tmp_path / "program").write_text("#!/bin/sh\n")
    with open_transport(f"ssh:board{small_disk}") as there:
        with pytest.raises(DeviceError, match=r"the disk of ssh:board\S+ is full: ") as caught:
            there.push({"large": tmp_path / "large"})
        assert f"edgeort devices --clear ssh:board{small_disk}" in str(caught.value.hint)
        with pytest.raises(DeviceError, match="is full"):
            there.push({"large": tmp_path / "large"}, keep=False)
        folder = there.push({"program": tmp_path / "program"})
        with pytest.raises(DeviceError, match="on a file system mounted noexec") as caught:
            there.execute([f"{folder}/program"])
        assert "--on ssh:board/FOLDER" in str(caught.value.hint)
    (kept,) = (path for path in small_disk.rglob("*") if path.is_file())
    assert kept.parent.name == "blobs" and kept.read_text() == "#!/bin/sh\n"
