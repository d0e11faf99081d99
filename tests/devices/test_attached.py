"""What `edgeort devices` lists, and which profile fits a device."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgeort import device_profiles
from edgeort.devices.facts import best_profile
from tests.cli.support import call
from tests.devices.adbd import Adbd
from tests.devices.sshd import Sshd, need_sshd
from tests.devices.userland import Userland

LINUX, ANDROID, PC = ("linux", "aarch64"), ("android", "aarch64"), ("linux", "x86_64")
V8, V82, V86 = ("neon",), ("neon", "dotprod", "fp16"), ("neon", "dotprod", "fp16", "i8mm")

# Names as the devices' own device trees, build properties and /proc/cpuinfo have them.
FITTING = [
    ("Raspberry Pi 4 Model B Rev 1.4", LINUX, {"Cortex-A72": 4}, V8, "raspberrypi4"),
    ("Raspberry Pi 400 Rev 1.0", LINUX, {"Cortex-A72": 4}, V8, "raspberrypi4"),  # the same cores
    ("Raspberry Pi 5 Model B Rev 1.0", LINUX, {"Cortex-A76": 4}, V82, "raspberrypi5"),
    ("Raspberry Pi 3 Model B Plus Rev 1.3", LINUX, {"Cortex-A53": 4}, V8, "raspberrypi3"),
    ("Raspberry Pi 3 Model B Rev 1.2", LINUX, {"Cortex-A53": 4}, V8, "raspberrypi3"),
    ("Raspberry Pi Zero 2 W Rev 1.0", LINUX, {"Cortex-A53": 4}, V8, "raspberrypi-zero-2w"),
    ("NVIDIA Jetson Orin Nano Developer Kit", LINUX, {"Cortex-A78AE": 6}, V82, "jetson-orin-nano"),
    ("Radxa ROCK 5B", LINUX, {"Cortex-A55": 4, "Cortex-A76": 4}, V82, "rk3588"),
    ("Some board", LINUX, {"Cortex-A73": 2}, V8, "arm64"),
    ("Google Pixel 8 Tensor G3", ANDROID, {"Cortex-X3": 1, "Cortex-A715": 4, "Cortex-A510": 4}, V86, "pixel8"),
    ("samsung SM-S921B", ANDROID, {"Cortex-X4": 1, "Cortex-A720": 5, "Cortex-A520": 2}, V86, "galaxy-s24"),
    ("Some phone", ANDROID, {"Cortex-A53": 8}, V8, "android-arm64"),
    ("An old phone", ("android", "armv7"), {"Cortex-A7": 2}, ("neon32",), "android-armv7"),
    ("A Chromebook", ("android", "x86_64"), {"Some CPU": 2}, ("v3",), "android-x86_64"),
    ("Intel(R) N100", PC, {"Intel(R) N100": 4}, ("v3", "avx_vnni"), "intel-n100"),
    ("Some PC", PC, {"Some CPU": 4}, ("v3", "v4"), "x86-64"),
    ("An old PC", PC, {"Old CPU": 4}, (), None),
    ("A router", ("linux", "mips"), {"core": 1}, (), None),
]


@pytest.mark.parametrize(("model", "system", "cores", "isa", "profile"), FITTING, ids=[row[0] for row in FITTING])
def test_the_profile_that_fits(
    model: str, system: tuple[str, str], cores: dict[str, int], isa: tuple[str, ...], profile: str | None
):
    assert best_profile(model, system, Counter(cores), isa) == profile


def pi4(root: Path, busybox: Path, files: Path) -> Userland:
    """An Arm userland with the two files that tell of a Raspberry Pi 4."""
    block = "processor\t: {}\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n"
    (files / "cpuinfo").write_text("".join(block.format(cpu) for cpu in range(4)) + "Model\t: Raspberry Pi 4 Model B\n")
    (files / "model").write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    binds = (f"{files}/cpuinfo:/proc/cpuinfo", f"{files}/model:/proc/device-tree/model")
    return replace(Userland.arm(root, busybox), binds=binds)


def test_what_is_attached(
    attach: Callable[..., Adbd],
    busybox: Path,
    bundles: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    need_sshd("proot", "qemu-aarch64-static")
    there = pi4(tmp_path / "board", busybox, tmp_path)
    server = Sshd(tmp_path / "sshd", there)
    monkeypatch.setenv("PATH", f"{server.folder}/bin:{os.environ['PATH']}")
    phone = attach(Userland.arm(tmp_path / "phone", busybox, "cortex-a76", android=True))
    shy = attach(state="unauthorized")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edgeort.toml").write_text('[devices]\npi = "ssh:board"\ngone = "ssh:127.0.0.1:1"\nodd = "usb:3"\n')
    server.start()
    try:
        table = call("devices").stdout
        assert not there.files() - {".cache"}  # asking leaves nothing
        assert call("bench", bundles / "pi", "--on", "pi", "--runs", 1).exit_code == 0
        kept = sum(path.stat().st_size for path in there.root.rglob("blobs/*"))
        rows = {row["on"]: row for row in json.loads(call("devices", "--json").stdout)}
        assert kept <= rows["pi"]["facts"]["kept_bytes"] < kept + 64_000
        assert "removed what was kept in /home/pi/.cache/edgeort" in call("devices", "--clear", "pi").stdout
        assert not there.files() - {".cache"}
    finally:
        server.stop()
    assert rows["local"]["facts"]["profile"] == "host" and rows["local"]["facts"]["free_bytes"] > 0
    assert rows["emulated:cortex-a72"]["facts"]["model"] == "QEMU, for raspberrypi4"
    pi = rows["pi"]["facts"]
    assert (pi["model"], pi["cores"], pi["profile"]) == (
        "Raspberry Pi 4 Model B Rev 1.4",
        ["4x Cortex-A72"],
        "raspberrypi4",
    )
    assert pi["system"] == "linux/aarch64" and pi["isa"] == ["neon"] and pi["free_bytes"] > 0
    told = rows[f"adb:{phone.serial}"]["facts"]
    assert (told["model"], told["os"], told["system"]) == ("Google Pixel 8", "Android 14", "android/aarch64")
    assert "does not trust this machine" in rows[f"adb:{shy.serial}"]["reason"]
    assert "nothing listens on port 1" in rows["gone"]["reason"] and "unknown device 'usb:3'" in rows["odd"]["reason"]
    for words in (
        "Raspberry Pi 4 Model B Rev 1.4",
        "gone: ssh:127.0.0.1:1 cannot be reached: nothing listens",
        "Google Pixel 8",
    ):
        assert words in table


def test_every_profile_fits_itself():
    for profile in map(device_profiles.load, device_profiles.names()[1:]):
        cores: Counter[str] = Counter()
        for cluster in profile.cpu.clusters:
            cores[cluster.name] += cluster.cores
        system = (profile.target.os, profile.target.arch)
        assert best_profile(profile.device.title, system, cores, profile.cpu.isa) == profile.name


def test_without_adbutils_a_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "adbutils", None)
    result = call("devices")
    assert result.exit_code == 0 and "local" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("adb: adbutils cannot be imported")
    assert "pip install 'edgeort[adb]'" in result.stdout


def test_nothing_is_kept_here():
    result = call("devices", "--clear", "local")
    assert result.exit_code == 2 and "nothing is kept on local" in result.stderr
