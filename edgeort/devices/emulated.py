"""QEMU's user mode with the very CPU of the device: an instruction that it lacks stops the run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence

from edgeort.bundle import Manifest
from edgeort.devices.channel import Channel
from edgeort.devices.local import Local
from edgeort.devices.transport import TIMEOUT_S, Output
from edgeort.errors import DeviceError

QEMU = {
    "aarch64": ("qemu-aarch64-static", "qemu-aarch64"),
    "armv7": ("qemu-arm-static", "qemu-arm"),
    "armv7em": ("qemu-arm-static", "qemu-arm"),
}
_32_BIT = ("arm11", "arm9", "cortex-a5,", "cortex-a7,", "cortex-a8,", "cortex-a9,", "cortex-a15,")  # how they begin
_INSTALL = "apt install qemu-user-static"
_COPY = "copy the bundle to the device, and run there: bin/edgeort_bench model.plan --check golden/"
_PACKAGE = "edgeort package BUNDLE --ios makes what an app takes"
_SIGILL = (-4, 132)


class Emulated(Local):
    """Runs static Linux programs under QEMU. Their times say nothing about the device."""

    is_real = False

    def __init__(self, cpu: str, arch: str | None = None) -> None:
        super().__init__()
        self.cpu = cpu
        self._arch = arch or ("armv7" if f"{cpu},".startswith(_32_BIT) else "aarch64")
        programs = [path for path in map(shutil.which, QEMU[self._arch]) if path]
        if not programs:
            raise DeviceError(f"{QEMU[self._arch][0]} is not installed", hint=_INSTALL)
        self._command = (programs[0], "-cpu", cpu)
        self.name = f"emulated ({cpu})"

    @classmethod
    def for_bundle(cls, manifest: Manifest, cpu: str | None = None) -> Emulated:
        """An emulator of the device's CPU, or of another one. DeviceError where there is none."""
        target = manifest.target
        if target.os not in ("linux", "android", "none") or target.arch not in QEMU:
            here = Local.fits(manifest)
            raise DeviceError(
                f"there is no emulator for {target.os}/{target.arch}",
                hint="edgeort bench BUNDLE --on local" if here else _PACKAGE if target.os == "ios" else _COPY,
            )
        if manifest.provider != "cpu":
            raise DeviceError(f"{manifest.provider} does not run under the emulator", hint=_COPY)
        if cpu is None and target.qemu is None:
            raise DeviceError(
                f"the profile of {manifest.device} names no CPU to emulate",
                hint="--on emulated:cortex-a72, or add cpu.qemu to the profile",
            )
        return cls(cpu or str(target.qemu), target.arch)

    @property
    def system(self) -> tuple[str, str]:
        """Linux on the CPU."""
        return "linux", self._arch

    def admit(self, manifest: Manifest) -> Mapping[str, str]:
        """Nothing is needed. DeviceError for a bundle of another architecture, or one that is not static."""
        if manifest.target.arch != self._arch:
            raise DeviceError(
                f"{self.name} cannot run code for {manifest.target.os}/{manifest.target.arch}",
                hint="--on emulated takes the CPU of the bundle's profile",
            )
        if manifest.provider != "cpu":
            raise DeviceError(f"{manifest.provider} does not run under the emulator", hint=_COPY)
        return {}

    def execute(
        self,
        arguments: Sequence[str],
        on_line: Callable[[str], None] | None = None,
        timeout_s: float = TIMEOUT_S,
        environment: Mapping[str, str] | None = None,
    ) -> Output:
        """See Transport."""
        output = self._run([*self._command, *arguments], arguments, on_line, timeout_s, environment)
        if output.status in _SIGILL:
            raise DeviceError(
                f"the code uses an instruction that {self.cpu} lacks: {output.stderr.strip()}",
                hint="edgeort devices lists the CPUs, and the profiles that they stand for",
            )
        if "unable to find CPU model" in output.stderr:
            raise DeviceError(f"QEMU knows no CPU {self.cpu!r}", hint=f"{self._command[0]} -cpu help")
        return output

    def open(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Channel:
        """See Transport."""
        return super().open([*self._command, *arguments], environment)
