"""What a device tells about itself, through the program in runtime/probe, as a profile's table.

The program prints the files of /proc and /sys, which are read as this machine's own are (device_profiles/host_linux).
Under an emulator these are the files of the machine that emulates: only the CPU's levels count then.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from edgeort.device_profiles import ISA_LEVELS, host, host_linux
from edgeort.device_profiles.profile import OS_ARCHS
from edgeort.devices import Transport
from edgeort.errors import DeviceError, ProfileError

_FP16 = 1 << 9 | 1 << 10  # HWCAP_FPHP, HWCAP_ASIMDHP: arch/arm64/include/uapi/asm/hwcap.h
_OLDEST_API = 29  # of Android, that code is built for (targets.py)
_QEMU = {"Cortex-A53": "cortex-a53", "Cortex-A57": "cortex-a57", "Cortex-A72": "cortex-a72", "Cortex-A76": "cortex-a76"}
# What the last line of a shell's answer is asked for; each is empty where the system has no such thing.
_QUESTIONS = (
    "echo glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null); echo api=$(getprop ro.build.version.sdk 2>/dev/null); "
    "echo model=$(getprop ro.product.model 2>/dev/null); echo android=$(getprop ro.build.version.release 2>/dev/null)"
)


@dataclass
class Found:
    """A profile's table, and for its keys, dotted, where each figure comes from. `fastest_cpu` is that of one core's
    figures, `buffer_bytes` are more than caches hold."""

    table: dict[str, Any]
    sources: dict[str, str] = field(default_factory=dict)
    fastest_cpu: int = -1
    buffer_bytes: int = 64 << 20


def check_system(transport: Transport) -> None:
    """Raises ProfileError where devices of that kind cannot be probed, or the runtime has no kernels for them."""
    (os_name, arch), probed = transport.system, OS_ARCHS["linux"]
    if os_name not in ("linux", "android") or arch not in probed:
        raise ProfileError(
            f"{transport.name} is {os_name}/{arch}: only Linux and Android on {', '.join(probed)} are probed",
            hint="edgeort profiles list has profiles to copy and change",
        )


def read(told: Mapping[str, Any], transport: Transport, on: str, day: str) -> Found:
    """The table of the device that the program ran on: `told` is what it printed, `on` the place as --on has it.

    Raises ProfileError where the runtime has no kernels for it.
    """
    os_name, arch = transport.system
    levels = isa(arch, told)
    if not levels:
        needed = {"x86_64": "AVX2, FMA and BMI (x86-64-v3)", "aarch64": "NEON", "armv7": "NEON"}[arch]
        raise ProfileError(f"{transport.name}: the CPU lacks {needed}, which every kernel needs")
    if not transport.is_real:
        return _of_emulator(levels, transport, on, day)
    asked = _answers(transport)
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        root = Path(folder)
        _put(told.get("files", {}), root)
        info = host_linux.cpuinfo(root)
        cpus = [int(cpu) for cpu in told["cpus"]]
        clusters, l3_kb = host_linux.clusters(cpus, info, root)
        model = asked["model"] or _board(root) or host_linux.model(info)
        facts = host.Facts(levels, clusters, l3_kb, host_linux.ram_mb(root), model, host_linux.cpu_quota(root))
        fastest = host_linux.fastest_cpu(cpus, info, root)
        system = _system(told, root, asked)
    glibc = host.built_for(asked["glibc"].removeprefix("glibc").strip()) if os_name == "linux" else None
    table, assumed = host.table(os_name, arch, facts, glibc)
    found = Found(_completed(table, on), fastest_cpu=fastest)
    _name(found, facts.model or "a device", f"probed {day} on {on}: {system}")
    _give_sources(found, assumed, day, asked)
    if os_name == "android" and asked["api"].isdigit():
        found.table["target"]["min_os"] = str(min(int(asked["api"]), _OLDEST_API))
        found.sources["target.min_os"] = f"read {day}: API level {asked['api']}; code is built for {_OLDEST_API}"
    ram = (facts.ram_mb or 512) << 20
    found.buffer_bytes = min(max(64 << 20, 4 * 1024 * (l3_kb or 0)), ram // 4)
    return found


def isa(arch: str, told: Mapping[str, Any]) -> list[str]:
    """The ISA levels that the CPU itself tells of (CPUID), or the kernel (HWCAP), as profiles name and order them."""
    has = set(told.get("isa", ()))
    if arch == "aarch64" and int(told.get("hwcap", 0)) & _FP16 == _FP16:
        has.add("fp16")
    return [level for level in ISA_LEVELS.get(arch, {}) if level in has]


def _put(files: Mapping[str, str], root: Path) -> None:
    """The device's files below `root`: each byte is a character here."""
    for name, text in files.items():
        parts = PurePosixPath(name).parts[1:]
        if not parts or ".." in parts:
            raise DeviceError(f"the device told of a file {name!r}, which nobody asked for")
        path = root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("latin-1"))


