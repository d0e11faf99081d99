"""What a device is, read by its shell, and which profile fits it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeort import device_profiles
from edgeort.device_profiles import Profile, host_linux
from edgeort.device_profiles.profile import ISA_LEVELS
from edgeort.devices.transport import Transport
from edgeort.errors import ProfileError

_NOWHERE = Path("/nonexistent")  # clusters() also looks for files here, where the device's are not

# $1: the folder whose file system counts; $2: the folder of kept files. What a device lacks is an empty section.
_SCRIPT = r"""
echo "== cpuinfo"; cat /proc/cpuinfo 2>/dev/null
echo "== board"; tr -d '\000' </proc/device-tree/model 2>/dev/null; echo
echo "== phone"; getprop ro.product.manufacturer 2>/dev/null; getprop ro.product.model 2>/dev/null
echo "== soc"; getprop ro.soc.model 2>/dev/null
echo "== android"; getprop ro.build.version.release 2>/dev/null
echo "== os"; sed -n 's/^PRETTY_NAME=//p' /etc/os-release 2>/dev/null
echo "== free"; df -Pk "$1" 2>/dev/null
echo "== kept"; [ -z "$(ls "$2" 2>/dev/null)" ] || du -sk "$2"
"""


@dataclass(frozen=True)
class Facts:
    """`model` is the board's or the CPU's name, `cores` what they are, `isa` levels of the runtime's kernels; sizes are
    None and texts "" where the device does not tell. `profile` is the one that fits best, None where none does."""

    model: str
    system: str
    os: str
    cores: tuple[str, ...]
    isa: tuple[str, ...]
    free_bytes: int | None
    kept_bytes: int | None
    profile: str | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def read(there: Transport, folder: str = "/", kept: str = "") -> Facts:
    """Asks a Linux or Android device. DeviceError where it does not answer."""
    found = _sections(there.execute(["sh", "-c", _SCRIPT, "facts", folder, kept], timeout_s=30).stdout)
    os, arch = there.system
    info = host_linux.parse_cpuinfo(found["cpuinfo"])
    count = sum("processor" in block for block in info)
    clusters, _ = host_linux.clusters(list(range(count)), info, _NOWHERE)
    names = Counter({str(cluster["name"] or "core"): int(cluster["cores"]) for cluster in clusters})
    isa = tuple(host_linux.isa(arch, info)) if arch in ISA_LEVELS else ()
    if not isa and arch == "aarch64":
        isa = ("neon",)  # which every such core has
    model = found["board"] or " ".join(found["phone"].split()) or host_linux.model(info) or ""
    return Facts(
        model,
        f"{os}/{arch}",
        f"Android {found['android']}" if found["android"] else found["os"].strip('"'),
        tuple(f"{number}x {name}" for name, number in names.items()),
        isa,
        _kilobytes(found["free"], 3),
        _kilobytes(found["kept"], 0),
        best_profile(f"{model} {found['soc']}", (os, arch), names, isa),
    )


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^== (\w+)\n", text, flags=re.MULTILINE)
    return {name: content.strip() for name, content in zip(parts[1::2], parts[2::2], strict=True)}


def _kilobytes(text: str, column: int) -> int | None:
    words = text.splitlines()[-1].split() if text else []
    return int(words[column]) * 1024 if len(words) > column and words[column].isdigit() else None


def best_profile(model: str, system: tuple[str, str], cores: Counter[str], isa: Iterable[str]) -> str | None:
    """The profile whose name is that of the device; else the one with the same cores; else the one of any such device.

    One that asks for an ISA level that the device lacks never fits. `model` is all that the device calls itself.
    """
    profiles = [profile for profile in _profiles() if _may_be(profile, system, set(isa))]
    if not profiles:
        return None
    words = _words(model)

    def fit(profile: Profile) -> tuple[int, int, int]:
        shared = len(words & _words(profile.device.title))
        return _likeness(profile, words, cores), shared, len(profile.cpu.isa)

    return max(profiles, key=fit).name


def _profiles() -> list[Profile]:
    found = []
    for name in device_profiles.names():
        try:
            found.append(device_profiles.load(name))
        except ProfileError:
            continue
    return [profile for profile in found if profile.name != "host"]


def _may_be(profile: Profile, system: tuple[str, str], isa: set[str]) -> bool:
    return (profile.target.os, profile.target.arch) == system and set(profile.cpu.isa) <= isa


def _likeness(profile: Profile, model: set[str], cores: Counter[str]) -> int:
    """4: it has the device's name; 3: the same cores; 2: it is for any device; 0: it is another one."""
    if _words(profile.device.title) <= model:
        return 4
    own = Counter({cluster.name: 0 for cluster in profile.cpu.clusters})
    for cluster in profile.cpu.clusters:
        own[cluster.name] += cluster.cores
    if own == cores:
        return 3
    return 2 if profile.name in _GENERIC else 0


_IDLE = ("google", "samsung", "rockchip", "processor")
_GENERIC = ("arm64", "android-arm64", "android-armv7", "android-x86_64", "x86-64")


def _words(text: str) -> set[str]:
    """Of a name, without who makes it and of what kind it is: `Raspberry Pi 5 Model B Rev 1.0` has those of
    `Raspberry Pi 5`."""
    plain = text.lower().replace(" plus", "+").replace("(r)", "")
    return {word for word in re.findall(r"[a-z0-9.+]+", plain) if word not in _IDLE}
