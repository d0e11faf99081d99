"""Numbers for people: three significant digits, with their unit."""

from __future__ import annotations

import math
from collections.abc import Callable

NOT_KNOWN = "not known"


def number(value: float, digits: int = 3) -> str:
    """`12 345`, `1.23`, `0.0123`, `1.2e-08`: `digits` significant ones, all of those before the point."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return f"{value:.{digits - 1}e}"
    value = value if abs(value) >= 10**digits else float(f"{value:.{digits - 1}e}")  # 999.9 is 1 000
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{places}f}".replace(",", "\u202f")


def milliseconds(value: float | None) -> str:
    """`6.97 ms`, `12.3 µs`, `1.20 s`, `0`."""
    if value is None:
        return NOT_KNOWN
    if value == 0:
        return "0"
    if value >= 1000:
        return f"{number(value / 1000)} s"
    return f"{number(value)} ms" if value >= 1 else f"{number(value * 1000)} µs"


def milliseconds_axis(high: float) -> Callable[[float], str]:
    """How ticks up to `high` ms are written: all in one unit."""
    unit, factor = ("s", 1e-3) if high >= 1000 else ("ms", 1.0) if high >= 1 else ("µs", 1e3)
    return lambda value: f"{value * factor:.6g} {unit}" if value else "0"


def size_axis(high: float) -> Callable[[float], str]:
    """How ticks up to `high` bytes are written: all in one unit."""
    power = next((power for power in (3, 2, 1) if high >= 1000**power), 0)
    return lambda value: f"{value / 1000**power:.6g} {('B', 'kB', 'MB', 'GB')[power]}" if value else "0"


def size(n_bytes: float | None) -> str:
    """`1.23 MB`, in units of 1000."""
    if n_bytes is None:
        return NOT_KNOWN
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 999.5 or unit == "GB":
            return f"{number(n_bytes)} {unit}" if unit != "B" else f"{n_bytes:.0f} B"
        n_bytes /= 1000
    raise AssertionError


def percent(share: float | None) -> str:
    """`12.3 %`, `12.0 times`."""
    if share is None:
        return NOT_KNOWN
    if share >= 10:
        return f"{number(share)} times"
    return f"{100 * share:.1f} %"


def count(n: int, one: str, many: str | None = None) -> str:
    """`1 node`, `1 200 nodes`."""
    return f"{whole(n)} {one if n == 1 else many or one + 's'}"


def whole(n: float) -> str:
    """`1 200`."""
    return f"{n:,.0f}".replace(",", "\u202f")
