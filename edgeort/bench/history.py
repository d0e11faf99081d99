"""Results as JSON lines: one a measurement, added to a file that only grows.

A line is written by one call, to a file that is opened for appending: processes that end at the same moment do not mix
theirs, and one that is interrupted before has written nothing. Should a machine stop in the middle of the write, the
rest of the line is missing: reading leaves such a line out, and the next result begins a line of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import edgeort
from edgeort.bench import lines
from edgeort.bench.measuring import Measurement
from edgeort.bundle import Bundle
from edgeort.errors import InputError, OutputError

FORMAT = 1
MOST_KEPT = 4096


def line_of(bundle: Bundle, found: Measurement, more: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a measurement, as JSON takes it: `more`, the measurement, what was measured, when, with what.

    `commit` is that of the current folder, with a `+` where files differ from it; None where git knows none.
    `conditions` are those of the device along the runs, each None where its system does not tell.
    """
    manifest = bundle.manifest
    return {
        "format": FORMAT,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "bundle": str(bundle.path),
        "model": manifest.model,
        "model_sha256": manifest.model_sha256,
        "profile_name": manifest.device,
        "provider": manifest.provider,
        "versions": {"edgeort": edgeort.__version__, "bundle": manifest.edgeort, **manifest.tools},
        "commit": commit(),
        "size_bytes": bundle.size_bytes,
        "conditions": conditions(found),
        **asdict(found),
        **more,
    }


def conditions(found: Measurement) -> dict[str, Any]:
    """Governor, frequencies and temperatures along the runs, load before them, cores and threads."""
    mhz, temperatures = ([s[key] for s in found.samples if s[key] is not None] for key in ("mhz", "temperature_c"))
    governors = [s["governor"] for s in found.samples if s["governor"]]
    return {
        "governor": governors[0] if governors else None,
        "least_mhz": min(mhz, default=None),
        "most_mhz": max(mhz, default=None),
        "first_temperature_c": temperatures[0] if temperatures else None,
        "most_temperature_c": max(temperatures, default=None),
        "load": found.load,
        "cores": found.cores,
        "threads": found.threads,
    }


def commit() -> str | None:
    """The commit of the current folder, with a `+` where files that git knows differ; None where there is none."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Adds a line to the file, which is made where it is not there. OutputError where that cannot be.

    Of many latencies it keeps every second, third, ... one, MOST_KEPT at most, and says so in `every`.
    """
    step = max(1, -(-len(line["latencies_ms"]) // MOST_KEPT))
    line = {**line, "every": line["every"] * step, "latencies_ms": line["latencies_ms"][::step]}
    data = json.dumps(line, separators=(",", ":"), default=str).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        try:
            if (size := os.lseek(file, 0, os.SEEK_END)) and _byte_at(file, size - 1) != b"\n":
                data = b"\n" + data  # behind a line that was not finished
            while data:
                data = data[os.write(file, data) :]
        finally:
            os.close(file)
    except OSError as error:
        raise OutputError(
            f"cannot write the history {path}: {error.strerror}", hint="--history-file FILE, or --no-history"
        ) from error


def _byte_at(file: int, position: int) -> bytes:
    os.lseek(file, position, os.SEEK_SET)
    return os.read(file, 1)


@dataclass(frozen=True)
class History:
    """The lines of a history in the order in which they were written, and how many are not whole."""

    lines: Sequence[dict[str, Any]]
    torn: int


def read(path: Path) -> History:
    """The results in a file of JSON lines, or the one of a JSON file. InputError where there is none."""
    held = lines.read(path, "edgeort bench BUNDLE --json > FILE")
    found = [one for _, one in held.objects if _is_result(one)]
    if not found:
        raise InputError(f"{path} has no result of edgeort bench", hint="edgeort bench BUNDLE --json > FILE")
    return History(found, held.torn + len(held.objects) - len(found))


def is_of(line: Mapping[str, Any], bundle: Path) -> bool:
    """Whether a result is of that bundle, however its path was written; relative ones are of the current folder."""
    return Path(str(line.get("bundle", ""))).resolve() == bundle.resolve()


# Of two results: what must be the same for their times to tell of the bundles alone.
_ALIKE = ("device", "profile_name", "isa", "threads", "cores", "provider")


def changes(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What differs between two results beside the times: its name, and what it was and is."""
    then, here = ({**(line.get("conditions") or {}), **line} for line in (earlier, now))
    pairs = [(name, then.get(name), here.get(name)) for name in (*_ALIKE, "governor")]
    return [(name, f"{was} then, {is_now} now") for name, was, is_now in pairs if was != is_now]


def _is_result(data: Mapping[str, Any]) -> bool:
    if not isinstance(data.get("latency_ms"), dict):
        return False
    p50 = data["latency_ms"].get("p50")
    return isinstance(p50, (int, float)) and p50 > 0
