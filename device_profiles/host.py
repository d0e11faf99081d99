"""`host`: this machine as a profile table, of the same shape as the TOML files and checked by the same rules.

Figures that the operating system does not tell are assumed, small rather than large, and `device.summary` names them.
"""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
from dataclasses import dataclass, field
from typing import Any

from edgeort.device_profiles import host_linux
from edgeort.errors import ProfileError

ARCHS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
ARCHS |= {"armv7l": "armv7", "armv8l": "armv7"}
OSES = {"Linux": "linux", "Darwin": "macos", "Windows": "windows"}
_OLDEST_GLIBC = (2, 28)  # what every Linux profile builds for: a newer host keeps to it, so that one libc build serves
_PROVIDERS = {
    "linux": ["cpu", "openvino", "litert"],
    "android": ["cpu", "litert"],
    "macos": ["cpu", "coreml", "openvino"],
    "windows": ["cpu", "openvino", "directml"],
}
ASSUMED_MHZ, ASSUMED_L1D_KB, ASSUMED_L2_KB, ASSUMED_RAM_MB, ASSUMED_GBS = 1000, 32, 256, 1024, 10.0


@dataclass
class Facts:
    """What an operating system told; None or empty: it did not."""

    isa: list[str]
    clusters: list[dict[str, Any]] = field(default_factory=list)
    l3_kb: int | None = None
    ram_mb: int | None = None
    model: str | None = None
    cpu_quota: int | None = None


def system_named(os_name: str, machine: str) -> tuple[str, str]:
    """Operating system and architecture, as uname has them, by their names in profiles; as they are where no profile
    can be of them."""
    return OSES.get(os_name, os_name.lower()), ARCHS.get(machine.lower(), machine.lower())


def own_system() -> tuple[str, str]:
    """Those of this machine."""
    return system_named(platform.system(), platform.machine())


def detect() -> dict[str, Any]:
    """This machine as a profile table. Raises ProfileError when the runtime has no kernels for it."""
    system, machine = platform.system(), platform.machine()
    arch, os_name = ARCHS.get(machine.lower()), OSES.get(system)
    wide = ctypes.sizeof(ctypes.c_void_p) == 8
    if arch is None or os_name is None or (arch == "x86_64" and not wide):
        raise ProfileError(
            f"host: no support for {system} on {machine} with {'64' if wide else '32'}-bit Python",
            hint="edgeort profiles list",
        )
    if arch == "aarch64" and not wide:
        arch = "armv7"  # a 32-bit system on a 64-bit kernel
    facts = {"linux": _linux, "macos": _macos, "windows": _windows}[os_name](arch)
    if not facts.isa:
        needed = {"x86_64": "AVX2, FMA and BMI (x86-64-v3)", "aarch64": "NEON", "armv7": "NEON"}[arch]
        raise ProfileError(f"host: this machine's CPU lacks {needed}, which every kernel needs")
    facts.clusters = facts.clusters or [{"cores": len(_usable_cpus())}]
    made, assumed = table(os_name, arch, facts, _glibc() if os_name == "linux" else None)
    made["device"] = {"title": facts.model or "this machine", "summary": "assumed: " + ", ".join(assumed)}
    return made


def table(os_name: str, arch: str, facts: Facts, glibc: str | None) -> tuple[dict[str, Any], list[str]]:
    """A profile's table without [device], and the keys whose figures are assumed. Clusters in `facts` are completed."""
    assumed = ["memory.bandwidth_gbs"] + (["memory.ram_mb"] if facts.ram_mb is None else [])
    clusters = facts.clusters
    for index, cluster in enumerate(clusters):
        guesses = {"name": "CPU", "mhz": ASSUMED_MHZ, "l1d_kb": ASSUMED_L1D_KB, "l2_kb": ASSUMED_L2_KB}
        for key, value in guesses.items():
            if cluster.get(key) is None:
                cluster[key] = value
                assumed.append(f"cpu.cluster[{index}].{key}")
    clusters.sort(key=lambda cluster: -int(cluster["mhz"]))
    threads = min(clusters[0]["cores"], facts.cpu_quota or clusters[0]["cores"])
    target = {"os": os_name, "arch": arch, **({"glibc": glibc} if glibc else {})}
    cpu: dict[str, Any] = {"isa": facts.isa, "cluster": clusters}
    if facts.l3_kb:
        cpu["l3_kb"] = facts.l3_kb
    made = {
        "target": target,
        "cpu": cpu,
        "memory": {"ram_mb": facts.ram_mb or ASSUMED_RAM_MB, "bandwidth_gbs": ASSUMED_GBS},
        "runtime": {"threads": threads, "providers": list(_PROVIDERS[os_name])},
        "transport": {"kind": "local"},
    }
    return made, assumed


