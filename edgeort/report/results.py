"""Earlier results: what `edgeort bench --json`, its history, and `edgeort validate --json` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeort.bench import Measurement, lines
from edgeort.bench.measuring import read
from edgeort.bundle import Bundle
from edgeort.errors import InputError

MOST_BYTES = 256 << 20

_HINT = "edgeort bench BUNDLE --profile --json > results.jsonl"


@dataclass(frozen=True)
class Results:
    """What a file tells of a bundle: the last measurement with its line, and the last evaluation."""

    measurement: Measurement | None
    line: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None


def read_results(path: Path, bundle: Bundle) -> Results:
    """The last measurement of this very bundle in the file, and the last evaluation.

    InputError where the file cannot be read, or has neither.
    """
    measurement, last, evaluation, others = None, dict[str, Any](), None, 0
    objects = lines.read(path, _HINT, MOST_BYTES).objects
    if not objects:
        raise InputError(f"{path} has no JSON object, nor one a line: these are no results", hint=_HINT)
    for number, line in objects:
        try:
            if "latencies_ms" in line:
                one = read(line, str(line["device"]), bool(line["is_real"]))
                if _is_of(line, one, bundle):
                    measurement, last = one, line
                else:
                    others += 1
            evaluation = _evaluation(line) or evaluation
        except (ValueError, TypeError, LookupError) as error:
            raise InputError(f"{path}, line {number}: this is no result of edgeort: {error}", hint=_HINT) from error
    if measurement is None and evaluation is None:
        why = f"{others} measurements in it are of other bundles" if others else "it has no measurement"
        raise InputError(f"{path} tells nothing of {bundle.path}: {why}", hint=_HINT)
    return Results(measurement, last, evaluation)


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


def _is_of(line: Mapping[str, Any], found: Measurement, bundle: Bundle) -> bool:
    """Whether it was the same model for the same device; and, where outputs are the same bytes everywhere, whether a
    plan as long gave those."""
    manifest = bundle.manifest
    names = {"model_sha256": manifest.model_sha256, "profile_name": manifest.device, "provider": manifest.provider}
    if any(line.get(name, value) != value for name, value in names.items()):
        return False
    if manifest.provider != "cpu":
        return [output["name"] for output in found.outputs] == [value.name for value in manifest.outputs]
    lines = (bundle.golden / "digests.txt").read_text(encoding="utf-8").splitlines()
    same_plan = found.weights_bytes == bundle.artefact.stat().st_size
    return same_plan and [output["digest"] for output in found.outputs] == [row.split()[1] for row in lines]
