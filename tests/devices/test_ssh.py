"""Bundles on devices behind a real sshd: what they say, what stays there, and what happens when something breaks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeort import device_profiles, providers, toolchain
from edgeort.bench import measure
from edgeort.bundle import open_bundle
from edgeort.devices import Job, open_device, open_transport, scripts
from edgeort.devices.remote import Remote
from edgeort.errors import DeviceError
from tests.cli.support import call
from tests.devices.sshd import Sshd
from tests.devices.test_devices import HERE
from tests.devices.userland import Userland

MANY = 1_000_000  # runs that do not end before something is done about it


def soon(is_so: Callable[[], object], within_s: float = 60) -> bool:
    """Whether it becomes so."""
    end = time.monotonic() + within_s
    while not (found := is_so()) and time.monotonic() < end:
        time.sleep(0.1)
    return bool(found)


def is_tidy(there: Userland) -> bool:
    """Whether nothing is left of a run but the kept files."""
    return soon(lambda: not there.left() and not there.processes())


def is_running(there: Userland) -> bool:
    return any("edgeort_bench" in process for process in there.processes())


def test_bench_and_validate_on_an_arm_userland(arm_board: Sshd, bundles: Path):
    there = arm_board.userland
    result = call("bench", bundles / "pi", "--on", "ssh:board", "--runs", 100, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["device"] == "ssh:board" and found["latency_ms"]["runs"] == 100 and found["check"] == "passed"
    assert found["digest"] == json.loads(call("bench", bundles / "pi", "--runs", 1, "--json").stdout)["digest"]
    assert is_tidy(there) and arm_board.connections() == 1
    kept = there.blobs()
    assert 4 <= len(kept) <= 8
    assert call("validate", bundles / "pi", "--on", "ssh:board", "--model", bundles / "m.onnx").exit_code == 0
    assert is_tidy(there) and there.blobs() == kept


def test_only_what_changed_is_sent(board: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sent: list[str] = []
    script = Remote._script

    def listening(self: Remote, doing: str, *arguments, **others):
        sent.append(doing)
        return script(self, doing, *arguments, **others)

    monkeypatch.setattr(Remote, "_script", listening)
    for name, text in {"a": "one", "b": "two", "c": "one"}.items():
        (tmp_path / name).write_text(text)
    files = {f"deep/er/{name}": tmp_path / name for name in "abc"}
    with open_transport("ssh:board") as there:
        folder = there.push(files)
        assert there.execute(["cat", *(f"{folder}/{name}" for name in files)]).stdout == "onetwoone"
    kept = board.userland.blobs()
    assert len(kept) == 2 and sent.count("sending files") == 1  # the same content once
    with open_transport("ssh:board") as there:
        there.push(files)
        assert sent.count("sending files") == 1
        (tmp_path / "b").write_text("2")
        folder = there.push(files)
        assert there.execute(["cat", *(f"{folder}/{name}" for name in files)]).stdout == "one2one"
    assert sent.count("sending files") == 2 and kept.items() < board.userland.blobs().items()


def test_a_kept_file_that_was_changed_is_sent_again(board: Sshd, tmp_path: Path):
    (tmp_path / "a").write_text("right")
    for _ in range(2):
        with open_transport("ssh:board") as there:
            folder = there.push({"a": tmp_path / "a"})
            assert there.execute(["cat", f"{folder}/a"]).stdout == "right"
        (blob,) = board.userland.blobs()
        next(board.userland.root.rglob(blob)).write_text("wrong")


def test_what_is_kept_has_a_limit(board: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scripts, "GUARD", scripts.GUARD.replace(str(scripts.KEPT_KB), "150"))
    hashes = []
    for index in range(3):
        (tmp_path / "a").write_bytes(os.urandom(60_000))
        with open_transport("ssh:board") as there:
            there.push({"a": tmp_path / "a"})
        (new,) = set(board.userland.blobs()) - set(hashes)
        blob = next(board.userland.root.rglob(new))
        os.utime(blob, (index, index))  # long ago, in this order
        hashes.append(new)
    assert set(board.userland.blobs()) == set(hashes[1:])  # the oldest is gone


def test_a_jump_host(board: Sshd):
    board.configure(ProxyJump="hop")
    with open_transport("ssh:board") as there:
        assert there.execute(["echo", "there"]).stdout == "there\n"
    assert is_tidy(board.userland) and board.connections() == 2  # one to each


def test_files_that_are_not_kept(board: Sshd, tmp_path: Path):
    (tmp_path / "a").write_text("x")
    with open_transport("ssh:board") as there:
        folder = there.push({"0/a": tmp_path / "a", "1/": Path()}, keep=False)
        assert there.execute(["sh", "-c", f"echo y > {folder}/1/b; ls {folder}"]).stdout == "0\n1\n"
        there.pull(folder, tmp_path / "back")
        assert (tmp_path / "back/1/b").read_text() == "y\n" and (tmp_path / "back/0/a").read_text() == "x"
        there.discard(folder)
        assert there.execute(["ls", folder]).status
    assert not board.userland.files() - {".cache"}  # nothing was kept: nothing is there


def test_programs_say_their_status_lines_and_errors(board: Sshd):
    lines: list[tuple[str, float]] = []
    with open_transport("ssh:board") as there:
        script = "echo one; sleep 0.5; echo two; echo bad >&2; echo $GREETING; printf three; exit 7"
        run = ["sh", "-c", script]
        output = there.execute(
            run, lambda line: lines.append((line, time.monotonic())), environment={"GREETING": "a 'b' $c"}
        )
        assert (output.status, output.stdout, output.stderr) == (7, "one\ntwo\na 'b' $c\nthree", "bad\n")
        assert [line for line, _ in lines] == ["one", "two", "a 'b' $c", "three"]
        assert lines[1][1] - lines[0][1] > 0.3  # as they come
        assert there.execute(["sh", "-c", "exit 255"]).status == 255  # with which ssh says that it failed
        assert there.execute(["sh", "-c", "kill -11 $$"]).status == -11
        assert there.execute(["cat"]).stdout == ""
        with pytest.raises(DeviceError, match="cannot start nothing: not found"):
            there.execute(["nothing"])
    assert board.connections() == 1


def test_a_program_that_does_not_end_is_killed(board: Sshd):
    with open_transport("ssh:board") as there:
        with pytest.raises(DeviceError, match="sleep did not end within 1 s on ssh:board"):
            there.execute(["sleep", "4321"], timeout_s=1)
        assert soon(lambda: not _running("sleep 4321"))
        assert there.execute(["echo", "still"]).stdout == "still\n"


def _running(words: str) -> bool:
    return words in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout.splitlines()


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
        with pytest.raises(DeviceError, match="on a file system without executables") as caught:
            there.execute([f"{folder}/program"])
        assert "--on ssh:board/FOLDER" in str(caught.value.hint)
    (kept,) = (path for path in small_disk.rglob("*") if path.is_file())
    assert kept.parent.name == "blobs" and kept.read_text() == "#!/bin/sh\n"


@pytest.mark.skipif(HERE != "x86_64", reason="its profile is one of x86-64")
def test_a_build_is_checked_and_timed_there(
    board: Sshd, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    few = [one for one in providers.PROVIDERS if one.name in ("cpu", "litert", "cuda")]
    monkeypatch.setattr(providers, "PROVIDERS", tuple(few))
    profile = tmp_path / "pc.toml"
    profile.write_text((Path(device_profiles.__file__).parent / "x86-64.toml").read_text().replace(', "openvino"', ""))
    command = ("build", bundles / "m.onnx", "--shape", "x=2x8", "--on", "ssh:board", "-o", tmp_path / "b", "--json")
    result = call(*command, "--device", profile)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["checked_on"] == "ssh:board" and found["max_difference"] <= 1e-5
    rows = {row["provider"]: row for row in found["candidates"]}
    assert rows["cpu"]["latency_ms"] and not rows["cpu"]["predicted"]
    if "litert" in rows:  # its library goes with the bundle
        assert rows["litert"]["latency_ms"] and not rows["litert"]["predicted"]
    assert "libonnxruntime" in rows["cuda"]["reason"] and rows["cuda"]["latency_ms"] is None
    assert is_tidy(board.userland)


def test_a_build_for_another_device_is_refused_before_any_work(board: Sshd, bundles: Path, tmp_path: Path):
    result = call("build", bundles / "m.onnx", "--device", "raspberrypi4", "--on", "ssh:board", "-o", tmp_path / "b")
    assert result.exit_code == 2 and "raspberrypi4 is linux/aarch64" in result.stderr and "load" not in result.stderr
    assert is_tidy(board.userland)
