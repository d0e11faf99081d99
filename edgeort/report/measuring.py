"""What a report measures: a run for the times, and a run for those of the nodes."""

from __future__ import annotations

from dataclasses import replace

from edgeort.bench import Measurement, measure
from edgeort.bundle import Bundle
from edgeort.devices import Device, Job
from edgeort.progress import Progress

RUNS = 200
PROFILED_RUNS = 50


def take(
    bundle: Bundle, device: Device, threads: int | None = None, runs: int = RUNS, progress: Progress | None = None
) -> Measurement:
    """The latencies of `runs` runs, and nodes and memory from some more, as reading the clock at each node takes time.

    Under an emulator one run tells all that it can: outputs and memory. Raises as `measure`.
    """
    tell = progress or (lambda _: None)
    job = Job(threads or bundle.manifest.threads, runs, check=True)
    tell(f"measuring on {device.name}")
    if not device.is_real:
        return measure(bundle, device, replace(job, runs=1, warmup=0, profile=True))
    found = measure(bundle, device, job)
    tell(f"measuring each node on {device.name}")
    profiled = measure(bundle, device, replace(job, runs=min(runs, PROFILED_RUNS), profile=True))
    return replace(found, profile=profiled.profile, memory=profiled.memory)