def _usable_cpus() -> list[int]:
    """Logical CPUs this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _glibc() -> str | None:
    name, version = platform.libc_ver()
    return built_for(version) if name == "glibc" else None


def built_for(glibc: str) -> str | None:
    """The glibc that code is built for where the system has this version; None where it is no version."""
    parts = glibc.split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return None
    major, minor = min((int(parts[0]), int(parts[1])), _OLDEST_GLIBC)
    return f"{major}.{minor}"


def _linux(arch: str) -> Facts:
    cpus = _usable_cpus()
    info = host_linux.cpuinfo()
    clusters, l3_kb = host_linux.clusters(cpus, info)
    return Facts(
        isa=host_linux.isa(arch, info),
        clusters=clusters,
        l3_kb=l3_kb,
        ram_mb=host_linux.ram_mb(),
        model=host_linux.model(info),
        cpu_quota=host_linux.cpu_quota(),
    )


def _macos(arch: str) -> Facts:
    def number(name: str) -> int | None:
        text = _sysctl(name)
        return int(text) if text.isdigit() else None

    def kb(name: str) -> int | None:
        size = number(name)
        return size // 1024 if size else None

    clusters: list[dict[str, Any]] = []
    for level in range(number("hw.nperflevels") or 0):
        prefix = f"hw.perflevel{level}."
        cores = number(prefix + "physicalcpu")
        if cores:
            # macOS tells no clocks; the levels are numbered from the fastest, so one assumed clock keeps their order
            cluster = {"cores": cores, "l1d_kb": kb(prefix + "l1dcachesize"), "l2_kb": kb(prefix + "l2cachesize")}
            clusters.append({"name": _sysctl(prefix + "name") or f"level {level}", "l2_shared": True, **cluster})
    if not clusters:
        clusters.append(
            {"cores": number("hw.physicalcpu") or 1, "l1d_kb": kb("hw.l1dcachesize"), "l2_kb": kb("hw.l2cachesize")}
        )
    memory = number("hw.memsize")
    ram_mb = memory >> 20 if memory else None
    return Facts(_macos_isa(arch), clusters, kb("hw.l3cachesize"), ram_mb, _sysctl("hw.model") or None)


def _macos_isa(arch: str) -> list[str]:
    if arch == "x86_64":
        has = (_sysctl("hw.optional.avx2_0") == "1") and (_sysctl("hw.optional.fma") == "1")
        return ["v3"] if has else []
    features = (("dotprod", "FEAT_DotProd"), ("fp16", "FEAT_FP16"), ("i8mm", "FEAT_I8MM"))
    return ["neon"] + [level for level, feature in features if _sysctl(f"hw.optional.arm.{feature}") == "1"]


def _sysctl(name: str) -> str:
    """The value of a sysctl as text, "" when there is none."""
    done = subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _windows(arch: str) -> Facts:
    kernel32 = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined, unused-ignore]
    # IsProcessorFeaturePresent: 40 is AVX2, 43 is the Arm v8.2 dot product (winnt.h)
    feature = {"x86_64": (40, "v3"), "aarch64": (43, "dotprod")}[arch]
    isa = ["neon"] if arch == "aarch64" else []
    if kernel32.IsProcessorFeaturePresent(feature[0]):
        isa.append(feature[1])
    kilobytes = ctypes.c_ulonglong(0)
    told = kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
    return Facts(isa, ram_mb=kilobytes.value >> 10 if told else None, model=platform.processor() or None)
