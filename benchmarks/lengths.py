"""One open model for every length: MiniLM in edgeort and in its peers, on texts of several lengths.

    python -m benchmarks.lengths [--lengths 1 16 128 512] [--threads 1 2] [--rounds 5] [--json FILE]

Each engine has the model open once, with free batch and length, and takes turns as in benchmarks.peers. In the last row
of each number of threads each run has another length than the one before; it is the time of all of them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import tables
from benchmarks.contest import TOLERANCE, Entrant, Pace, Result, Worker, check
from benchmarks.engines import FREE, OURS
from benchmarks.models import Model, find
from benchmarks.peers import absences, as_json, table
from benchmarks.worker import ALL
from edgeort.errors import EdgeortError

MODEL = "minilm"
LENGTHS = (1, 16, 128, 512)


def texts(length: int) -> dict[str, np.ndarray]:
    """One text of that many tokens, drawn at random: int64 [1, length] each."""
    ids = np.random.default_rng(length).integers(1000, 30000, (1, length))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def contest(path: Path, lengths: Sequence[int], threads: int, pace: Pace) -> list[Result]:
    """A result for each length, and one for all of them in turn."""
    first, *others = map(texts, lengths)
    with tempfile.TemporaryDirectory(prefix="edgeort-") as name, ExitStack() as stack:
        workers = [
            stack.enter_context(
                Worker(entry, Model(MODEL, path, first), threads, Path(name) / entry.name.replace(" ", "-"), others)
            )
            for entry in FREE
        ]
        for index in range(len(lengths)):
            check(workers, TOLERANCE, index)
        found = [worker.entrant for worker in workers]
        rows = {str(index): f"{MODEL}, length {length}" for index, length in enumerate(lengths)}
        rows[ALL] = f"{MODEL}, lengths {', '.join(map(str, lengths))}"
        entrants = {row: [replace(entrant, times_ms=[]) for entrant in found] for row in rows}
        for turn in range(pace.rounds):
            for row in rows:
                take_turns(workers, entrants[row], row, turn, pace)
        return [Result(label, threads, tuple(entrants[row])) for row, label in rows.items()]


def take_turns(workers: Sequence[Worker], entrants: Sequence[Entrant], which: str, first: int, pace: Pace) -> None:
    """One turn of each, the one of number `first` leading; its times go to the entrant of the same place."""
    for offset in range(len(workers)):
        place = (first + offset) % len(workers)
        workers[place].entrant = entrants[place]
        if entrants[place].out is None:
            time.sleep(pace.pause_ms / 1000)
            workers[place].turn(pace.turn_ms, which)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.lengths", description=__doc__)
    made.add_argument("--lengths", nargs="+", type=int, default=list(LENGTHS))
    made.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    made.add_argument("--rounds", type=int, default=5, help="turns of each engine at each length")
    made.add_argument("--turn-ms", type=float, default=Pace.turn_ms, help="length of a turn")
    made.add_argument("--pause-ms", type=float, default=Pace.pause_ms, help="between turns")
    made.add_argument("--json", type=Path, metavar="FILE")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 when edgeort did not run; 2 when an argument is at fault."""
    args = parser().parse_args(arguments)
    pace = Pace(args.rounds, args.turn_ms, args.pause_ms)
    where = tables.machine()
    try:
        path = find(MODEL).path
        results = [result for threads in args.threads for result in contest(path, args.lengths, threads, pace)]
        tables.write_json(args.json, as_json(results, where, pace))
    except EdgeortError as error:
        print(f"{error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    versions = {entrant.name: entrant.version for result in results for entrant in result.entrants if entrant.version}
    tables.show(
        table(results, FREE),
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"{tables.describe(where)}; {pace.rounds} turns of {pace.turn_ms:g} ms each",
        *absences(results),
    )
    ours = (entrant for result in results for entrant in result.entrants if entrant.name == OURS.name)
    return 0 if any(entrant.times_ms for entrant in ours) else 1


if __name__ == "__main__":
    sys.exit(main())
