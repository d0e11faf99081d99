"""edgeort against what a user would pick instead, side by side on this machine.

    python -m benchmarks.peers [MODEL...] [--int8] [--threads 1 2] [--rounds 10] [--json FILE]

The same inputs and threads, engines taking turns, medians. A time counts only when the output is ONNX Runtime's.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks import tables
from benchmarks.contest import Pace, Result, by_threads, contest
from benchmarks.engines import ENGINES, FLOAT, INT8, OURS, Engine
from benchmarks.models import MODELS, find, for_peers, quantised
from edgeort.errors import EdgeortError


def table(results: Sequence[Result], engines: Sequence[Engine] = ENGINES) -> Table:
    """A row for each model and number of threads: medians in ms, and the ratio best peer / edgeort.

    With INT8 also what edgeort takes for int8, as a part of float32.
    """
    names = (entry.name for entry in engines)
    last = ("int8 / float32",) if engines is INT8 else ()
    made = tables.new_table(
        "Median latency, ms", "model", "threads", *names, "best peer / edgeort", "of fastest runs", *last
    )
    for result in results:
        medians = [entrant.median_ms for entrant in result.entrants]
        best = min((m for m in medians if m is not None), default=None)
        cells = ["-" if m is None else f"[bold]{m:.3f}[/]" if m == best else f"{m:.3f}" for m in medians]
        found = (result.ratio, result.fastest_ratio, result.of_float)[: 2 + len(last)]
        ratios = ("-" if ratio is None else f"{ratio:.2f}" for ratio in found)
        made.add_row(result.model, str(result.threads), *cells, *ratios)
    for threads, means in by_threads(results).items():
        counted = sum(result.threads == threads and result.ratio is not None for result in results)
        made.add_row(
            f"geometric mean of {counted}", str(threads), *[""] * len(engines), *(f"{mean:.2f}" for mean in means)
        )
    return made


def absences(results: Sequence[Result]) -> list[str]:
    """One line for each engine and reason, with the models it holds for; 'every model' where it does."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for entrant in result.entrants:
            if entrant.out is not None:
                # A reason that names its model is the same reason for another one.
                reason = entrant.out.replace(result.model, "MODEL")
                reasons.setdefault((entrant.name, reason), []).append(result.model)
    everything = {result.model for result in results}
    return [
        f"{name}, {'every model' if set(models) == everything else ', '.join(dict.fromkeys(models))}: {reason}"
        for (name, reason), models in reasons.items()
    ]


def as_json(results: Sequence[Result], where: dict[str, Any], pace: Pace) -> dict[str, Any]:
    """Everything but the single times."""
    rows = []
    for result in results:
        engines = {
            entrant.name: {
                "median_ms": entrant.median_ms,
                "fastest_ms": entrant.fastest_ms,
                "runs": len(entrant.times_ms),
                "difference": entrant.difference,
                "version": entrant.version,
                "out": entrant.out,
            }
            for entrant in result.entrants
        }
        rows.append(
            {
                "model": result.model,
                "threads": result.threads,
                "engines": engines,
                "ratio": result.ratio,
                "fastest_ratio": result.fastest_ratio,
            }
        )
    means = {str(threads): pair for threads, pair in by_threads(results).items()}
    return {"machine": where, "pace": dataclasses.asdict(pace), "rows": rows, "geometric_mean": means}


def run(names: Sequence[str], threads: Sequence[int], pace: Pace, int8: bool) -> tuple[list[Result], list[str]]:
    """The results, and a line for each model that is not here."""
    results, missing = [], []
    for name in names:
        try:
            model, others = quantised(name) if int8 else find(name), None
            if int8:
                theirs = for_peers(name)
                others = {FLOAT.name: find(name)} | {entry.name: theirs for entry in ENGINES if entry != OURS}
        except EdgeortError as error:
            missing.append(f"{name}: {error}" + (f" ({error.hint})" if error.hint else ""))
            continue
        for count in threads:
            result = contest(model, count, INT8 if int8 else ENGINES, pace, others)
            results.append(result)
            medians = (f"{entrant.name} {entrant.median_ms:.3f}" for entrant in result.entrants if entrant.median_ms)
            print(f"{name}, threads {count}: {', '.join(medians)}", file=sys.stderr, flush=True)
    return results, missing


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    made.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)}; default: all")
    made.add_argument("--int8", action="store_true", help="the models as int8, beside edgeort's float32")
    made.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    made.add_argument("--rounds", type=int, default=Pace.rounds, help="turns of each engine")
    made.add_argument("--turn-ms", type=float, default=Pace.turn_ms, help="length of a turn")
    made.add_argument(
        "--pause-ms", type=float, default=Pace.pause_ms, help="between turns: idle workers spin that long"
    )
    made.add_argument("--json", type=Path, metavar="FILE")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 when edgeort ran no model; 2 when an argument is at fault."""
    args = parser().parse_args(arguments)
    pace = Pace(args.rounds, args.turn_ms, args.pause_ms)
    where = tables.machine()
    try:
        results, missing = run(args.models or list(MODELS), args.threads, pace, args.int8)
        tables.write_json(args.json, as_json(results, where, pace))
    except EdgeortError as error:
        print(f"{error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    versions = {e.name: e.version for result in results for e in result.entrants if e.version}
    tables.show(
        table(results, INT8 if args.int8 else ENGINES),
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"{tables.describe(where)}; {pace.rounds} turns of {pace.turn_ms:g} ms each",
        *absences(results),
        *missing,
    )
    ours = (entrant for result in results for entrant in result.entrants if entrant.name == OURS.name)
    return 0 if any(entrant.times_ms for entrant in ours) else 1


if __name__ == "__main__":
    sys.exit(main())
