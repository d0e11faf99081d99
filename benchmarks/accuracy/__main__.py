"""How close int8 models stay to float: edgeort's, ONNX Runtime's and NNCF's, on the same samples, in one run.

    python -m benchmarks.accuracy [CASE...] [--contenders NAME...] [--lines N] [--json FILE]

Each model is made in a process of its own, and judged in ONNX Runtime on samples that nobody calibrated with.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.accuracy.cases import CASES, LINES, Case, find
from benchmarks.accuracy.contenders import CONTENDERS, UNFUSED
from edgeort.errors import EdgeortError
from edgeort.ort import first_line, open_session
from edgeort.quantize.parallel import ordered_map

_DIGITS = {"KL": 5, "cosine": 4, "least": 4, "lost": 0, "won": 0}
_COST = {"MB": ("bytes", 1e-6, 2), "s": ("seconds", 1, 1), "CPU s": ("cpu_seconds", 1, 1), "peak MB": ("peak_mb", 1, 0)}


def make(case: str, contender: str, out: Path) -> dict[str, Any]:
    """What `worker` says about making the model."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.accuracy.worker", case, contender, str(out)], capture_output=True, text=True
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"failed": (done.stderr.strip().splitlines() or ["the process died"])[-1][:300]}
    return dict(json.loads(lines[-1]))


def judge(case: Case, made: Path, *, fuse_qdq: bool = True) -> dict[str, float]:
    """The row of the table for a model. ModelError when it does not run."""
    _, samples, verdict = case.data()
    sessions = [open_session(model, threads=1, fuse_qdq=fuse_qdq) for model in (case.model(), made)]
    first = [sessions[0].get_outputs()[0].name]
    answers = ordered_map(lambda sample: [session.run(first, sample)[0] for session in sessions], samples)
    for index, (reference, found) in enumerate(answers):
        verdict.add(index, reference, found)
    return verdict.row()


def run(name: str, case: Case, contenders: Sequence[str]) -> list[dict[str, Any]]:
    """A dict for each contender that the case of that name suits."""
    rows = []
    for contender in contenders:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "q.onnx"
            result = make(name, contender, out)
            if result.pop("skipped", False):
                continue
            if "failed" not in result:
                try:
                    result["judged"] = judge(case, out, fuse_qdq=contender not in UNFUSED)
                except Exception as error:  # ONNX Runtime's have no common base
                    result["failed"] = f"it does not run: {first_line(error)}"
        print(f"{name}, {contender}: {result}", file=sys.stderr, flush=True)
        rows.append({"contender": contender, **result})
    return rows


def show(case: Case, rows: Sequence[dict[str, Any]], where: str) -> None:
    """Prints the table, and below it why there is no number."""
    names = next((list(row["judged"]) for row in rows if "judged" in row), [])
    table = tables.new_table(case.title, "made by", *names, *_COST)
    for row in rows:
        if "judged" in row:
            judged = (f"{row['judged'][name]:.{_DIGITS.get(name, 2)}f}" for name in names)
            cost = (f"{row[key] * factor:.{digits}f}" for key, factor, digits in _COST.values())
            table.add_row(row["contender"], *judged, *cost)
    _, samples, _ = case.data()
    failed = [f"{row['contender']}: {row['failed']}" for row in rows if "failed" in row]
    size = case.model().stat().st_size / 1e6
    tables.show(table, f"float: {size:.2f} MB; judged on {len(samples)} samples; {where}", *failed)


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 when nothing could be measured; 2 when an argument is at fault."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument(
        "--lines", type=int, default=LINES, metavar="N", help=f"that PP-OCR is judged on (default: {LINES})"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(arguments)
    where, results = tables.machine(), {}
    for name in args.cases or list(CASES):
        try:
            case = find(name, args.lines)
            case.data()
            case.model()
        except EdgeortError as error:
            print(f"{name}: {error}" + (f" ({error.hint})" if error.hint else ""))
            continue
        results[name] = run(name, case, args.contenders)
        show(case, results[name], tables.describe(where))
    tables.write_json(args.json, {"machine": where, "cases": results})
    return 0 if results else 1


if __name__ == "__main__":
    sys.exit(main())
