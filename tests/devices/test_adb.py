"""Bundles on Android devices, by the genuine adb and its protocol."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeort.bench import measure
from edgeort.bundle import open_bundle
from edgeort.devices import Job, open_device, open_transport
from edgeort.errors import DeviceError
from tests.cli.support import call
from tests.devices.adbd import Adbd
from tests.devices.userland import Userland, needs_proot
from tests.devices.watching import MANY, is_running, is_tidy, soon


@needs_proot
def test_bench_on_a_phone(attach: Callable[..., Adbd], bundles: Path, busybox: Path, tmp_path: Path):
    there = Userland.arm(tmp_path / "phone", busybox, "cortex-a76", android=True)
    phone = attach(there)
    result = call("bench", bundles / "pi", "--on", "adb", "--runs", 20, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["device"] == f"adb:{phone.serial}" and found["latency_ms"]["runs"] == 20 and found["check"] == "passed"
    assert is_tidy(there) and all(name.startswith("edgeort/blobs") for name in there.files() - {"edgeort"})
    kept = there.blobs()
    with open_bundle(bundles / "pi") as bundle, open_device(f"adb:{phone.serial}", bundle.manifest) as device:
        assert device.transport.system == ("android", "aarch64")
        measure(bundle, device, Job(runs=1, outputs=tmp_path / "out"))
    assert (tmp_path / "out/output0.npy").stat().st_size > 100 and there.blobs() == kept and is_tidy(there)


@pytest.fixture
def plain_base(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This machine has no /data: another folder for devices that are it."""
    monkeypatch.setattr("edgeort.devices.adb.BASE", str(tmp_path / "phone0/home/edgeort"))


def test_programs_and_files(attach: Callable[..., Adbd], plain_base: None, tmp_path: Path):
    phone = attach()
    (tmp_path / "large").write_bytes(os.urandom(3_000_000))
    lines: list[str] = []
    with open_transport("adb") as there:
        folder = there.push({"large": tmp_path / "large"})
        there.pull(folder, tmp_path / "back")
        assert (tmp_path / "back/large").read_bytes() == (tmp_path / "large").read_bytes()
        output = there.execute(["sh", "-c", "echo one; echo two; echo bad >&2; exit 255"], lines.append)
        assert (output.status, output.stdout, output.stderr) == (255, "one\ntwo\n", "bad\n")
        assert lines == ["one", "two"]
        with pytest.raises(DeviceError, match="did not end within 1 s"):
            there.execute(["sleep", "4322"], timeout_s=1)
        assert there.execute(["echo", "still"]).stdout == "still\n"
    assert is_tidy(phone.userland)


def test_a_pulled_cable(attach: Callable[..., Adbd], plain_base: None, bundles: Path):
    phone = attach()
    with open_bundle(bundles / "host") as bundle:
        cable = threading.Thread(
            target=lambda: soon(lambda: is_running(phone.userland)) and (phone.stop(), phone.drop_connections())
        )
        cable.start()
        with (
            pytest.raises(DeviceError, match=r"lost while running edgeort_bench; .* may be left there"),
            open_device("adb", bundle.manifest) as device,
        ):
            measure(bundle, device, Job(runs=MANY))
        cable.join()
    assert is_tidy(phone.userland)


def test_with_two_devices_it_asks_which(attach: Callable[..., Adbd]):
    phones = [attach(), attach()]
    with pytest.raises(DeviceError, match="2 Android devices are attached: which?") as caught:
        open_transport("adb")
    assert all(f"adb:{phone.serial}" in str(caught.value) for phone in phones)
    assert str(caught.value.hint).startswith("--on adb:127.0.0.1:")


@pytest.mark.parametrize(
    ("state", "why", "hint"),
    [
        ("unauthorized", "it does not trust this machine yet", "Allow USB debugging"),
        ("offline", "it is attached and does not answer", "adb reconnect offline"),
    ],
)
def test_devices_that_cannot_be_used_are_explained(attach: Callable[..., Adbd], state: str, why: str, hint: str):
    phone = attach(state=state)
    for on in ("adb", f"adb:{phone.serial}"):
        with pytest.raises(DeviceError, match=why) as caught:
            open_transport(on)
        assert phone.serial in str(caught.value) and hint in str(caught.value.hint)


def test_none_and_an_unknown_one(adb: Callable[..., str]):
    with pytest.raises(DeviceError, match="no Android device is attached") as caught:
        open_transport("adb")
    assert "USB debugging" in str(caught.value.hint)
    with pytest.raises(DeviceError, match="adb:ABC cannot be used: it is not attached"):
        open_transport("adb:ABC")
