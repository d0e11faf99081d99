"""From the harness's JSON to a Measurement."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgeort.bench.nodes import with_work
from edgeort.bench.statistics import summary
from edgeort.bundle import Bundle
from edgeort.devices import Device, Job
from edgeort.engine import OVER_RAM_LIMIT
from edgeort.errors import BudgetError, CheckError, DeviceError

_OVERSIZED_STDERR = 2000


@dataclass(frozen=True)
class Measurement:
    """What the harness measured where.

    `latency_ms` has `runs`, all that were timed, and what `statistics.summary` says of them. `latencies_ms` are those
    of every `every`-th run, in order: every one, but where there were more than the harness keeps. `samples` were taken
    between the runs, rows of {at_s, mhz, governor, temperature_c}, each None where the system does not tell.
    `intervals` are those of a sustained run, rows of {start_s, end_s, runs, p25_ms, p50_ms, p75_ms, mhz, governor,
    temperature_c}. `load` is how many threads ran or wanted to in the minute before. `cores` are the CPUs that it was
    held to, None where to none. `profile` has a row a node: {name, op, ms, skipped, run_of, macs, gflops,
    share_of_peak}, where `run_of` is the row whose run it is part of, -1 of none, and the last three are as in `nodes`.
    `memory` is how the arena is laid out: blocks with `name`, `kind`, `tensors`, `offset`, `bytes`, and the nodes
    `first` to `last` between which each is in use (see edgeort_block in edgeort.h).
    """

    device: str
    is_real: bool
    isa: str
    threads: int
    load_ms: float
    first_run_ms: float
    latency_ms: dict[str, float]
    weights_bytes: int
    arena_bytes: int
    peak_rss_bytes: int
    digest: str
    outputs: list[dict[str, Any]]
    check: str | None
    profile: list[dict[str, Any]]
    latencies_ms: list[float] = field(default_factory=list)
    every: int = 1
    samples: list[dict[str, Any]] = field(default_factory=list)
    intervals: list[dict[str, Any]] = field(default_factory=list)
    warmup_runs: int = 0
    load: float | None = None
    cores: list[int] | None = None
    memory: list[dict[str, Any]] = field(default_factory=list)


def measure(
    bundle: Bundle, device: Device, job: Job, on_interval: Callable[[dict[str, Any]], None] | None = None
) -> Measurement:
    """Runs the harness of `bundle` on `device`, and reads what it measured. Raises as `call_harness`.

    `on_interval` gets each row of `intervals` as it comes.
    """
    on_line: Callable[[str], None] | None = None
    if on_interval is not None:
        on_line = functools.partial(_tell_interval, on_interval)
    printed = call_harness(bundle, device, job, on_line)
    try:
        *intervals, found = [json.loads(line) for line in printed.splitlines() if line]
        found["intervals"] = [line["interval"] for line in intervals]
        if "profile" in found:
            rows, threads = found["profile"], found["threads"]
            found["profile"] = with_work(rows, bundle.manifest, threads, is_real=device.is_real)
        return read(found, device.name, device.is_real)
    except (ValueError, TypeError, LookupError) as error:
        raise DeviceError(f"{bundle.path}: the harness on {device.name} printed no result: {error}") from error


def _tell_interval(tell: Callable[[dict[str, Any]], None], line: str) -> None:
    try:
        found = json.loads(line)
    except ValueError:  # no line of the harness: `measure` says so in the end
        return
    if "interval" in found:
        tell(found["interval"])


def read(found: dict[str, Any], device: str, is_real: bool) -> Measurement:
    """What the harness found as a Measurement. Raises ValueError, TypeError or KeyError where it is none."""
    fields = {key: found[key] for key in Measurement.__dataclass_fields__ if key in found}
    times = found["latencies_ms"]
    fields["latency_ms"] = {"runs": found["latency_ms"]["runs"], **summary(times)}
    return Measurement(**{"check": None, "profile": [], **fields, "device": device, "is_real": is_real})


def call_harness(bundle: Bundle, device: Device, job: Job, on_line: Callable[[str], None] | None = None) -> str:
    """What the harness of `bundle` prints on `device`; `on_line` gets each line as it comes.

    CheckError when an output differs, BudgetError when its activations do not fit the limit it was built with,
    DeviceError when it fails.
    """
    output = device.run(bundle, job, on_line)
    said = output.stderr.strip()[-_OVERSIZED_STDERR:].removeprefix("edgeort_bench: ")
    if output.status == 1:
        raise CheckError(f"{bundle.path}: on {device.name}, {said}", hint=_DIFFERS)
    if output.status == 3:
        raise BudgetError(f"{bundle.path}: on {device.name}, {said}", hint=OVER_RAM_LIMIT)
    if output.status:
        raise DeviceError(f"{bundle.path}: the harness failed on {device.name} with status {output.status}: {said}")
    return output.stdout


_DIFFERS = "results must be the same bytes on every device: this is a fault of the device or of edgeort"
