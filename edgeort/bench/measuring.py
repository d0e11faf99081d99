"""From the harness's JSON to a Measurement."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from edgeort.bundle import Bundle
from edgeort.devices import Device, Job
from edgeort.engine import OVER_RAM_LIMIT
from edgeort.errors import BudgetError, CheckError, DeviceError

_OVERSIZED_STDERR = 2000


@dataclass(frozen=True)
class Measurement:
    """What the harness measured where. `latency_ms` has runs, min, mean, p50, p90, p99; `profile` has a row a node.

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
    memory: list[dict[str, Any]] = field(default_factory=list)


def measure(bundle: Bundle, device: Device, job: Job) -> Measurement:
    """Runs the harness of `bundle` on `device`, and reads what it measured. Raises as `call_harness`."""
    printed = call_harness(bundle, device, job)
    try:
        found = json.loads(printed)
        fields = {key: found[key] for key in Measurement.__dataclass_fields__ if key in found}
        return Measurement(device=device.name, is_real=device.is_real, **{"check": None, "profile": [], **fields})
    except (ValueError, TypeError) as error:
        raise DeviceError(f"{bundle.path}: the harness on {device.name} printed no result: {error}") from error


def call_harness(bundle: Bundle, device: Device, job: Job) -> str:
    """What the harness of `bundle` prints on `device`. CheckError when an output differs, BudgetError when its
    activations do not fit the limit it was built with, DeviceError when it fails."""
    output = device.run(bundle, job)
    said = output.stderr.strip()[-_OVERSIZED_STDERR:].removeprefix("edgeort_bench: ")
    if output.status == 1:
        raise CheckError(f"{bundle.path}: on {device.name}, {said}", hint=_DIFFERS)
    if output.status == 3:
        raise BudgetError(f"{bundle.path}: on {device.name}, {said}", hint=OVER_RAM_LIMIT)
    if output.status:
        raise DeviceError(f"{bundle.path}: the harness failed on {device.name} with status {output.status}: {said}")
    return output.stdout


_DIFFERS = "results must be the same bytes on every device: this is a fault of the device or of edgeort"
