"""Measures a device and makes its profile: `edgeort profiles probe`.

    found = probe("ssh:pi@raspberrypi.local")
    Path("mypi.toml").write_text(found.text)

A small program there reads what the system tells and measures what the cores do at most (runtime/probe); then blocks of
common networks run with the runtime's own kernels, and their times become rates, from which `edgeort build` predicts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edgeort import device_profiles, toolchain
from edgeort.device_profiles import KernelRate, Measured, Profile
from edgeort.devices import Transport, open_transport
from edgeort.errors import EdgeortError
from edgeort.probing import engines as others
from edgeort.probing import facts, rates, writing
from edgeort.probing.programs import printed
from edgeort.probing.rates import Timed
from edgeort.probing.timing import Stopwatch
from edgeort.progress import Progress

__all__ = ["Probed", "probe"]

MILLISECONDS = 500  # of each measurement
_PEAKS = 6  # measurements: three figures, of one thread and of several
_LEAST_OF_EACH = 0.6  # of what a thread does alone, when all run: clocks fall with more cores, but not to half
_PROGRAM, _PROBE = "bin/edgeort_probe", "the program that probes"
_EMULATED = (
    "There is no table [measured]: times under an emulator say nothing about the device. Nor do the cores, caches and\n"
    "memory that it shows: replace every figure that is assumed, or probe the device itself."
)
_MEASURED = (
    "Figures of [measured] hold for this device with this cooling and this load: probe it again where that changes.\n"
    "[[measured.kernel]]: a call takes us + multiply-adds / (1000 gmacs) + bytes / (1000 gbs) microseconds."
)


@dataclass(frozen=True)
class Probed:
    """A profile as the text of its file, and the same loaded. `networks` are those that rates were not found on: name,
    threads, and by what share their prediction was too long. `without` are engines that were not measured there, and
    why not. `warning` says why the figures may be wrong, "" if not."""

    text: str
    profile: Profile
    networks: tuple[tuple[str, int, float], ...] = ()
    without: tuple[tuple[str, str], ...] = ()
    warning: str = ""


def probe(
    on: str,
    *,
    name: str = "probed",
    milliseconds: int = MILLISECONDS,
    kernels: bool = True,
    engines: bool = True,
    progress: Progress | None = None,
) -> Probed:
    """Measures the device at `on`, a place as --on has it; `name` is that of the profile. `milliseconds` are those of
    each measurement; without `kernels` only peaks are measured, without `engines` no other engines.

    Raises DeviceError where it cannot be reached or a program fails there, ProfileError where the runtime has no
    kernels for it.
    """
    say, day = progress or (lambda _: None), f"{datetime.now(UTC):%Y-%m-%d}"
    networks: tuple[tuple[str, int, float], ...] = ()
    without: tuple[tuple[str, str], ...] = ()
    with open_transport(on) as there:
        facts.check_system(there)
        say(f"reading what {there.name} is")
        program = toolchain.probe(toolchain.target(*there.system))
        folder = there.push({_PROGRAM: program}, keep=False)
        told = printed(there, [f"{folder}/{_PROGRAM}", "facts"], _PROBE)
        found = facts.read(told, there, on, day)
        profile = device_profiles.parse(found.table, name=name, file=on)
        if there.is_real:
            say(f"measuring peaks: some {math.ceil(_PEAKS * milliseconds * 1e-3)} s")
            _add_peaks(found, _peaks(there, folder, found, profile, milliseconds), day)
            if kernels:
                say("compiling the runtime's kernels")
                networks = _add_kernels(found, Stopwatch(there, profile, milliseconds), say)
            if kernels and engines:
                without = _add_engines(found, there, profile, milliseconds, say)
    text = writing.toml(found.table, found.sources, _MEASURED if there.is_real else _EMULATED)
    made = device_profiles.parse(found.table, name=name, file=on)
    return Probed(text, made, networks, without, "" if made.measured is None else busy(made.measured))


def busy(measured: Measured) -> str:
    """The sentence for a device on which something else ran: then threads did little more than one of them."""
    times = measured.float32_gflops_all / measured.float32_gflops
    if times >= _LEAST_OF_EACH * measured.threads:
        return ""
    return f"busy: {measured.threads} threads did {times:.1f} times what one did; probe it again when nothing else runs"


def _peaks(there: Transport, folder: str, found: facts.Found, profile: Profile, milliseconds: int) -> dict[str, Any]:
    options = {
        "--threads": profile.runtime.threads,
        "--cpu": found.fastest_cpu,
        "--ms": milliseconds,
        "--bytes": found.buffer_bytes,
    }
    parts = [str(part) for name, value in options.items() if value >= 0 for part in (name, value)]
    return printed(there, [f"{folder}/{_PROGRAM}", "peaks", *parts], _PROBE)


def _add_peaks(found: facts.Found, peaks: dict[str, Any], day: str) -> None:
    threads = peaks["threads"]
    table: dict[str, Any] = {"on": day, "threads": threads}
    for key in ("float32_gflops", "int8_gops", "bandwidth_gbs"):
        for suffix, value, who in (("", peaks[key][0], "one core"), ("_all", peaks[key][1], f"{threads} thread(s)")):
            table[key + suffix] = float(f"{value:.4g}")
            found.sources[f"measured.{key}{suffix}"] = f"measured {day}: {who}, ISA level {peaks['isa']}"
    found.table["measured"] = table
    found.table["memory"]["bandwidth_gbs"] = max(table["bandwidth_gbs"], table["bandwidth_gbs_all"])
    found.sources["memory.bandwidth_gbs"] = f"measured {day}: reading {found.buffer_bytes >> 20} MiB"
    found.sources["measured.threads"] = "those of [runtime]"
    summary = found.table["device"]["summary"]
    assumed = sorted(key for key, source in found.sources.items() if source.startswith("assumed"))
    parts = (summary, f"assumed: {', '.join(assumed)}" if assumed else "", busy(Measured(**table)))
    found.table["device"]["summary"] = "; ".join(filter(None, parts))


def _add_kernels(found: facts.Found, watch: Stopwatch, say: Progress) -> tuple[tuple[str, int, float], ...]:
    """The rates, and how well they predict the networks that they were not found on."""
    table = found.table["measured"]
    timed: dict[int, list[Timed]] = {}
    for threads in sorted({1, table["threads"]}):
        timed[threads] = watch.time(threads, say)
    explained = rates.explain(timed, Measured(**table))
    table["error"] = explained.error
    found.sources["measured.error"] = f"median of {len(explained.networks)} networks that the rates were not found on"
    table["kernel"] = _kernels(explained.kernels, found, "measured")
    return explained.networks


def _add_engines(
    found: facts.Found, there: Transport, profile: Profile, milliseconds: int, say: Progress
) -> tuple[tuple[str, str], ...]:
    """The rates of other engines, where they run there; which do not, and why."""
    table, left = found.table["measured"], list[tuple[str, str]]()
    peaks = Measured(**{key: value for key, value in table.items() if key not in ("kernel", "engine")})
    for provider in others.candidates():
        try:
            version, engine = others.measure(provider, there, profile, peaks, milliseconds, say)
        except EdgeortError as error:
            left.append((provider.name, str(error)))
            continue
        rows = table.setdefault("engine", [])
        at = f"measured.engine[{len(rows)}]"
        found.sources[f"{at}.error"] = f"median of {len(engine.networks)} networks that the rates were not found on"
        found.sources[f"{at}.version"] = f"measured {table['on']}: the one that bundles of this build hold or name"
        row = {"provider": provider.name, "version": version, "error": engine.error}
        rows.append({**row, "kernel": _kernels(engine.kernels, found, at)})
    return tuple(left)


def _kernels(fitted: Sequence[KernelRate], found: facts.Found, at: str) -> list[dict[str, Any]]:
    """The rows of rates, below that key."""
    for index in range(len(fitted)):
        found.sources[f"{at}.kernel[{index}].op"] = f"measured {found.table['measured']['on']}"
    return [{key: value for key, value in dataclasses.asdict(rate).items() if value is not None} for rate in fitted]
