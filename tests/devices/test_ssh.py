"""Bundles on devices behind a real sshd: what they say, what stays there, and what happens when something breaks."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np
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


def test_libraries_that_pip_put_beside_an_engine(board: Sshd, tmp_path: Path):
    """Packages as pip installs them; CUDA's own libraries are in none of them, and are looked for by the system."""
    site = tmp_path / "site"
    for name in ("onnxruntime/capi/libonnxruntime.so.1.31.1", "nvidia/cudnn/lib/libcudnn.so.9", "nvidia/cu13/lib/x.so"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).touch()
    about = site / "onnxruntime_gpu-1.31.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.31.1\n")
    (about / "RECORD").write_text("onnxruntime/capi/libonnxruntime.so.1.31.1,,\n")
    board.userland.script(board.folder / "enter", PYTHONPATH=str(site), LD_LIBRARY_PATH="/own")
    capi = site / "onnxruntime/capi"
    with open_transport("ssh:board") as there:
        assert isinstance(there, Remote)
        assert there._engine(["onnxruntime-gpu[cuda,cudnn]==1.31.1"]) == {
            "EDGEORT_LIBRARIES": f"{capi}:{capi / 'libonnxruntime.so.1.31.1'}",
            "LD_LIBRARY_PATH": f"{site}/nvidia/cu13/lib:{site}/nvidia/cudnn/lib:/own",
        }
        assert there._engine(["onnxruntime-rocm"]) == {}


def test_a_report_of_a_device(arm_board: Sshd, bundles: Path, tmp_path: Path):
    """The page of a bundle that ran there: outputs and memory are the device's, and nothing stays."""
    page = tmp_path / "r.html"
    assert call("report", bundles / "pi", "--on", "ssh:board", "-o", page, "--runs", 20).exit_code == 0
    result = call("report", bundles / "pi", "--on", "ssh:board", "--json", "--runs", 20)
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    found = document["measurement"]
    assert (found["device"], found["is_real"], found["check"]) == ("ssh:board", True, "passed")
    assert document["latency"]["summary"]["runs"] == 20 and document["memory"]["blocks"]
    assert all(node["skipped"] or node["ms"] > 0 for node in document["nodes"])
    assert "ssh:board" in page.read_text() and found["digest"] in page.read_text()
    assert is_tidy(arm_board.userland)
    lost = call("report", bundles / "pi", "--on", "ssh:nobody", "-o", tmp_path / "none.html")
    assert (
        lost.exit_code == 2 and "ssh:nobody cannot be reached" in lost.stderr and not (tmp_path / "none.html").exists()
    )


def test_a_build_judges_on_the_device(board: Sshd, bundles: Path, tmp_path: Path):
    """Samples run here where the device gave this machine's bytes, some there, too; an engine's all run there."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32))
    data = ("--data", tmp_path / "x.npy", "--on", "ssh:board", "--device", "host", "--json")
    own = call("build", bundles / "m.onnx", "-o", tmp_path / "own", "--require", "cpu", *data)
    assert own.exit_code == 0, own.stderr
    told = json.loads(own.stdout)["evaluation"]
    assert told["where"] == "this machine, as ssh:board"
    assert "8 of 20 samples are bit-identical on ssh:board" in told["basis"]
    pytest.importorskip("openvino")
    other = call("build", bundles / "m.onnx", "-o", tmp_path / "other", "--require", "openvino", *data)
    assert other.exit_code == 0, other.stderr
    told = json.loads(other.stdout)["evaluation"]
    assert told["where"] == "ssh:board" and told["basis"] == "all samples ran on ssh:board"
    assert is_tidy(board.userland)


def test_a_build_for_another_device_is_refused_before_any_work(board: Sshd, bundles: Path, tmp_path: Path):
    result = call("build", bundles / "m.onnx", "--device", "raspberrypi4", "--on", "ssh:board", "-o", tmp_path / "b")
    assert result.exit_code == 2 and "raspberrypi4 is linux/aarch64" in result.stderr and "load" not in result.stderr
    assert is_tidy(board.userland)
