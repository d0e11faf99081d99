"""What becomes a row's columns: of a build, a measurement, an evaluation."""

from __future__ import annotations

import json
from typing import Any

from edgeort.bench import Measurement
from edgeort.pipeline import BuildResult
from edgeort.plain import finite
from edgeort.validate import Evaluation

DONE, FAILED, NOT_RUN = "done", "failed", "not run"  # what stands in the column status

Row = dict[str, Any]

# What labels say of answers, a task's own first, and its name for people.
SCORES = {
    "top1": "Top-1 accuracy",
    "ap": "Average precision",
    "exact": "Lines read right",
    "spearman": "Spearman's correlation",
    "f1_micro": "Micro F1",
    "f1_macro": "Macro F1",
}


def of_build(built: BuildResult) -> Row:
    """What was made, and how far its answers are from ONNX Runtime's."""
    chosen = next((one for one in built.candidates if one.chosen), None)
    noises = [one.sqnr_db for one in built.comparisons if one.sqnr_db is not None]
    row: Row = {
        "provider": built.provider,
        "bundle_bytes": built.bundle_bytes,
        "library_bytes": built.library_bytes,
        "model_bytes": built.model_bytes,
        "arena_bytes": built.arena_bytes or None,
        "nodes": built.nodes,
        "int8_nodes": built.precisions.get("int8", 0),
        "predicted_ms": (chosen.latency_ms or None) if chosen is not None and chosen.predicted else None,
        "max_difference": None if noises or not built.comparisons else built.max_difference,
        "sqnr_db": min(noises, default=None),
        "build_seconds": round(sum(built.seconds.values()), 3),
    }
    return row if built.evaluation is None else {**row, **of_evaluation(built.evaluation)}


def of_evaluation(found: Evaluation) -> Row:
    """What data say of the answers."""
    values = {figure.name: figure.value for figure in found.figures}
    row: Row = {"task": found.task, "samples": found.samples, "judged_on": found.where}
    row["figures"] = json.dumps(finite(values), sort_keys=True)
    row |= {column: values.get(name) for name, column in _FIGURES.items()}
    if name := next((name for name in SCORES if name in values), None):
        unit = next(figure.unit for figure in found.figures if figure.name == name)
        row |= {
            "score_name": name,
            "score_unit": unit,
            "score": values[name],
            "score_float": values.get(f"{name}_float"),
        }
    return row


# Figure of a metric -> column.
_FIGURES = {"drop": "drop_points", "agreement": "agreement", "sqnr_db": "data_sqnr_db", "cosine": "cosine"}


def of_measurement(found: Measurement) -> Row:
    """What a device says, of times and memory only a real one."""
    row: Row = {
        "ran_on": found.device,
        "is_real": found.is_real,
        "isa": found.isa,
        "threads": found.threads,
        "digest": found.digest,
        "golden": found.check,
        "arena_bytes": found.arena_bytes,
    }
    if not found.is_real:  # times and memory are those of the emulator
        return row
    latency = {f"latency_{name}_ms": found.latency_ms.get(name) for name in _LATENCIES}
    times = {"load_ms": found.load_ms, "first_run_ms": found.first_run_ms, "peak_rss_bytes": found.peak_rss_bytes}
    return {**row, **latency, **times, "runs": found.latency_ms.get("runs")}


_LATENCIES = ("p50", "p90", "p99", "min", "mean", "low", "high")
