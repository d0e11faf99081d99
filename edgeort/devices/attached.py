"""What can be named by --on here and now: this machine, emulated CPUs, phones, and the devices of edgeort.toml."""

from __future__ import annotations

import platform
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeort import config, device_profiles
from edgeort.device_profiles import Profile
from edgeort.devices import adb, facts
from edgeort.devices.emulated import QEMU
from edgeort.devices.facts import Facts
from edgeort.devices.remote import Remote
from edgeort.devices.where import Where, open_where, parse
from edgeort.errors import DeviceError, EdgeortError, MissingExtraError, ProfileError

PATIENCE_S = 5  # that a host has to accept a connection
_AT_ONCE = 16


@dataclass(frozen=True)
class Attached:
    """A place: what it is, or the `reason` why that is not known, and what would help. `on` is what --on takes."""

    on: str
    where: str
    facts: Facts | None
    reason: str | None = None
    hint: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        told = None if self.facts is None else self.facts.to_dict()
        return {"on": self.on, "where": self.where, "facts": told, "reason": self.reason, "hint": self.hint}


def attached(folder: Path) -> list[Attached]:
    """All of them, those with a connection asked side by side; `folder` may have an edgeort.toml."""
    found = [_this_machine(), *_emulated()]
    settings = config.read(folder)
    named = dict(settings.devices) if settings else {}
    try:
        phones = {f"adb:{serial}": f"adb:{serial}" for serial in adb.states()}
    except (DeviceError, MissingExtraError) as error:
        phones = {}
        found.append(Attached("adb", "adb", None, str(error), error.hint))
    asked = {**{on: where for on, where in phones.items() if where not in named.values()}, **named}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return found + list(pool.map(lambda pair: _ask(*pair), asked.items()))


def _ask(on: str, text: str) -> Attached:
    try:
        where = parse(text)
        with open_where(where, patience_s=PATIENCE_S) as there:
            base = there.base if isinstance(there, Remote) else "/"
            return Attached(on, str(where), facts.read(there, base, f"{base}/blobs"))
    except EdgeortError as error:
        return Attached(on, text, None, str(error), error.hint)


def _this_machine() -> Attached:
    try:
        host = device_profiles.load("host")
    except ProfileError as error:
        return Attached("local", "local", None, str(error), error.hint)
    told = Facts(
        host.device.title,
        f"{host.target.os}/{host.target.arch}",
        _own_os(),
        tuple(f"{cluster.cores}x {cluster.name}" for cluster in host.cpu.clusters),
        host.cpu.isa,
        shutil.disk_usage(".").free,
        None,
        host.name,
    )
    return Attached("local", "local", told)


def _own_os() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform(terse=True)


def _emulated() -> list[Attached]:
    """A CPU of QEMU's for each that profiles ask for."""
    users: dict[tuple[str, str], list[Profile]] = {}
    for profile in map(device_profiles.load, device_profiles.names()[1:]):
        target, qemu = profile.target, profile.cpu.qemu
        runs = target.os in ("linux", "android") and any(map(shutil.which, QEMU.get(target.arch, ())))
        if qemu and runs:
            users.setdefault((qemu, target.arch), []).append(profile)
    found = []
    for (cpu, arch), profiles in users.items():
        name = f"QEMU, for {', '.join(profile.name for profile in profiles)}"
        isa = max((profile.cpu.isa for profile in profiles), key=len)
        told = Facts(name, f"linux/{arch}", "", (cpu,), isa, None, None, None)
        found.append(Attached(f"emulated:{cpu}", f"emulated:{cpu}", told))
    return found


def clear(on: str) -> str:
    """Removes the files that were kept on a device; gives its folder there. DeviceError where it keeps none."""
    where: Where = parse(on)
    with open_where(where) as there:
        if not isinstance(there, Remote):
            raise DeviceError(f"nothing is kept on {where}", hint="edgeort devices --clear ssh:user@host")
        there.clear()
        return there.base
