"""python -m tests.mutation [--count N] [--seed S] [--large] [--one NAME:SEED] [PATTERN]: what became of mutants."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.mutation.corpus import large, small
from tests.mutation.judge import BUG, judge, summary
from tests.mutation.mutations import mutant
from tests.mutation.running import run
from tests.onnx_node.runner import library


def main() -> None:
    """Prints bugs with what makes them again, and the messages of refusals."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="regular expression: only models whose name it finds")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--large", action="store_true", help="real models instead of small ones")
    parser.add_argument("--one", metavar="NAME:SEED", help="this mutant alone, in this process")
    parser.add_argument("--messages", action="store_true", help="print the messages of refusals")
    arguments = parser.parse_args()
    models = dict(large()) if arguments.large else small()
    if arguments.one:
        name, seed = arguments.one.rsplit(":", 1)
        data, told = mutant(models[name], int(seed))
        with tempfile.TemporaryDirectory() as folder:
            print(told, judge(data, library(), Path(folder)))
        return
    models = {name: proto for name, proto in models.items() if re.search(arguments.pattern, name)}
    results = run(models, arguments.seed, arguments.count, library())
    groups = defaultdict(list)
    for mutated, verdict in results:
        if verdict.end == BUG:
            groups[f"BUG in {verdict.stage}: {re.sub(r'[0-9]+', '#', verdict.text)}"].append((mutated, verdict))
        elif verdict.checker:
            groups[f"BUILT, though the checker says: {re.sub(r'[0-9]+', '#', verdict.checker)[:80]}"].append(
                (mutated, verdict)
            )
        elif arguments.messages:
            groups[
                f"{verdict.end} in {verdict.stage} {verdict.kind} {'h' if verdict.hint else '-'}: "
                + re.sub(r"'[^']*'|\"[^\"]*\"|[0-9]+", "#", verdict.text)[:150]
            ].append((mutated, verdict))
    for text, members in sorted(groups.items(), key=lambda item: -len(item[1])):
        print(f"{len(members):5} {text}")
        for mutated, verdict in members[:3]:
            print(f"          --one {mutated.model}:{mutated.seed}  ({mutated.told}) {verdict.text[:200]}")
    print(summary([verdict for _, verdict in results]))
    sys.exit(any(verdict.end == BUG for _, verdict in results))


if __name__ == "__main__":
    main()
