"""`edgeort bench --history`: earlier results over time, as a plot of text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeort.cli.common import ms, print_json, print_table
from edgeort.errors import InputError

_WIDTH = 44
_SHOWN = 30
_MEASURES = "edgeort bench BUNDLE measures and keeps the result; --history-file FILE names another place"
_NARROWEST = 0.1  # of a scale, as a share of its largest value

# What must be alike for results to stand in one plot.
_KEYS = ("bundle", "provider", "device", "isa", "threads", "cores")


def show(path: Path, bundle: Path | None, *, as_json: bool) -> None:
    """Plots what the file has, of that bundle or of all. InputError where that is nothing."""
    from edgeort.bench import history

    if not path.exists():
        raise InputError(f"{path}: there is no such file: no result was kept there", hint=_MEASURES)
    found = history.read(path)
    lines = [line for line in found.lines if bundle is None or history.is_of(line, bundle)]
    if not lines:
        raise InputError(f"{path} has no result of {bundle}", hint="edgeort bench --history")
    if as_json:
        print_json(lines)
    else:
        groups: dict[str, list[dict[str, Any]]] = {}
        for line in lines:
            groups.setdefault(_title(line), []).append(line)
        for title, rows in groups.items():
            _plot(title, rows)
    if found.torn:
        print(f"warning: {path}: {found.torn} line(s) are not whole and are left out", file=sys.stderr)


def _title(line: dict[str, Any]) -> str:
    bundle, provider, device, isa, threads, cores = (line.get(key) for key in _KEYS)
    held = f", CPU {', '.join(map(str, cores))}" if cores else ""
    return f"{bundle} ({provider}) on {device}, ISA level {isa}, {threads} thread(s){held}"


def _plot(title: str, lines: Sequence[dict[str, Any]]) -> None:
    """A row a result, oldest first: the median as a dot in its interval, on one scale from the least to the largest."""
    shown = lines[-_SHOWN:]
    spans = [_span(line) for line in shown]
    least, most = _scale(spans)
    rows = [
        (
            str(line.get("at", ""))[:16].replace("T", " "),
            str(line.get("commit") or ""),
            ms(middle),
            f"{ms(low)} to {ms(high)}",
            _dots(low, middle, high, least, most),
        )
        for line, (low, middle, high) in zip(shown, spans, strict=True)
    ]
    left = f" (the last {_SHOWN} of {len(lines)})" if len(lines) > _SHOWN else ""
    scale = f"{ms(least)} ms".ljust(_WIDTH - len(ms(most)) - 3) + f"{ms(most)} ms"
    print_table(f"{title}{left}", rows, ("when (UTC)", "commit", "p50, ms", "interval", scale))


def _span(line: dict[str, Any]) -> tuple[float, float, float]:
    """The median in its interval; results of other programs may have none."""
    latency = line["latency_ms"]
    middle = float(latency["p50"])
    return min(latency.get("low", middle), middle), middle, max(latency.get("high", middle), middle)


def _scale(spans: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """From the least to the largest, and not so near that a difference of nothing looks like one."""
    least, most = min(low for low, _, _ in spans), max(high for _, _, high in spans)
    short = max(0.0, _NARROWEST * most - (most - least)) / 2
    return least - short, most + short


def _dots(low: float, middle: float, high: float, least: float, most: float) -> str:
    def column(value: float) -> int:
        return round((value - least) / (most - least) * (_WIDTH - 1))

    cells = [" "] * _WIDTH
    for at in range(column(low), column(high) + 1):
        cells[at] = "─"
    cells[column(middle)] = "●"
    return "".join(cells).rstrip()
