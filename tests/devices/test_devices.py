"""Which device runs a bundle, and what is said when none can."""

from __future__ import annotations

import dataclasses
import platform
import shutil
import stat
from pathlib import Path

import pytest

import edgeort
from edgeort.bench import measure
from edgeort.bundle import Bundle, Manifest, open_bundle, write_bundle
from edgeort.devices import Job, open_device
from edgeort.errors import CheckError, DeviceError
from tests.bundle.test_bundle import CONTENTS, MANIFEST

HERE = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())


def for_target(os: str, arch: str, qemu: str | None = None) -> Manifest:
    return dataclasses.replace(MANIFEST, target=dataclasses.replace(MANIFEST.target, os=os, arch=arch, qemu=qemu))


def fake_bundle(folder: Path, script: str) -> Bundle:
    """A bundle whose harness is a shell script."""
    path = write_bundle(
        folder / "b", for_target("linux", HERE), {**CONTENTS, "bin/edgeort_bench": f"#!/bin/sh\n{script}".encode()}
    )
    return open_bundle(path)


def test_this_machine_is_chosen_where_it_can_run_the_code():
    assert open_device(None, for_target("linux", HERE)).name == "local"
    assert open_device(None, for_target("linux", HERE)).is_real


@pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None or HERE == "aarch64", reason="needs qemu-user on x86")
@pytest.mark.parametrize("os", ["linux", "android"])
def test_else_the_emulator_with_the_profiles_cpu(os: str):
    device = open_device(None, for_target(os, "aarch64", "cortex-a72"))
    assert device.name == "emulated (cortex-a72)" and not device.is_real


@pytest.mark.parametrize(
    ("on", "manifest", "words"),
    [
        ("local", for_target("windows", "x86_64"), "cannot run code for windows/x86_64"),
        ("local", for_target("linux", "s390x"), "cannot run code for linux/s390x"),
        ("emulated", for_target("macos", "aarch64", "max"), "no emulator for macos/aarch64"),
        ("emulated", for_target("linux", "aarch64"), "names no CPU to emulate"),
        ("moon", for_target("linux", "aarch64"), "unknown device 'moon'; known are local, emulated"),
        ("ssh:", for_target("linux", "aarch64"), "--on ssh:: this is none of local, emulated"),
        ("ssh:-oProxyCommand=x", for_target("linux", "aarch64"), "this is not ssh:[user@]host[:port]"),
        ("ssh:pi@host:99999", for_target("linux", "aarch64"), "this is not ssh:[user@]host[:port]"),
        ("local:x", for_target("linux", "aarch64"), "this is none of local, emulated"),
    ],
)
def test_what_cannot_run_is_refused(on: str, manifest: Manifest, words: str):
    with pytest.raises(DeviceError) as caught:
        open_device(on, manifest)
    assert words in str(caught.value) and caught.value.hint


@pytest.mark.skipif(HERE != "x86_64", reason="elsewhere there is an emulator")
def test_where_code_runs_here_the_hint_is_to_run_it_here():
    for os, words in {"linux": "--on local", "windows": "copy the bundle to the device"}.items():
        with pytest.raises(DeviceError) as caught:
            open_device("emulated", for_target(os, "x86_64"))
        assert words in str(caught.value.hint)


def test_a_missing_emulator_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(DeviceError, match="qemu-aarch64-static is not installed") as caught:
        open_device("emulated", for_target("linux", "aarch64", "cortex-a72"))
    assert caught.value.hint == "apt install qemu-user-static"


@pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="needs qemu-user-static")
def test_a_build_on_another_emulator(bundles: Path, tmp_path: Path):
    result = edgeort.build(bundles / "m.onnx", "raspberrypi4", tmp_path / "b", on="emulated:cortex-a76")
    assert result.checked_on == "emulated (cortex-a76)"
    assert [row.provider for row in result.candidates] == ["cpu"]  # others could not be timed there


def test_bundles_from_a_zip_stay_executable(tmp_path: Path):
    with open_bundle(write_bundle(tmp_path / "b.zip", MANIFEST, CONTENTS)) as bundle:
        assert bundle.harness.stat().st_mode & stat.S_IXUSR


def test_a_difference_is_a_failed_check(tmp_path: Path):
    bundle = fake_bundle(tmp_path, 'echo "edgeort_bench: output \\"y\\" differs" >&2; exit 1')
    with pytest.raises(CheckError, match='on local, output "y" differs'):
        measure(bundle, open_device("local", bundle.manifest), Job(check=True))


@pytest.mark.parametrize("script", ["exit 2", "kill -4 $$", "echo nonsense", "echo '{}'", "echo '[]'"])
def test_a_harness_that_fails_is_a_device_error(tmp_path: Path, script: str):
    bundle = fake_bundle(tmp_path, script)
    with pytest.raises(DeviceError):
        measure(bundle, open_device("local", bundle.manifest), Job())
