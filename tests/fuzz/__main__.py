"""python -m tests.fuzz [TARGET...] [--seconds S] [--executions N] [--seed N] [--keep] [--record [FILE]] [--sums]

Fuzzes, two targets at once.

    python -m tests.fuzz --seconds 60 --seed 1                         what .ci/run does: a change, not chance, fails it
    python -m tests.fuzz plan --executions 10000000 --seconds 36000 --record

What is found stays in .pytest_cache/fuzz/TARGET and is gone on from; --keep puts the least of it that reaches as much
into corpora/, from which every run starts. --record adds a row to RUNS.md, or to a FILE of its form, also of a run that
is ended before (SIGINT, SIGTERM); --sums tells what the rows come to. An input that crashes a target is kept in
.pytest_cache/fuzz/TARGET/crashes: copied to tests/fuzz/crashes/TARGET, it is a test.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.running import RUNS, Ended, keep, record, run, stop, sums
from tests.fuzz.targets import TARGETS, Target, named

SMALLER = 3  # times less for small targets


def main() -> None:
    """Exit status 1 where a target crashed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[2])
    parser.add_argument("target", nargs="*", help=f"of {', '.join(target.name for target in TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=60, help="of each target, at most; of small ones a third")
    parser.add_argument("--executions", type=int, default=-1, help="of each target, at most")
    parser.add_argument("--seed", type=int, default=0, help="0: by chance")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="fuzz nothing: put what was found into corpora/")
    parser.add_argument("--record", nargs="?", type=Path, const=RUNS, help="add a row for each to RUNS.md, or there")
    parser.add_argument("--sums", nargs="?", type=Path, const=RUNS, help="fuzz nothing: what the rows there come to")
    asked = parser.parse_args()
    try:
        targets = [named(name) for name in asked.target] or TARGETS
    except KeyError as error:
        parser.error(f"there is no target {error}")

    if asked.sums:
        print(sums(asked.sums))
        return
    logging.disable(logging.WARNING)  # of what is made into seeds
    if asked.keep:
        for target in targets:
            print(f"{target.name}: {keep(target)} inputs")
        return

    def one(target: Target) -> Ended:
        ended = run(target, asked.seconds // SMALLER if target.small else asked.seconds, asked.executions, asked.seed)
        print(ended.text(), flush=True)
        if asked.record and ended.executions:
            record(ended, asked.record)
        return ended

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop())
    with ThreadPoolExecutor(asked.jobs) as pool:
        found = list(pool.map(one, targets))
    sys.exit(any(ended.crashes or ended.failed for ended in found))


if __name__ == "__main__":
    main()
