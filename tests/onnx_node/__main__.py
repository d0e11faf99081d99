"""python -m tests.onnx_node [--report FILE] [--update] [PATTERN]: run the node tests, say which fail and why."""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.onnx_node.runner import FAILING, PASSED, PASSING, Outcome, cases, library, run_all


def report(outcomes: Sequence[Outcome]) -> str:
    """Markdown: the counts, then the failures by reason, most frequent first."""
    failed: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.reason != PASSED:
            failed[outcome.reason].append(outcome)
    passed = len(outcomes) - sum(map(len, failed.values()))
    lines = [
        "# Node tests of the ONNX project",
        "",
        f"{passed} of {len(outcomes)} pass.",
        "",
        "| cases | reason | which |",
        "|---|---|---|",
    ]
    for reason, group in sorted(failed.items(), key=lambda item: (-len(item[1]), item[0])):
        names = ", ".join(outcome.name.removeprefix("test_") for outcome in group[:6]) + (
            ", ..." if len(group) > 6 else ""
        )
        detail = f" ({group[0].detail})" if group[0].detail and not reason.startswith("refused") else ""
        lines.append(f"| {len(group)} | {(reason + detail).replace('|', '/')} | {names} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Prints the report, or writes it."""
    parser = argparse.ArgumentParser(prog="python -m tests.onnx_node", description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="regular expression: only cases whose name it finds")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report there instead of printing it")
    parser.add_argument(
        "--update", action="store_true", help=f"rewrite {PASSING.name} and {FAILING.name} with what is now"
    )
    arguments = parser.parse_args()
    if arguments.update and arguments.pattern:
        parser.error("--update needs all cases: leave PATTERN out")
    outcomes = run_all([case for case in cases() if re.search(arguments.pattern, case.name)], library())
    text = report(outcomes)
    if arguments.report:
        arguments.report.write_text(text)
    else:
        print(text)
    if arguments.update:
        PASSING.write_text("".join(f"{outcome.name}\n" for outcome in outcomes if outcome.reason == PASSED))
        failed = (outcome for outcome in outcomes if outcome.reason != PASSED)
        FAILING.write_text("".join(f"{outcome.name}: {_sentence(outcome)}\n" for outcome in failed))


def _sentence(outcome: Outcome) -> str:
    """Why a case fails, on one line."""
    refused = outcome.reason.startswith("refused")
    text = f"refused: {outcome.detail.split(': ', 1)[-1]}" if refused else f"{outcome.reason} ({outcome.detail})"
    return text.splitlines()[0].removesuffix(" ()")


if __name__ == "__main__":
    main()
