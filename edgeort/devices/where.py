"""From the words of `--on` to a transport."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgeort import config
from edgeort.bundle import Manifest
from edgeort.devices.adb import Adb
from edgeort.devices.emulated import Emulated
from edgeort.devices.local import Local
from edgeort.devices.node import Node
from edgeort.devices.ssh import Destination, Ssh
from edgeort.devices.transport import Transport
from edgeort.errors import DeviceError

FORMS = "local, emulated[:CPU], node, ssh:[user@]host[:port][/folder], adb[:SERIAL]"
_HINT = "edgeort devices lists what is attached"


@dataclass(frozen=True)
class Where:
    """A place: `kind` is local, emulated, node, ssh or adb, `rest` what stands behind its colon, or ""."""

    kind: str
    rest: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.rest}" if self.rest else self.kind


def parse(text: str) -> Where:
    """The place that `text` names, by its form or by a name of edgeort.toml in the current folder. DeviceError."""
    kind, colon, rest = text.partition(":")
    if kind in ("local", "emulated", "node", "ssh", "adb"):
        if (kind in ("local", "node") and colon) or (kind == "ssh" and not rest) or (colon and not rest):
            raise DeviceError(f"--on {text}: this is none of {FORMS}", hint=_HINT)
        return Where(kind, rest)
    found = config.read(Path.cwd())
    names = found.devices if found else {}
    if text not in names:
        known = f"; {config.NAME} names {', '.join(names)}" if names else ""
        raise DeviceError(f"unknown device {text!r}; known are {FORMS}{known}", hint=_HINT)
    if names[text] in names:
        raise DeviceError(f"{config.NAME}: {text} = {names[text]!r}: this is none of {FORMS}", hint=_HINT)
    return parse(names[text])


def open_where(where: Where, manifest: Manifest | None = None, patience_s: int = 10) -> Transport:
    """A way there; an emulator of no CPU gets that of the bundle. DeviceError when there is none.

    `patience_s` is how long a host may take to accept a connection.
    """
    if where.kind == "local":
        return Local()
    if where.kind == "node":
        return Node()
    if where.kind == "ssh":
        return Ssh(destination(where.rest), patience_s)
    if where.kind == "adb":
        return Adb(where.rest or None)
    if manifest is not None:
        return Emulated.for_bundle(manifest, where.rest or None)
    if not where.rest:
        raise DeviceError("which CPU is to be emulated?", hint="--on emulated:cortex-a72")
    return Emulated(where.rest)


_SSH = re.compile(
    r"(?:(?P<user>[^@/\s:-][^@/\s:]*)@)?(?P<host>\[[0-9A-Fa-f:.%A-Za-z0-9]+\]|[^@/\s:\[\]-][^@/\s:\[\]]*)"
    r"(?::(?P<port>\d{1,5}))?(?P<folder>/\S.*)?"
)


def destination(text: str) -> Destination:
    """`[user@]host[:port][/folder]`; DeviceError when it is not."""
    found = _SSH.fullmatch(text)
    if found is None or (found["port"] and not 0 < int(found["port"]) < 65536):
        raise DeviceError(
            f"ssh:{text}: this is not ssh:[user@]host[:port][/folder]", hint="--on ssh:pi@raspberrypi.local"
        )
    return Destination(found["user"], found["host"].strip("[]"), int(found["port"] or 0) or None, found["folder"])
