"""python -m tests.fuzz [TARGET...] [--seconds S] [--executions N] [--seed N] [--keep] [--record]: fuzzes, two at once.

    python -m tests.fuzz --seconds 60 --seed 1                         what .ci/run does: a change, not chance, fails it
    python -m tests.fuzz plan --executions 10000000 --seconds 36000 --record

What is found stays in .pytest_cache/fuzz/TARGET and is gone on from; --keep puts the least of it that reaches as much
into corpora/, from which every run starts. --record adds a row to RUNS.md. An input that
crashes a target is kept in .pytest_cache/fuzz/TARGET/crashes: copied to tests/fuzz/crashes/TARGET, it is a test.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.fuzz.running import Ended, keep, record, run
from tests.fuzz.targets import TARGETS, Target, named


def main() -> None:
    """Exit status 1 where a target crashed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="*", help=f"of {', '.join(target.name for target in TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=60, help="of each target, at most")
    parser.add_argument("--executions", type=int, default=-1, help="of each target, at most")
    parser.add_argument("--seed", type=int, default=0, help="0: by chance")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="fuzz nothing: put what was found into corpora/")
    parser.add_argument("--record", action="store_true", help="add a row to RUNS.md for each")
    asked = parser.parse_args()
    try:
        targets = [named(name) for name in asked.target] or TARGETS
    except KeyError as error:
        parser.error(f"there is no target {error}")

    if asked.keep:
        for target in targets:
            print(f"{target.name}: {keep(target)} inputs")
        return

    def one(target: Target) -> Ended:
        ended = run(target, asked.seconds, asked.executions, asked.seed)
        print(ended.text(), flush=True)
        return ended

    with ThreadPoolExecutor(asked.jobs) as pool:
        found = list(pool.map(one, targets))
    if asked.record:
        for ended in found:
            record(ended)
    sys.exit(any(ended.crashes or ended.failed for ended in found))


if __name__ == "__main__":
    main()
