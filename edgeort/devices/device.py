"""The harness of a bundle on a device: it runs once, with data going in and coming out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from edgeort.bundle import Bundle, Manifest
from edgeort.devices.channel import Channel
from edgeort.devices.transport import TIMEOUT_S, Output, Transport


@dataclass(frozen=True)
class Job:
    """One call of the harness. `inputs` and `outputs` are folders here, `check` compares with the golden outputs.

    `warmup` None runs until the median has settled. With `time_s` the timed runs go on for so long, instead of `runs`
    times. With `interval_s` the harness also prints a line of JSON whenever so much time has passed. `cores` are `big`,
    `little`, or numbers such as `0-3`; None: those that the system chooses.
    """

    threads: int = 0
    runs: int = 20
    warmup: int | None = None
    time_s: float | None = None
    interval_s: float | None = None
    cores: str | None = None
    inputs: Path | None = None
    outputs: Path | None = None
    check: bool = False
    isa: str | None = None
    profile: bool = False

    @property
    def timeout_s(self) -> float:
        """When the harness has certainly hung."""
        return TIMEOUT_S + (self.time_s or 0.0)

    def arguments(self, root: str, manifest: Manifest, inputs: str | None, outputs: str | None) -> list[str]:
        """The harness's arguments, with paths as they are where it runs: the bundle stands at `root`.

        Without `inputs` the golden ones are used. A check is bit for bit where the provider promises that.
        """
        golden, near = f"{root}/golden", manifest.min_sqnr_db
        found = [
            f"{root}/{manifest.artefact}",
            "--json",
            "--threads",
            str(self.threads),
            "--runs",
            str(self.runs),
            "--warmup",
            "auto" if self.warmup is None else str(self.warmup),
        ]
        found += ["--time", f"{self.time_s}s"] if self.time_s else []
        found += ["--interval", f"{self.interval_s}s"] if self.interval_s else []
        found += ["--cores", self.cores] if self.cores else []
        found += ["--inputs", inputs or golden]
        found += ["--outputs", outputs] if outputs else []
        found += ["--check", golden] if self.check else []
        found += ["--min-sqnr", str(near)] if self.check and near is not None else []
        found += ["--isa", self.isa] if self.isa else []
        return found + (["--profile"] if self.profile else [])


class Device:
    """A place where bundles run: the harness of a bundle, by a transport.

    It is given the transport, and closes it. DeviceError when bundles of the manifest's kind cannot run there.
    """

    def __init__(self, transport: Transport, manifest: Manifest) -> None:
        self.transport = transport
        self._environment = transport.admit(manifest)
        self._places: dict[Path, str] = {}

    @property
    def name(self) -> str:
        """For people: `local`, `emulated (cortex-a72)`, `ssh:pi@raspberrypi.local`."""
        return self.transport.name

    @property
    def is_real(self) -> bool:
        """Whether its times say anything about the device."""
        return self.transport.is_real

    def run(self, bundle: Bundle, job: Job, on_line: Callable[[str], None] | None = None) -> Output:
        """Runs the harness. Raises DeviceError when it cannot be started or does not end."""
        there, manifest, root = self.transport, bundle.manifest, self._place(bundle)
        inputs = None if job.inputs is None else there.push(_files_in(job.inputs), keep=False)
        outputs = None if job.outputs is None else there.push({}, keep=False)
        arguments = job.arguments(root, manifest, inputs, outputs)
        command = [f"{root}/{manifest.harness}", *arguments]
        output = there.execute(command, on_line, job.timeout_s, self._environment)
        if outputs is not None and job.outputs is not None:
            there.pull(outputs, job.outputs)
        for folder in (inputs, outputs):
            if folder is not None:
                there.discard(folder)
        return output

    def stream(self, bundle: Bundle) -> Channel:
        """Starts the harness to answer samples, as runtime/harness/stream.h says, until its stdin ends.

        DeviceError when it cannot be started.
        """
        manifest, root = bundle.manifest, self._place(bundle)
        arguments = [f"{root}/{manifest.artefact}", "--stream", "--threads", str(manifest.threads)]
        return self.transport.open([f"{root}/{manifest.harness}", *arguments], self._environment)

    def _place(self, bundle: Bundle) -> str:
        """The folder there that the bundle stands in."""
        if bundle.folder not in self._places:
            self._places[bundle.folder] = self.transport.push(_needed(bundle))
        return self._places[bundle.folder]

    def close(self) -> None:
        """Leaves nothing there."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.transport.__exit__(kind, error, trace)


def can_run(system: tuple[str, str], os: str, arch: str) -> bool:
    """Whether a machine of that system may run static programs for `os` and `arch`: most 64-bit Arm cores run both."""
    own_os, own_arch = system
    is_linux = {own_os, os} <= {"linux", "android"}
    return (own_os == os or is_linux) and (own_arch == arch or (own_arch, arch) == ("aarch64", "armv7"))


def _needed(bundle: Bundle) -> dict[str, Path]:
    """What of a bundle a run reads: not what is for apps and people. Static harnesses have the runtime in them."""
    tops = ("bin", "golden", "model", "model.plan") + (() if bundle.manifest.provider == "cpu" else ("lib",))
    return {name: path for name, path in _files_in(bundle.folder).items() if name.split("/")[0] in tops}


def _files_in(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
