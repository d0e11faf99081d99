"""What devices tell, as a profile's table."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from edgeort import device_profiles
from edgeort.device_profiles import host_linux
from edgeort.devices import Output
from edgeort.errors import DeviceError, ProfileError
from edgeort.probing import facts
from tests.probing.recorded import DEVICES

_ANSWERS = "glibc=glibc 2.36\napi=\nmodel=\nandroid=\n"


class Elsewhere:
    """A transport to a device that only answers what a shell is asked."""

    is_real = True
    name = "elsewhere"

    def __init__(self, system: tuple[str, str], answers: str = _ANSWERS) -> None:
        self.system, self._answers = system, answers

    def execute(self, arguments: list[str], timeout_s: float = 0.0) -> Output:
        assert arguments[0] == "sh"
        return Output(0, self._answers, "")


def read(name: str, arch: str, os: str = "linux", on: str = "ssh:pi@board", answers: str = _ANSWERS) -> facts.Found:
    place: Any = Elsewhere((os, arch), answers)
    return facts.read(DEVICES[name], place, on, "2026-11-29")


def profile_of(found: facts.Found) -> device_profiles.Profile:
    return device_profiles.parse(found.table, name="probed", file="probed")


@pytest.mark.parametrize(
    ("name", "arch", "levels", "cores", "qemu"),
    [
        ("pi3", "aarch64", ["neon"], "4x Cortex-A53 1400 32/256", "cortex-a53"),
        ("pi4", "aarch64", ["neon"], "4x Cortex-A72 1800 32/1024", "cortex-a72"),
        ("pi5", "aarch64", ["neon", "dotprod", "fp16"], "4x Cortex-A76 2400 64/512", "cortex-a76"),
        (
            "phone",
            "aarch64",
            ["neon", "dotprod", "fp16", "i8mm"],
            "1x Cortex-X3 2914 32/256, 4x Cortex-A715 2367 32/256, 4x Cortex-A510 1700 32/256",
            "max",
        ),
        ("v3", "x86_64", ["v3"], "2x Intel(R) Core(TM) i5-6500 3600 32/256", None),
        ("vnni", "x86_64", ["v3", "avx_vnni"], "4x Intel(R) N100 3400 32/2048", None),
        ("v4", "x86_64", ["v3", "v4", "avx512_vnni"], "1x Intel(R) Xeon(R) 2100 32/256", None),
    ],
)
def test_levels_and_clusters(name: str, arch: str, levels: list[str], cores: str, qemu: str | None):
    found = profile_of(read(name, arch))
    assert list(found.cpu.isa) == levels
    told = (f"{c.cores}x {c.name} {c.mhz} {c.l1d_kb}/{c.l2_kb}" for c in found.cpu.clusters)
    assert ", ".join(told) == cores
    assert found.cpu.qemu == qemu
    assert found.runtime.threads == found.cpu.clusters[0].cores
    assert found.memory.ram_mb == 3793


@pytest.mark.parametrize("name", DEVICES)
def test_the_levels_are_those_of_cpuinfo(name: str):
    """The program asks the CPU or the kernel; /proc/cpuinfo says the same."""
    arch = "aarch64" if name.startswith("p") else "x86_64"
    blocks = [
        {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        for block in DEVICES[name]["files"]["/proc/cpuinfo"].split("\n\n")
    ]
    assert facts.isa(arch, DEVICES[name]) == host_linux.isa(arch, blocks)


def test_every_figure_says_where_it_comes_from():
    found = read("pi3", "aarch64")
    assert found.sources["cpu.isa"] == "read 2026-11-29: HWCAP"
    assert found.sources["cpu.cluster[0].mhz"].startswith("read")
    assert found.sources["cpu.cluster[0].l2_kb"].startswith("assumed")  # this kernel tells of no caches
    assert read("pi4", "aarch64").sources["cpu.cluster[0].l2_kb"].startswith("read")
    for key in ("memory.ram_mb", "target.glibc", "runtime.threads", "runtime.providers", "cpu.cluster[0].cores"):
        assert found.sources[key], key


def test_the_board_and_its_system():
    found = read("pi4", "aarch64")
    assert found.table["device"]["title"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert found.table["device"]["summary"] == "probed 2026-11-29 on ssh:pi@board: Linux 6.6.31, glibc 2.36"
    assert found.table["transport"] == {"kind": "ssh", "hint": "ssh:pi@board"}
    assert found.table["target"]["glibc"] == "2.28"
    assert read("pi3", "aarch64").table["device"]["title"] == "Raspberry Pi 3 Model B Plus Rev 1.3"
    musl = read("pi4", "aarch64", answers="glibc=\napi=\nmodel=\nandroid=\n")
    assert "glibc" not in musl.table["target"]
    assert read("pi4", "aarch64", answers="glibc=glibc 2.17\n").table["target"]["glibc"] == "2.17"


def test_a_phone():
    answers = "glibc=\napi=34\nmodel=Pixel 8\nandroid=14\n"
    found = read("phone", "aarch64", os="android", on="adb:123", answers=answers)
    profile = profile_of(found)
    assert (profile.device.title, profile.target.os, profile.target.min_os) == ("Pixel 8", "android", "29")
    assert "Android 14 (API 34), bionic" in profile.device.summary
    assert profile.runtime.providers == ("cpu", "litert")
    assert found.fastest_cpu == 8
    assert profile.transport.hint == "adb:123"


def test_more_is_read_than_caches_hold_and_less_than_there_is():
    assert read("pi4", "aarch64").buffer_bytes == 64 << 20
    told: dict[str, Any] = copy.deepcopy(DEVICES["v3"])
    told["files"]["/sys/devices/system/cpu/cpu0/cache/index2/size"] = "32768K\n"
    place: Any = Elsewhere(("linux", "x86_64"))
    assert facts.read(told, place, "local", "2026-11-29").buffer_bytes == 128 << 20
    told["files"]["/proc/meminfo"] = "MemTotal: 131072 kB\n"
    assert facts.read(told, place, "local", "2026-11-29").buffer_bytes == 32 << 20


def test_a_device_that_tells_nothing_but_its_levels():
    told = {"isa": ["neon"], "cpus": [0], "files": {}}
    place: Any = Elsewhere(("linux", "aarch64"), "")
    found = facts.read(told, place, "ssh:x", "2026-11-29")
    assert profile_of(found).cpu.cores == 1
    assert {"memory.ram_mb", "cpu.cluster[0].mhz"} <= {k for k, v in found.sources.items() if v.startswith("assumed")}


def test_a_cpu_without_what_kernels_need():
    place: Any = Elsewhere(("linux", "x86_64"))
    with pytest.raises(ProfileError, match="elsewhere: the CPU lacks AVX2"):
        facts.read({"isa": [], "cpus": [0], "files": {}}, place, "ssh:x", "2026-11-29")


@pytest.mark.parametrize("system", [("macos", "aarch64"), ("linux", "riscv64")])
def test_systems_that_are_not_probed(system: tuple[str, str]):
    place: Any = Elsewhere(system)
    with pytest.raises(ProfileError, match=f"elsewhere is {system[0]}/{system[1]}: only Linux and Android"):
        facts.check_system(place)


@pytest.mark.parametrize("name", ["/proc/../../x", "/"])
def test_a_device_cannot_make_files_here(name: str):
    told: Mapping[str, Any] = {"isa": ["neon"], "cpus": [0], "files": {name: "x"}}
    place: Any = Elsewhere(("linux", "aarch64"))
    with pytest.raises(DeviceError, match="which nobody asked for"):
        facts.read(told, place, "ssh:x", "2026-11-29")
