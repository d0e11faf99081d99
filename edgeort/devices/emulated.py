"""QEMU's user mode with the very CPU of the device: an instruction that it lacks stops the run."""

from __future__ import annotations

import shutil

from edgeort.bundle import Bundle, Manifest
from edgeort.devices.device import Job, Output, call, stream_arguments
from edgeort.devices.local import Local
from edgeort.devices.pipe import Program
from edgeort.errors import DeviceError

_QEMU = {"aarch64": ("qemu-aarch64-static", "qemu-aarch64"), "armv7": ("qemu-arm-static", "qemu-arm")}
_INSTALL = "apt install qemu-user-static"
_COPY = "copy the bundle to the device, and run there: bin/edgeort_bench model.plan --check golden/"
_SIGILL = (-4, 132)


class Emulated:
    """Runs a Linux or Android harness under QEMU. Its times say nothing about the device."""

    is_real = False
    is_remote = False

    def __init__(self, manifest: Manifest) -> None:
        target = manifest.target
        if target.os not in ("linux", "android") or target.arch not in _QEMU:
            here = Local.fits(manifest)
            raise DeviceError(
                f"there is no emulator for {target.os}/{target.arch}",
                hint="edgeort bench BUNDLE --on local" if here else _COPY,
            )
        if manifest.provider != "cpu":
            raise DeviceError(f"{manifest.provider} does not run under the emulator", hint=_COPY)
        if target.qemu is None:
            raise DeviceError(
                f"the profile of {manifest.device} names no CPU to emulate", hint="add cpu.qemu to the profile"
            )
        programs = [path for path in map(shutil.which, _QEMU[target.arch]) if path]
        if not programs:
            raise DeviceError(f"{_QEMU[target.arch][0]} is not installed", hint=_INSTALL)
        self._command = [programs[0], "-cpu", target.qemu]
        self.name = f"emulated ({target.qemu})"

    def run(self, bundle: Bundle, job: Job) -> Output:
        """Runs the harness."""
        folders = (None if path is None else str(path) for path in (job.inputs, job.outputs))
        arguments = job.arguments(str(bundle.folder), bundle.manifest, *folders)
        output = call([*self._command, str(bundle.harness), *arguments], hint=_INSTALL)
        if output.status in _SIGILL:
            raise DeviceError(f"the code uses an instruction that {self._command[-1]} lacks: {output.stderr.strip()}")
        return output

    def stream(self, bundle: Bundle) -> Program:
        """Starts the harness."""
        arguments = stream_arguments(str(bundle.folder), bundle.manifest)
        return Program([*self._command, str(bundle.harness), *arguments], hint=_INSTALL)
