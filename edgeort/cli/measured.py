"""What `edgeort bench` prints of a measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeort.cli.common import ms, print_table, size
from edgeort.values import shapes_text

if TYPE_CHECKING:
    from edgeort.bench import Compared, Measurement, Prediction, Verdict


def show(
    bundle: Path,
    found: Measurement,
    verdicts: Sequence[Verdict],
    predicted: Prediction | None = None,
    sizes: Mapping[str, Sequence[int]] | None = None,
) -> None:
    """All figures, and the nodes where they were timed. `sizes` are those that were chosen of free ones."""
    caution = "" if found.is_real else " (emulated: says nothing about the device)"
    latency = found.latency_ms
    figures = ", ".join(f"{name} {ms(latency[name])}" for name in ("p90", "p99", "min", "mean", "std"))
    median = f"p50 {ms(latency['p50'])} ({ms(latency['low'])} to {ms(latency['high'])})"
    cores = f", held to CPU {', '.join(map(str, found.cores))}" if found.cores else ""
    rows = [
        ("device", f"{found.device}, ISA level {found.isa}, {found.threads} thread(s){cores}"),
        *([("inputs", f"{shapes_text(sizes)}, of sizes that are free")] if sizes else []),
        ("load", f"{found.load_ms:.2f} ms, first run {found.first_run_ms:.3f} ms{caution}"),
        ("latency", f"{median}, {figures} ms{caution}"),
        ("runs", f"{latency['runs']:,} after {found.warmup_runs + 1:,} to warm up"),
        ("machine", _conditions(found)),
        (
            "memory",
            f"weights {size(found.weights_bytes)}, arena {size(found.arena_bytes)}, "
            f"peak {size(found.peak_rss_bytes)}{'' if found.is_real else ' with the emulator'}",
        ),
        ("digest", f"{found.digest}, golden outputs {found.check}"),
    ]
    if predicted is not None:
        rows.append(("predicted", _predicted(found, predicted)))
    if found.intervals:
        rows.append(("throttling", _throttling(found.intervals)))
    for v in verdicts:
        measured = "not judged here" if v.measured is None else f"{v.measured:.4g} {v.unit}"
        rows.append((v.budget, f"{measured}, budget {v.limit:g} {v.unit}"))
    print_table(str(bundle), rows)
    _show_nodes(found.profile)


def _predicted(found: Measurement, predicted: Prediction) -> str:
    """What the profile's rates let expect, and how that compares."""
    off = "on the device"
    if found.is_real:
        off = f"{predicted.error_of(found.latency_ms['p50']):+.1%} of the measured p50"
    basis = f"; {predicted.basis}" if predicted.basis else ""
    return f"{ms(predicted.latency_ms)} ms, {off}{basis}"


def show_comparison(bundle: Path, compared: Compared, notes: Sequence[tuple[str, str]]) -> None:
    """Which is faster, by how much."""
    import statistics

    in_turns, other = len(compared.other_ms) > 1, statistics.median(compared.other_ms)
    own = statistics.median(compared.own_ms) if in_turns else other * (1 + compared.difference.estimate)
    how = f"{compared.difference.rounds} rounds of one process each, in random order"
    earlier = f"{compared.difference.rounds} processes now, one then: what else has changed since is not seen"
    rows = [
        ("measured", how if in_turns else earlier),
        ("this", f"p50 {ms(own)} ms"),
        ("other", f"p50 {ms(other)} ms"),
        *notes,
        ("result", verdict(compared)),
    ]
    print_table(f"{bundle} against {compared.other}", rows)


def verdict(compared: Compared) -> str:
    """`faster by 4.9 % (4.6 to 5.2 %)`, of the other's time."""
    found = compared.difference
    if not found.is_significant:
        return f"no significant difference ({_signed(found.low)} to {_signed(found.high)})"
    if found.estimate < 0:
        return f"faster by {-found.estimate:.1%} ({-found.high:.1%} to {-found.low:.1%}) of the other's time"
    return f"slower by {found.estimate:.1%} ({found.low:.1%} to {found.high:.1%}) of the other's time"


def interval_line(row: dict[str, Any]) -> str:
    """A part of a sustained run: `   60 s   p50 12.34 ms (12.20 to 12.60), 1,203 runs, 1800 MHz, 61.2 °C`."""
    known = [f"{row['mhz']:.0f} MHz"] if row["mhz"] is not None else []
    known += [f"{row['temperature_c']:.1f} °C"] if row["temperature_c"] is not None else []
    spread = f"({ms(row['p25_ms'])} to {ms(row['p75_ms'])})"
    return ", ".join([f"{row['end_s']:7.1f} s   p50 {ms(row['p50_ms'])} {spread} ms", f"{row['runs']:,} runs", *known])


def _signed(share: float) -> str:
    return f"{share:+.1%}"


def _conditions(found: Measurement) -> str:
    """Clock, governor, temperature and load along the runs, as far as the system tells."""
    mhz, temperatures = ([s[key] for s in found.samples if s[key] is not None] for key in ("mhz", "temperature_c"))
    governor = next((s["governor"] for s in found.samples if s["governor"]), None)
    told = [_range(mhz, ".0f", "MHz"), governor, _range(temperatures, ".1f", "°C")]
    told.append(None if found.load is None else f"load {found.load:.1f} before")
    return ", ".join(filter(None, told)) or "the system tells neither clock nor temperature"


def _range(values: Sequence[float], digits: str, unit: str) -> str | None:
    if not values:
        return None
    low, high = format(min(values), digits), format(max(values), digits)
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"


def _throttling(intervals: Sequence[dict[str, Any]]) -> str:
    from edgeort.bench import throttles_from

    at = throttles_from(intervals)
    if at is None:
        return "none: no part of the time was clearly slower than the first"
    start, share = intervals[at]["start_s"], intervals[at]["p50_ms"] / intervals[0]["p50_ms"] - 1
    return f"from {start:.0f} s on: the median is then {share:.0%} above that of the start"


def _show_nodes(profile: Sequence[dict[str, Any]]) -> None:
    timed = [node for node in profile if not node["skipped"]]
    if not timed:
        return
    total = sum(node["ms"] for node in timed) or 1.0
    columns = [
        ("ms", [f"{n['ms']:.4f}" for n in timed]),
        ("share", [f"{n['ms'] / total:.1%}" for n in timed]),
        ("multiply-adds", [f"{n['macs']:,}" if n["macs"] else "" for n in timed]),
        ("GFLOP/s", ["" if n["gflops"] is None else f"{n['gflops']:.1f}" for n in timed]),
        ("of peak", ["" if n["share_of_peak"] is None else f"{n['share_of_peak']:.0%}" for n in timed]),
        ("kernel", [n["op"] for n in timed]),
        ("node", [n["name"] for n in timed]),
    ]
    shown = [(name, cells) for name, cells in columns if any(cells)]
    print_table("nodes", zip(*(cells for _, cells in shown), strict=True), [name for name, _ in shown])
