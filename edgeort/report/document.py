"""The report as JSON: everything that the page shows, and nothing that it does not.

format        1
bundle        what was built for which device: model, digests, target, inputs and outputs, versions of the tools
measurement   where the harness ran and under which conditions, memory, golden check; null where it did not run
latency       `timing`, of a real device
nodes         `nodes`: provider, precision, weights, reason, and times where they are known
engine_nodes  those of an engine that names its nodes otherwise
node_counts   by provider, precision, weights
memory        `arena`: the layout that the runtime made
candidates    the table from which the provider was chosen
accuracy      how the model was made small and what that cost (build), and `evaluation` (validate)
sizes         `sizes`
budgets       each with limit, measured (null: nothing tells) and is_kept
reproduce     commands
unknown       part -> why it is null, and what would tell
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import edgeort
from edgeort.bench import Measurement, judge
from edgeort.bench.history import conditions
from edgeort.bundle import Bundle, Manifest
from edgeort.errors import InputError
from edgeort.report.arena import arena
from edgeort.report.nodes import counts, engine_nodes, nodes
from edgeort.report.sizes import sizes
from edgeort.report.timing import timing
from edgeort.validate import Limits
from edgeort.validate.limits import RULES
from edgeort.validate.metrics.metric import Figure

FORMAT = 1

Document = dict[str, Any]


@dataclass(frozen=True)
class Findings:
    """What is known beside the bundle itself: a measurement, or why there is none; an evaluation as JSON has it.

    `line` is that of a history (bench/history.py): when it was measured, at which commit, under which conditions.
    """

    measurement: Measurement | None = None
    line: Mapping[str, Any] = field(default_factory=dict)
    not_measured: str = "nothing was measured"
    evaluation: Mapping[str, Any] | None = None


def document(bundle: Bundle, findings: Findings) -> Document:
    """The report of a bundle. Values are those that JSON has."""
    manifest, found = bundle.manifest, findings.measurement
    made: Document = {
        "format": FORMAT,
        "edgeort": edgeort.__version__,
        "bundle": _bundle(bundle),
        "measurement": None if found is None else _measurement(found, findings.line),
        "latency": timing(found) if found is not None and found.is_real else None,
        "nodes": nodes(manifest, found),
        "engine_nodes": engine_nodes(manifest, found),
        "node_counts": counts(manifest),
        "memory": None if found is None else arena(found),
        "candidates": list(manifest.candidates),
        "accuracy": {"build": manifest.quantization, "evaluation": findings.evaluation},
        "sizes": sizes(bundle),
        "budgets": _budgets(bundle, found, findings.evaluation),
        "reproduce": _reproduce(bundle),
    }
    return {**made, "unknown": _unknown(bundle, findings)}


def _bundle(bundle: Bundle) -> dict[str, Any]:
    told = bundle.manifest.to_dict()
    for name in ("nodes", "files", "candidates", "quantization", "budgets"):  # stand in parts of their own
        del told[name]
    return {"path": str(bundle.path), "size_bytes": bundle.size_bytes, "digest": bundle.manifest.digest, **told}


def _measurement(found: Measurement, line: Mapping[str, Any]) -> dict[str, Any]:
    told = {"at": line.get("at"), "commit": line.get("commit"), **asdict(found), "conditions": conditions(found)}
    for name in ("profile", "memory", "latencies_ms", "latency_ms", "samples", "intervals", "every"):
        del told[name]
    if not found.is_real:
        del told["load_ms"], told["first_run_ms"]
    return told


def _budgets(bundle: Bundle, found: Measurement | None, evaluation: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    limits = bundle.manifest.budgets
    rows = [{**asdict(v), "is_kept": v.is_kept, "by": "profile"} for v in judge(limits, bundle.size_bytes, found)]
    for one in (evaluation or {}).get("judgements", ()):
        unit = next((f["unit"] for f in (evaluation or {})["figures"] if f["name"] == one["figure"]), "")
        told = {"budget": one["option"].lstrip("-").replace("-", "_"), "limit": one["limit"], "measured": one["value"]}
        rows.append({**told, "unit": unit, "is_kept": one["is_kept"], "by": "validate"})
    return rows + _accuracy_budgets(bundle.manifest)


def _accuracy_budgets(manifest: Manifest) -> list[dict[str, Any]]:
    """Those that the build was judged by."""
    record = manifest.quantization or {}
    asked = {name: limit for name, limit in record.get("budget", {}).items() if limit is not None}
    figures = [Figure(**figure) for figure in record.get("measured", ())]
    rows = []
    for name, _, better in RULES:
        if name not in asked:
            continue
        row = {"budget": name, "limit": asked[name], "measured": None, "unit": "", "is_kept": None, "by": "build"}
        try:
            judged = Limits(**{name: asked[name]}).judge(figures)
        except InputError:
            judged = []
        worst = min(judged, key=lambda one: better * one.figure.value, default=None)
        if worst is not None:
            row |= {"measured": worst.figure.value, "unit": worst.figure.unit, "is_kept": worst.is_kept}
        rows.append(row)
    return rows


def _unknown(bundle: Bundle, findings: Findings) -> dict[str, str]:
    """Why parts are missing."""
    manifest, found = bundle.manifest, findings.measurement
    there = f"edgeort report {shlex.quote(str(bundle.path))} -o report.html --on WHERE measures it there."
    unknown = {}
    if found is None:
        unknown["measurement"] = unknown["latency"] = unknown["memory"] = (
            f"{findings.not_measured.rstrip('.')}. {there}"
        )
    elif not found.is_real:
        unknown["latency"] = (
            f"The bundle ran {found.device}, and an emulator's times say nothing about a {manifest.device}. {there}"
        )
    if found is not None and not found.memory:
        unknown["memory"] = (
            "The harness of this bundle does not tell how memory is laid out. Build the bundle again."
            if manifest.provider == "cpu"
            else f"{manifest.provider} lays out its memory itself, and does not tell how."
        )
    if findings.evaluation is None:
        unknown["evaluation"] = (
            "The bundle was not judged on samples here. edgeort report BUNDLE -o report.html --model MODEL.onnx "
            "--data DIR compares its answers with the float model's."
        )
    if manifest.quantization is None:
        unknown["build accuracy"] = "The build was given no samples and no smaller precision."
    if not manifest.candidates:
        unknown["candidates"] = f"No other provider than {manifest.provider} was tried by the build."
    if not manifest.budgets:
        unknown["budgets"] = f"The profile of {manifest.device} sets no budget of latency, memory or size."
    return unknown


_FILES = ("data", "eval_data", "labels", "characters")  # of a build, that its bundle does not hold


def _reproduce(bundle: Bundle) -> list[dict[str, str]]:
    manifest, place = bundle.manifest, shlex.quote(str(bundle.path))
    asked = manifest.options.get("accuracy", {})
    read = "".join(f" --{name.replace('_', '-')} PATH" for name in _FILES if isinstance(asked.get(name), Mapping))
    again = f"edgeort verify {place} --rebuild MODEL.onnx{read}"
    rows = [
        (f"Build it again with all its options, from MODEL.onnx of SHA-256 {manifest.model_sha256}", again),
        ("Measure it with its own harness", f"edgeort bench {place} --threads {manifest.threads} --profile"),
        ("Check that its outputs are those of the build", f"edgeort validate {place}"),
        ("Make this report", f"edgeort report {place} -o report.html"),
    ]
    if manifest.provider == "cpu" and manifest.harness:
        line = f"{shlex.quote(manifest.harness)} {shlex.quote(manifest.artefact)} --check golden/"
        rows.insert(2, ("Measure it on the device without edgeort, in a copy of the bundle", line))
    return [{"what": what, "command": line} for what, line in rows]
