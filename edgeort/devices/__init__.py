"""Where bundles run: `Device` is the harness of a bundle by a `Transport`; one file a kind of transport.

Places are named as `--on` has it: local, emulated[:CPU], node, ssh:[user@]host[:port][/folder], adb[:SERIAL], or a name
from `[devices]` of edgeort.toml.
"""

from __future__ import annotations

from edgeort.bundle import Manifest
from edgeort.devices.device import Device, Job, can_run
from edgeort.devices.emulated import Emulated
from edgeort.devices.local import Local
from edgeort.devices.node import Node
from edgeort.devices.transport import Output, Transport
from edgeort.devices.where import open_where, parse


def open_device(on: str | None, manifest: Manifest) -> Device:
    """The device of that name; None picks this machine when it can run the bundle, or Node, else an emulator.

    DeviceError when it cannot be reached, or cannot run the bundle.
    """
    if on is None:
        if Node.fits(manifest):
            return Device(Node(), manifest)
        return Device(Local() if Local.fits(manifest) else Emulated.for_bundle(manifest), manifest)
    transport = open_where(parse(on), manifest)
    try:
        return Device(transport, manifest)
    except BaseException:
        transport.close()
        raise


def open_transport(on: str) -> Transport:
    """The way to the place of that name, for programs that are no bundle. DeviceError when it cannot be reached."""
    return open_where(parse(on))


__all__ = ["Device", "Job", "Output", "Transport", "can_run", "open_device", "open_transport", "parse"]
