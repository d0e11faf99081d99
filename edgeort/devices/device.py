"""What every transport does: run the harness of a bundle once, with data going in and coming out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeort.bundle import Bundle, Manifest
from edgeort.devices.pipe import Pipe
from edgeort.errors import DeviceError

TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Job:
    """One call of the harness. `inputs` and `outputs` are folders here, `check` compares with the golden outputs.

    With `each` it only runs, once on each of the folders 0 to each - 1 in `inputs`, into those in `outputs`.
    """

    threads: int = 0
    runs: int = 20
    warmup: int = 3
    inputs: Path | None = None
    outputs: Path | None = None
    check: bool = False
    each: int = 0
    isa: str | None = None
    profile: bool = False

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
            str(self.warmup),
        ]
        found += ["--inputs", inputs or golden]
        found += ["--outputs", outputs] if outputs else []
        found += ["--check", golden] if self.check else []
        found += ["--min-sqnr", str(near)] if self.check and near is not None else []
        found += ["--each", str(self.each)] if self.each else []
        found += ["--isa", self.isa] if self.isa else []
        return found + (["--profile"] if self.profile else [])


@dataclass(frozen=True)
class Output:
    """What the harness said. `status` is 0, 1 when an output differs, 3 when activations do not fit the plan's limit, 2
    or a signal's negative number for the rest."""

    status: int
    stdout: str
    stderr: str


class Device(Protocol):
    """A place where bundles run."""

    @property
    def name(self) -> str:
        """For people: `local`, `emulated (cortex-a72)`."""

    @property
    def is_real(self) -> bool:
        """Whether its times say anything about the device."""

    @property
    def is_remote(self) -> bool:
        """Whether data reaches it over a wire."""

    def run(self, bundle: Bundle, job: Job) -> Output:
        """Runs the harness. Raises DeviceError when it cannot be started or does not end."""

    def stream(self, bundle: Bundle) -> Pipe:
        """Starts the harness with the arguments of `stream_arguments`: it answers samples (runtime/harness/stream.h)
        until its input ends. DeviceError when it cannot be started."""


def stream_arguments(root: str, manifest: Manifest) -> list[str]:
    """The harness's arguments for a stream of samples; the bundle stands at `root`."""
    return [f"{root}/{manifest.artefact}", "--stream", "--threads", str(manifest.threads)]


def call(
    command: Sequence[str],
    hint: str | None = None,
    timeout_s: float = TIMEOUT_S,
    environment: Mapping[str, str] | None = None,
) -> Output:
    """Runs a program on this machine to its end; `environment` has variables beside those of this process."""
    variables = {**os.environ, **(environment or {})}
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout_s, env=variables)
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"{command[0]} did not end within {timeout_s:.0f} s") from error
    except OSError as error:
        raise DeviceError(f"{command[0]} cannot be started: {error.strerror}", hint=hint) from error
    return Output(done.returncode, *(stream.decode(errors="replace") for stream in (done.stdout, done.stderr)))
