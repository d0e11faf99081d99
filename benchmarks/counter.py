"""Runs an AArch64 program under QEMU with benchmarks/qemu_counter.c: what it executes, what its caches would move."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.compiled import shared_library
from edgeort.errors import DeviceError

PLUGIN = Path(__file__).parent / "qemu_counter.c"
LINE_BYTES = 64
_QEMU = "qemu-aarch64"  # the static one cannot load plugins


@dataclass(frozen=True)
class Caches:
    """Level 1 and level 2 data caches of one core: KiB and ways. The default is the Cortex-A72 of a Raspberry Pi 4."""

    l1_kib: int = 32
    l1_ways: int = 2
    l2_kib: int = 1024
    l2_ways: int = 16


@dataclass(frozen=True)
class Counts:
    """Events of a run, or of a part of one. `multiply_adds` are the vector FMLA and FMLS among the instructions."""

    instructions: int
    multiply_adds: int
    loads: int
    stores: int
    l1_misses: int
    fills: int
    write_backs: int

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(a - b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))

    @property
    def filled_bytes(self) -> int:
        """From memory into level 2."""
        return self.fills * LINE_BYTES

    @property
    def written_back_bytes(self) -> int:
        """From level 2 to memory."""
        return self.write_backs * LINE_BYTES

    @property
    def memory_mb(self) -> float:
        """What goes over level 2, fills and write-backs, in 10^6 bytes."""
        return (self.filled_bytes + self.written_back_bytes) * 1e-6


@dataclass(frozen=True)
class Mark:
    """The counts when the program read a clock; `place` is where it wanted the time, which tells callers apart."""

    counts: Counts
    place: int


def count(program: Sequence[str], cpu: str, caches: Caches, prefix: Sequence[str] = ()) -> tuple[Counts, str]:
    """Runs `program`, which must keep to one thread; its counts, and its standard output. `prefix` goes to QEMU.

    DeviceError when QEMU is missing, cannot load plugins, or the program fails.
    """
    return _run(program, cpu, caches, prefix, {})


def count_between_clocks(program: Sequence[str], cpu: str, caches: Caches) -> tuple[list[Mark], str]:
    """The same at each time that the program reads a clock, and its standard output."""
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        path = Path(folder) / "marks"
        _, told = _run(program, cpu, caches, (), {"marks": path})
        lines = [[int(text) for text in line.split()] for line in path.read_text().splitlines()]
        return [Mark(Counts(*values[:-1]), values[-1]) for values in lines], told


def _run(
    program: Sequence[str], cpu: str, caches: Caches, prefix: Sequence[str], more: Mapping[str, Path]
) -> tuple[Counts, str]:
    qemu = shutil.which(_QEMU)
    if qemu is None:
        raise DeviceError(f"{_QEMU} is not installed", hint="apt install qemu-user")
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        out = Path(folder) / "counts.json"
        options = ",".join(f"{key}={value}" for key, value in {"out": out, **more, **asdict(caches)}.items())
        command = [qemu, "-cpu", cpu, "-plugin", f"{shared_library(PLUGIN)},{options}", *prefix, *program]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode or not out.exists():
            raise DeviceError(
                f"{program[0]} fails under {_QEMU} with status {done.returncode}: {done.stderr.strip()[-500:]}"
            )
        return Counts(**json.loads(out.read_text())), done.stdout
