"""`--devices`: a profile, and where what is built for it runs."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgeort import device_profiles
from edgeort.device_profiles import Profile
from edgeort.devices.local import runs_here
from edgeort.devices.where import parse
from edgeort.errors import InputError

HERE, EMULATED = "local", "emulated"
KINDS = (HERE, EMULATED, "ssh", "adb")
_DETECTED = "host"


@dataclass(frozen=True)
class Place:
    """A device of the sweep. Without `where`: this machine where it can run the code, else an emulator, else none."""

    profile: Profile
    where: str | None

    @property
    def device(self) -> str:
        """The profile's name."""
        return self.profile.name

    @property
    def resource(self) -> str | None:
        """The resource that a worker must declare to have the device; None where every worker will do."""
        anywhere = self.where is None or self.where.split(":")[0] == EMULATED
        return None if anywhere else self.device

    @property
    def is_here(self) -> bool:
        """Whether times are those of the machine that runs the cell."""
        if self.where is not None:
            return self.where == HERE
        return runs_here(self.profile.target.os, self.profile.target.arch)

    def text(self) -> str:
        """`raspberrypi4@ssh:pi`."""
        return self.device if self.where is None else f"{self.device}@{self.where}"

    def identity(self) -> dict[str, Any]:
        """What of it determines a cell: of this machine not the clock, which is that of the moment."""
        table = copy.deepcopy(self.profile.to_dict())
        if self.device == _DETECTED:
            for cluster in table["cpu"]["cluster"]:
                del cluster["mhz"]
        return {"profile": table, "where": self.where}


def read_places(options: Sequence[str], *, names_are_known: bool = True) -> list[Place]:
    """The places of `--devices` options, each `NAME` or `NAME@WHERE`, with commas between several, once each.

    Names of edgeort.toml may be those of a worker's: then they are not known here. Raises ProfileError, DeviceError.
    """
    found: dict[tuple[str, str | None], Place] = {}
    profiles: dict[str, tuple[str, Profile]] = {}
    for text in (part.strip() for option in options for part in option.split(",")):
        matched = re.fullmatch(r"(.*?\.toml|[^@]*)(?:@(.*))?", text)
        assert matched is not None
        name, where = matched[1], matched[2]
        if not name or where == "":
            raise InputError(
                f"--devices {text!r}: this is not NAME or NAME@WHERE", hint="--devices raspberrypi4@ssh:pi"
            )
        if where is not None and (names_are_known or where.partition(":")[0] in KINDS):
            parse(where)
        profile = device_profiles.load(name)
        other = profiles.setdefault(profile.name, (name, profile))
        if other[1] != profile:
            raise InputError(f"--devices: {other[0]} and {name} are two devices called {profile.name}")
        found.setdefault((profile.name, where), Place(other[1], where))
    if not found:
        raise InputError("there are no devices", hint="--devices raspberrypi4,host")
    return list(found.values())
