"""Where a bundle's harness runs. One interface, `Device`; one file a transport; DEVICES is the list."""

from __future__ import annotations

from collections.abc import Callable

from edgeort.bundle import Manifest
from edgeort.devices.device import Device, Job, Output
from edgeort.devices.emulated import Emulated
from edgeort.devices.local import Local
from edgeort.devices.pipe import Pipe, Program
from edgeort.errors import DeviceError

# `--on NAME` -> makes the device for a bundle, or raises DeviceError when it cannot run it.
DEVICES: dict[str, Callable[[Manifest], Device]] = {"local": Local, "emulated": Emulated}


def open_device(name: str | None, manifest: Manifest) -> Device:
    """The device of that name; None picks this machine when it can run the bundle, else an emulator."""
    if name is None:
        return (Local if Local.fits(manifest) else Emulated)(manifest)
    if name not in DEVICES:
        raise DeviceError(
            f"unknown device {name!r}; known are {', '.join(DEVICES)}", hint="edgeort bench BUNDLE --on local"
        )
    return DEVICES[name](manifest)


__all__ = ["DEVICES", "Device", "Job", "Output", "Pipe", "Program", "open_device"]
