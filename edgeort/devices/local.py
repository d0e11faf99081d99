"""This machine."""

from __future__ import annotations

import platform

from edgeort import providers
from edgeort.bundle import Bundle, Manifest
from edgeort.devices.device import Job, Output, call, stream_arguments
from edgeort.devices.pipe import Program
from edgeort.errors import DeviceError

_OSES = {"Linux": ("linux",), "Darwin": ("macos",), "Windows": ("windows",)}
_ARCHS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64", "armv7l": "armv7"}


class Local:
    """Runs the harness directly."""

    name = "local"
    is_real = True
    is_remote = False

    def __init__(self, manifest: Manifest) -> None:
        target = manifest.target
        if not self.fits(manifest):
            raise DeviceError(
                f"this machine cannot run code for {target.os}/{target.arch}", hint="edgeort bench BUNDLE --on emulated"
            )
        if not manifest.harness:
            raise DeviceError(f"a bundle of {manifest.provider} has no program that measures it")
        provider = providers.provider(manifest.provider)
        if reason := provider.not_here():
            raise DeviceError(f"{manifest.provider} does not run on this machine: {reason}")
        self._environment = provider.environment()

    @staticmethod
    def fits(manifest: Manifest) -> bool:
        """Whether operating system and instruction set are those of this machine (Android's harness is a Linux one)."""
        oses = _OSES.get(platform.system(), ())
        here = (*oses, "android") if "linux" in oses else oses
        return manifest.target.os in here and manifest.target.arch == _ARCHS.get(platform.machine().lower())

    def run(self, bundle: Bundle, job: Job) -> Output:
        """Runs the harness."""
        folders = (None if path is None else str(path) for path in (job.inputs, job.outputs))
        arguments = job.arguments(str(bundle.folder), bundle.manifest, *folders)
        hint = f"chmod +x {bundle.harness}"
        return call([str(bundle.harness), *arguments], hint=hint, environment=self._environment)

    def stream(self, bundle: Bundle) -> Program:
        """Starts the harness."""
        arguments = stream_arguments(str(bundle.folder), bundle.manifest)
        hint = f"chmod +x {bundle.harness}"
        return Program([str(bundle.harness), *arguments], hint=hint, environment=self._environment)