def _answers(transport: Transport) -> dict[str, str]:
    """What a shell there says; "" for what it does not know."""
    said = transport.execute(["sh", "-c", _QUESTIONS], timeout_s=60.0)
    pairs = dict(line.partition("=")[::2] for line in said.stdout.splitlines())
    return {name: pairs.get(name, "").strip() for name in ("glibc", "api", "model", "android")}


def _board(root: Path) -> str | None:
    path = root / "proc/device-tree/model"
    return path.read_text(encoding="utf-8", errors="replace").strip() if path.exists() else None


def _system(told: Mapping[str, Any], root: Path, asked: Mapping[str, str]) -> str:
    """`Debian GNU/Linux 12 (bookworm), Linux 6.1.0, glibc 2.36`."""
    release = root / "etc/os-release"
    named = (
        re.search(r'^PRETTY_NAME="?([^"\n]*)', release.read_text(errors="replace"), re.M) if release.exists() else None
    )
    android = f"Android {asked['android']} (API {asked['api']}), bionic" if asked["api"] else ""
    parts = (
        android,
        named[1] if named and not android else "",
        f"Linux {told['kernel']}" if told.get("kernel") else "",
    )
    return ", ".join(part for part in (*parts, asked["glibc"]) if part)


def _of_emulator(levels: list[str], transport: Transport, on: str, day: str) -> Found:
    """Levels, and nothing else, for the rest is the machine that emulates."""
    os_name, arch = transport.system
    table, assumed = host.table(
        os_name, arch, host.Facts(levels, [{"cores": 1}]), "2.28" if os_name == "linux" else None
    )
    table["cpu"]["qemu"] = on.partition(":")[2]
    del table["transport"]
    found = Found(table)
    summary = f"probed {day} on {on}: the levels are those of the emulated CPU, all else is assumed"
    _name(found, f"emulated {table['cpu']['qemu']}", summary)
    _give_sources(found, [*assumed, "cpu.cluster[0].cores"], day, {})
    found.sources["cpu.qemu"] = "what was probed"
    return found


def _completed(table: dict[str, Any], on: str) -> dict[str, Any]:
    """With an emulator that has what the device has, and the way to it."""
    kind = on.partition(":")[0]
    if kind in ("ssh", "adb"):
        table["transport"] = {"kind": kind, "hint": on}
    arch, levels, clusters = table["target"]["arch"], table["cpu"]["isa"], table["cpu"]["cluster"]
    if arch != "x86_64":
        known = _QEMU.get(clusters[0]["name"]) if len(clusters) == 1 else None
        best = "max" if "i8mm" in levels else "cortex-a76" if "dotprod" in levels else "cortex-a72"
        table["cpu"]["qemu"] = "cortex-a7" if arch == "armv7" else known or best
    return table


def _name(found: Found, title: str, summary: str) -> None:
    found.table = {"device": {"title": title, "summary": summary}, **found.table}


def _give_sources(found: Found, assumed: list[str], day: str, asked: Mapping[str, str]) -> None:
    table, sources = found.table, found.sources
    sources["cpu.isa"] = f"read {day}: {'CPUID' if table['target']['arch'] == 'x86_64' else 'HWCAP'}"
    for index in range(len(table["cpu"]["cluster"])):
        at = f"cpu.cluster[{index}]"
        sources[f"{at}.name"] = sources[f"{at}.cores"] = f"read {day}: /proc/cpuinfo"
        sources[f"{at}.mhz"] = f"read {day}: cpufreq, or the clock of that moment"
        sources[f"{at}.l1d_kb"] = sources[f"{at}.l2_kb"] = sources[f"{at}.l2_shared"] = f"read {day}: /sys"
    sources["cpu.l3_kb"] = f"read {day}: /sys"
    sources["cpu.qemu"] = "an emulator with no more levels than these, or the nearest"
    sources["memory.ram_mb"] = f"read {day}: /proc/meminfo"
    sources["target.glibc"] = (
        f"read {day}: {asked.get('glibc')}; code is built for 2.28 at most" if asked else "assumed"
    )
    sources["runtime.threads"] = "default: the cores of the first cluster, or what its container grants"
    sources["runtime.providers"] = "default: those that exist there"
    for key in assumed:
        sources[key] = "assumed: the system does not tell"
