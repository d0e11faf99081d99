"""`host` on this machine, and on machines whose files are written by the test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from edgeort import device_profiles
from edgeort.device_profiles import host, host_linux
from edgeort.errors import ProfileError

V3 = "avx avx2 bmi1 bmi2 f16c fma abm movbe"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def core(cpu: int, khz: int, siblings: str, caches: dict[int, tuple[str, str]]) -> dict[str, str]:
    """sysfs files of one logical CPU; caches: level -> (size, CPUs that share it)."""
    base = f"sys/devices/system/cpu/cpu{cpu}"
    files = {f"{base}/topology/thread_siblings_list": siblings, f"{base}/cpufreq/cpuinfo_max_freq": f"{khz}\n"}
    for index, (level, (size, shared)) in enumerate(caches.items()):
        kind = "Data" if level == 1 else "Unified"
        fields = {"level": str(level), "type": kind, "size": size, "shared_cpu_list": shared}
        files |= {f"{base}/cache/index{index}/{key}": value + "\n" for key, value in fields.items()}
    instruction = {"level": "1", "type": "Instruction", "size": "999K", "shared_cpu_list": str(cpu)}
    return files | {f"{base}/cache/index9/{key}": value + "\n" for key, value in instruction.items()}


def test_this_machine():
    profile = device_profiles.load("host")
    assert profile.name == "host"
    assert 1 <= profile.runtime.threads <= profile.cpu.cores <= (os.cpu_count() or 1)
    assert "memory.bandwidth_gbs" in profile.device.summary
    assert profile.transport.kind == "local"


@pytest.mark.parametrize(
    ("arch", "flags", "levels"),
    [
        ("x86_64", V3, ["v3"]),
        ("x86_64", V3 + " avx_vnni", ["v3", "avx_vnni"]),
        ("x86_64", V4 + " avx512_vnni", ["v3", "v4", "avx512_vnni"]),
        ("x86_64", V3 + " avx512f avx512_vnni", ["v3"]),
        ("x86_64", "sse2 avx", []),
        ("aarch64", "fp asimd evtstrm crc32", ["neon"]),
        ("aarch64", "fp asimd fphp asimdhp asimddp", ["neon", "dotprod", "fp16"]),
        ("aarch64", "fp asimd fphp asimdhp asimddp i8mm", ["neon", "dotprod", "fp16", "i8mm"]),
        ("armv7", "half thumb neon vfpv4", ["neon32"]),
        ("armv7", "fp asimd", ["neon32"]),
        ("armv7", "half thumb vfpv3", []),
    ],
)
def test_levels_from_flags(arch: str, flags: str, levels: list[str]):
    key = "flags" if arch == "x86_64" else "features"
    assert host_linux.isa(arch, [{"processor": "0", key: flags}]) == levels


def test_a_level_that_one_core_lacks_does_not_count():
    info = [{"processor": "0", "features": "asimd asimddp"}, {"processor": "1", "features": "asimd"}]
    assert host_linux.isa("aarch64", info) == ["neon"]
    assert host_linux.isa("aarch64", []) == []


def test_clusters_of_a_big_little_board(tmp_path: Path):
    big = {1: ("64K", "2"), 2: ("512K", "2"), 3: ("3072K", "0-2")}
    put(tmp_path, core(0, 1_800_000, "0", {1: ("32K", "0"), 2: ("128K", "0"), 3: ("3072K", "0-2")}))
    put(tmp_path, core(1, 2_350_000, "1", {**big, 2: ("512K", "1")}) | core(2, 2_400_000, "2", big))
    block = "processor : {}\nFeatures : asimd\nCPU implementer : 0x41\nCPU part : {}\n"
    text = "\n".join(block.format(cpu, part) for cpu, part in enumerate(("0xd05", "0xd0b", "0xd0b")))
    put(tmp_path, {"proc/cpuinfo": text + "\nHardware : x\nModel : Some Board\n"})
    info = host_linux.cpuinfo(tmp_path)
    clusters, l3_kb = host_linux.clusters([0, 1, 2], info, tmp_path)
    assert l3_kb == 3072
    assert clusters == [
        {"name": "Cortex-A55", "l1d_kb": 32, "l2_kb": 128, "l2_shared": False, "cores": 1, "mhz": 1800},
        {"name": "Cortex-A76", "l1d_kb": 64, "l2_kb": 512, "l2_shared": False, "cores": 2, "mhz": 2400},
    ]
    assert host_linux.model(info) == "Some Board"


def test_threads_of_one_core_count_once(tmp_path: Path):
    caches = {1: ("48K", "0-1"), 2: ("2048K", "0-1")}
    put(tmp_path, core(0, 3_000_000, "0-1", caches) | core(1, 3_000_000, "0-1", caches))
    clusters, l3_kb = host_linux.clusters([0, 1], [], tmp_path)
    assert [(c["cores"], c["l2_kb"], c["l2_shared"]) for c in clusters] == [(1, 2048, False)]
    assert l3_kb is None


def test_a_shared_level_2_cache(tmp_path: Path):
    for cpu in range(4):
        put(tmp_path, core(cpu, 1_500_000, str(cpu), {1: ("32K", str(cpu)), 2: ("1024K", "0-3")}))
    clusters, _ = host_linux.clusters([0, 1, 2, 3], [], tmp_path)
    assert [(c["cores"], c["l2_shared"]) for c in clusters] == [(4, True)]


def test_a_machine_that_tells_nothing(tmp_path: Path):
    assert host_linux.cpuinfo(tmp_path) == []
    assert host_linux.ram_mb(tmp_path) is None
    assert host_linux.cpu_quota(tmp_path) is None
    assert host_linux.model([]) is None
    clusters, l3_kb = host_linux.clusters([0], [], tmp_path)
    table, assumed = host.table("linux", "aarch64", host.Facts(["neon"], clusters, l3_kb), None)
    table["device"] = {"title": "board", "summary": ", ".join(assumed)}
    profile = device_profiles.parse(table, name="host", file="host")
    assert profile.cpu.clusters[0].mhz == host.ASSUMED_MHZ
    for key in ("memory.bandwidth_gbs", "memory.ram_mb", "cpu.cluster[0].mhz", "cpu.cluster[0].l2_kb"):
        assert key in profile.device.summary


def test_memory_and_quota(tmp_path: Path):
    put(tmp_path, {"proc/meminfo": "MemTotal:        4194304 kB\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"})
    assert host_linux.ram_mb(tmp_path) == 4096
    assert host_linux.cpu_quota(tmp_path) == 2
    put(tmp_path, {"sys/fs/cgroup/cpu.max": "max 100000\n"})
    assert host_linux.cpu_quota(tmp_path) is None


def test_a_quota_limits_the_threads():
    facts = host.Facts(["v3"], [{"cores": 8, "mhz": 3000}, {"cores": 8, "mhz": 4000}], cpu_quota=3)
    table, _ = host.table("linux", "x86_64", facts, None)
    assert table["runtime"]["threads"] == 3
    assert [cluster["mhz"] for cluster in table["cpu"]["cluster"]] == [4000, 3000]


def test_an_old_processor_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(host.platform, "system", lambda: "Linux")
    monkeypatch.setattr(host.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(host.host_linux, "cpuinfo", lambda: [{"processor": "0", "flags": "sse2"}])
    with pytest.raises(ProfileError, match="this machine's CPU lacks AVX2"):
        device_profiles.load("host")


@pytest.mark.parametrize(("system", "machine"), [("Linux", "sparc64"), ("Plan9", "x86_64")])
def test_an_unknown_machine_is_refused(monkeypatch: pytest.MonkeyPatch, system: str, machine: str):
    monkeypatch.setattr(host.platform, "system", lambda: system)
    monkeypatch.setattr(host.platform, "machine", lambda: machine)
    with pytest.raises(ProfileError, match=f"host: no support for {system} on {machine}"):
        device_profiles.load("host")


def test_a_mac(monkeypatch: pytest.MonkeyPatch):
    told = {
        "hw.nperflevels": "2",
        "hw.perflevel0.name": "Performance",
        "hw.perflevel0.physicalcpu": "4",
        "hw.perflevel0.l1dcachesize": "131072",
        "hw.perflevel0.l2cachesize": "16777216",
        "hw.perflevel1.name": "Efficiency",
        "hw.perflevel1.physicalcpu": "4",
        "hw.perflevel1.l1dcachesize": "65536",
        "hw.perflevel1.l2cachesize": "4194304",
        "hw.memsize": str(8 << 30),
        "hw.model": "Mac14,2",
        "hw.optional.arm.FEAT_DotProd": "1",
        "hw.optional.arm.FEAT_FP16": "1",
        "hw.optional.arm.FEAT_I8MM": "1",
    }
    monkeypatch.setattr(host.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(host.platform, "machine", lambda: "arm64")
    monkeypatch.setattr(host, "_sysctl", lambda name: told.get(name, ""))
    profile = device_profiles.load("host")
    assert (profile.target.os, profile.target.arch) == ("macos", "aarch64")
    assert profile.cpu.isa == ("neon", "dotprod", "fp16", "i8mm")
    assert [(c.name, c.cores, c.l2_kb, c.l2_shared) for c in profile.cpu.clusters] == [
        ("Performance", 4, 16384, True),
        ("Efficiency", 4, 4096, True),
    ]
    assert (profile.memory.ram_mb, profile.runtime.threads) == (8192, 4)
    assert "cpu.cluster[0].mhz" in profile.device.summary


def test_an_intel_mac(monkeypatch: pytest.MonkeyPatch):
    told = {"hw.physicalcpu": "6", "hw.optional.avx2_0": "1", "hw.optional.fma": "1", "hw.l2cachesize": "262144"}
    monkeypatch.setattr(host.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(host.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(host, "_sysctl", lambda name: told.get(name, ""))
    profile = device_profiles.load("host")
    assert (profile.cpu.isa, profile.cpu.cores, profile.cpu.clusters[0].l2_kb) == (("v3",), 6, 256)


def test_sysctl_reads_the_program(monkeypatch: pytest.MonkeyPatch):
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        known = command[-1] == "hw.memsize"
        return subprocess.CompletedProcess(command, 0 if known else 1, "17\n" if known else "")

    monkeypatch.setattr(host.subprocess, "run", run)
    assert host._sysctl("hw.memsize") == "17"
    assert host._sysctl("hw.none") == ""


class FakeKernel32:
    """kernel32 of a machine with the given processor features and 16 GiB."""

    def __init__(self, features: set[int]) -> None:
        self.features = features

    def IsProcessorFeaturePresent(self, feature: int) -> bool:
        return feature in self.features

    def GetPhysicallyInstalledSystemMemory(self, pointer) -> bool:
        pointer._obj.value = 16 << 20
        return True


@pytest.mark.parametrize(
    ("machine", "features", "isa"),
    [("AMD64", {40}, ("v3",)), ("ARM64", {43}, ("neon", "dotprod")), ("ARM64", set(), ("neon",))],
)
def test_windows(monkeypatch: pytest.MonkeyPatch, machine: str, features: set[int], isa: tuple[str, ...]):
    monkeypatch.setattr(host.platform, "system", lambda: "Windows")
    monkeypatch.setattr(host.platform, "machine", lambda: machine)
    monkeypatch.setattr(host.ctypes, "WinDLL", lambda name: FakeKernel32(features), raising=False)
    profile = device_profiles.load("host")
    assert (profile.target.os, profile.cpu.isa, profile.memory.ram_mb) == ("windows", isa, 16384)
    assert "directml" in profile.runtime.providers
