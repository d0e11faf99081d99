"""Bundles on devices behind a real sshd: what they say, what stays there, and what happens when something breaks."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

import edgeort
from edgeort import device_profiles, pipeline, providers
from edgeort.bench import measure
from edgeort.bundle import open_bundle
from edgeort.devices import Job, open_device, open_transport, scripts
from edgeort.devices.remote import Remote
from edgeort.errors import DeviceError
from edgeort.providers import adapted
from tests.cli.support import call
from tests.devices.sshd import Sshd
from tests.devices.test_devices import HERE
from tests.devices.watching import is_tidy, soon


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


def test_an_engine_that_pip_installed_there(
    board: Sshd, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("openvino")
    monkeypatch.setattr(adapted, "is_here", lambda profile: False)  # as on a machine without the device's libraries
    wish = pipeline.Wish("openvino", True)
    result = edgeort.build(bundles / "m.onnx", "host", tmp_path / "b", wish=wish, on="ssh:board")
    assert result.provider == "openvino" and result.measurement and result.measurement.device == "ssh:board"
    with open_bundle(tmp_path / "b") as bundle:
        assert bundle.manifest.requirements and not list(bundle.folder.glob("lib/*openvino.so*"))
        board.userland.script(board.folder / "enter", PATH="/usr/bin:/bin")  # whose Python has no packages
        with open_device("ssh:board", bundle.manifest) as device, pytest.raises(DeviceError, match="pip install"):
            measure(bundle, device, Job(runs=2))


def test_a_build_for_another_device_is_refused_before_any_work(board: Sshd, bundles: Path, tmp_path: Path):
    result = call("build", bundles / "m.onnx", "--device", "raspberrypi4", "--on", "ssh:board", "-o", tmp_path / "b")
    assert result.exit_code == 2 and "raspberrypi4 is linux/aarch64" in result.stderr and "load" not in result.stderr
    assert is_tidy(board.userland)
