"""What every transport does: run the harness of a bundle once, with data going in and coming out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeort.bundle import Bundle, Manifest
from edgeort.errors import DeviceError

TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Job:
    """One call of the harness. `inputs` and `outputs` are folders here, `check` compares with the golden outputs.

    With `each` it only runs, once on each of the folders 0 to each - 1 in `inputs`, into those in `outputs`. `warmup`
    None runs until the median has settled. With `time_s` the timed runs go on for so long, instead of `runs` times.
    With `interval_s` the harness also prints a line of JSON whenever so much time has passed. `cores` are `big`,
    `little`, or numbers such as `0-3`; None: those that the system chooses. `on_line` gets every line
    that the harness prints as it comes.
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
    each: int = 0
    isa: str | None = None
    profile: bool = False
    on_line: Callable[[str], None] | None = None

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

    def run(self, bundle: Bundle, job: Job) -> Output:
        """Runs the harness. Raises DeviceError when it cannot be started or does not end."""


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
