"""Earlier results: what `edgeort bench --json`, its history, and `edgeort validate --json` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeort.bench import Measurement
from edgeort.bench.measuring import read
from edgeort.bundle import Bundle
from edgeort.errors import InputError

MOST_BYTES = 256 << 20

_HINT = "edgeort bench BUNDLE --profile --json > results.jsonl"


def read_results(path: Path, bundle: Bundle) -> tuple[Measurement | None, dict[str, Any] | None]:
    """The last measurement of this very bundle in the file, and the last evaluation; None where there is none.

    InputError where the file cannot be read, or has neither.
    """
    measurement, evaluation, others = None, None, 0
    for line, found in _objects(path):
        try:
            if "latencies_ms" in found:
                one = read(found, str(found["device"]), bool(found["is_real"]))
                measurement, others = (one, others) if _is_of(one, bundle) else (measurement, others + 1)
            evaluation = _evaluation(found) or evaluation
        except (ValueError, TypeError, LookupError) as error:
            raise InputError(f"{path}, line {line}: this is no result of edgeort: {error}", hint=_HINT) from error
    if measurement is None and evaluation is None:
        why = f"its {others} measurements are of other bundles" if others else "it has no measurement"
        raise InputError(f"{path} tells nothing of {bundle.path}: {why}", hint=_HINT)
    return measurement, evaluation


def _evaluation(found: dict[str, Any]) -> dict[str, Any] | None:
    evaluation = found.get("evaluation")
    if evaluation is None:
        return None
    missing = {"where", "task", "output", "samples", "labelled", "figures", "judgements", "worst", "warnings"} - set(
        evaluation
    )
    if missing:
        raise ValueError(f"its evaluation has no {', '.join(sorted(missing))}")
    return dict(evaluation)


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file that holds one, or one a line, with the line of each."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} has more than {MOST_BYTES >> 20} MiB: these are no results", hint=_HINT)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}", hint=_HINT
        ) from error
    whole = _parsed(text)
    if whole is not None:
        yield 1, whole
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        one = _parsed(line)
        if one is None:
            raise InputError(f"{path}, line {number}: this is no JSON object", hint=_HINT)
        yield number, one


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_of(found: Measurement, bundle: Bundle) -> bool:
    """Whether a plan as long gave outputs of the same digests, where these are the same bytes everywhere."""
    if bundle.manifest.provider != "cpu":
        return [output["name"] for output in found.outputs] == [value.name for value in bundle.manifest.outputs]
    lines = (bundle.golden / "digests.txt").read_text(encoding="utf-8").splitlines()
    golden = [line.split()[1] for line in lines]
    same_plan = found.weights_bytes == bundle.artefact.stat().st_size
    return same_plan and [output["digest"] for output in found.outputs] == golden
