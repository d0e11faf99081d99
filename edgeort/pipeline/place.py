"""Where a build tries its bundles: one connection for all of them."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from edgeort.bundle import Manifest
from edgeort.device_profiles import Profile
from edgeort.devices import Device, Transport, can_run, open_device, open_transport, parse
from edgeort.errors import DeviceError


class Place:
    """`on` as the command line has it; None: this machine where it runs a bundle, else an emulator.

    DeviceError where a device cannot be reached, or is another one than the profile's: before any work is done.
    """

    def __init__(self, on: str | None, profile: Profile) -> None:
        self.on = on
        self._stack = ExitStack()
        self._devices: dict[str, Device] = {}
        self._transport: Transport | None = None
        if on is None or (parse(on).kind == "emulated" and not parse(on).rest):
            return  # which emulator depends on the bundle
        self._transport = self._stack.enter_context(open_transport(on))
        system, target = self._transport.system, profile.target
        if not can_run(system, target.os, target.arch):
            self.close()
            raise DeviceError(
                f"{on} is {'/'.join(system)}, and {profile.name} is {target.os}/{target.arch}",
                hint="edgeort devices lists the profile that fits",
            )

    @property
    def measures(self) -> bool:
        """Whether a device was asked for whose times say something about it."""
        return self._transport is not None and self._transport.is_real

    def device(self, manifest: Manifest) -> Device:
        """The device for a provider's bundle, open as long as this. DeviceError where it cannot run there."""
        name = manifest.provider
        if name not in self._devices:
            if self._transport is None:
                self._devices[name] = self._stack.enter_context(open_device(self.on, manifest))
            else:
                self._devices[name] = Device(self._transport, manifest)
        return self._devices[name]

    def close(self) -> None:
        """Leaves nothing there."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
