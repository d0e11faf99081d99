"""Accuracy: how the model was made smaller, within which budget, and what that cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgeort.report.document import Document
from edgeort.report.markup import Markup, code, join, tag
from edgeort.report.page import Cell, Column, chip, details, facts, known, table, unknown
from edgeort.report.units import NOT_KNOWN, count, milliseconds, number, size

_SHOWN = 12
_LIMITS = {"max_drop": "--max-drop", "min_agreement": "--min-agreement", "min_sqnr_db": "--min-sqnr"}

Rows = Sequence[Mapping[str, Any]]


def accuracy(document: Document) -> Markup:
    """What the build did and measured, and what `validate` found."""
    build, evaluation = document["accuracy"]["build"], document["accuracy"]["evaluation"]
    unknowns = document["unknown"]
    return join(
        tag("h3", "When it was built"),
        tag("p", unknowns["build accuracy"]) if build is None else _build(build),
        tag("h3", "On samples"),
        unknown(unknowns["evaluation"]) if evaluation is None else _evaluation(evaluation),
    )


def _build(build: Mapping[str, Any]) -> Markup:
    budget = ", ".join(
        f"{_LIMITS.get(name, name)} {limit:g}" for name, limit in build["budget"].items() if limit is not None
    )
    rows: list[tuple[str, object]] = [("precision", build["precision"]), ("budget", budget or "none was set")]
    for key, term in (
        ("method", "method"),
        ("form", "form"),
        ("samples", "calibrated on"),
        ("judged_on", "judged on"),
        ("task", "task"),
    ):
        if build.get(key) is not None:
            rows.append((term, f"{build[key]} samples" if key == "samples" else str(build[key])))
    known = {
        "precision",
        "budget",
        "method",
        "form",
        "channel_scales",
        "samples",
        "judged_on",
        "judged_samples",
        "task",
        "measured",
        "stay_float",
        "ledger",
    }
    rows += [
        (name.replace("_", " "), f"{value:g}")
        for name, value in build.items()
        if name not in known and isinstance(value, (int, float))
    ]
    measured = build.get("measured")
    judged = count(build.get("judged_samples", 0), "sample")
    figures = (
        _figures(f"What the bundle's answers are worth, on {judged}", measured) if measured else unknown(_NOT_JUDGED)
    )
    return join(facts(rows), figures, _ledger(build.get("ledger") or ()), _float(build.get("stay_float") or {}))


_NOT_JUDGED = "The build had no samples to judge by: edgeort build --eval-data DIR"


# What the figures of the metrics are; those of the float model itself end in `_float`.
_MEANINGS = {
    "agreement": "share of the answers that are the float model's",
    "ap": "average precision of the boxes",
    "cer": "characters that are wrong",
    "cosine": "cosine of the angle to the float model's answer, mean",
    "cosine_min": "the same, of the farthest sample",
    "drop": "what is lost against the float model",
    "edit_distance": "edits between both models' texts",
    "exact": "texts that are right",
    "f1_macro": "F1, the mean of the classes",
    "f1_micro": "F1 of all decisions",
    "iou": "overlap of the boxes of both models",
    "kl": "divergence from the float model's answers, mean",
    "pearson": "correlation with the scores",
    "spearman": "correlation of the ranks with the scores'",
    "sqnr_db": "signal to noise of the outputs",
    "top1": "right answers",
    "top5": "right answers among the first five",
    "wer": "words that are wrong",
}


def _meaning(name: str, note: str) -> str:
    base, float_model, _ = name.partition("_float")
    meaning = _MEANINGS.get(base, "as edgeort validate has it")
    return "; ".join(filter(None, (meaning + (", of the float model" if float_model else ""), note)))


def _figures(caption: str, figures: Rows) -> Markup:
    columns = (Column("Figure"), Column("Value", True), Column("Standard error", True), Column("Meaning"))
    rows = []
    for one in figures:
        unit, error = one["unit"], one["standard_error"]
        rows.append(
            (
                one["name"],
                Cell(f"{_value(one['value'])} {unit}".rstrip(), _sortable(one["value"])),
                Cell(NOT_KNOWN if error is None else f"± {number(error, 2)} {unit}".rstrip(), error),
                _meaning(one["name"], one["note"]),
            )
        )
    return table(caption, columns, rows)


def _value(value: object) -> str:
    return number(value, 4) if isinstance(value, (int, float)) else str(value)


def _sortable(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _ledger(entries: Rows) -> Markup | None:
    """What the search for the budget weighed."""
    if not entries:
        return None
    columns = (
        Column("Layer"),
        Column("Promoted"),
        Column("To"),
        Column("SQNR with it alone in int8", True),
        Column("Adds", True),
        Column("Takes", True),
    )
    rows = [
        (
            code(one["layer"]),
            chip("✓ yes", "good") if one["promoted"] else "no",
            one["to"],
            Cell(f"{_value(one['alone_db'])} dB", _sortable(one["alone_db"])),
            known(one["added_bytes"], size),
            known(one["added_ms"], lambda ms: f"{milliseconds(ms)} (estimated)"),
        )
        for one in entries
    ]
    promoted = sum(bool(one["promoted"]) for one in entries)
    said = tag("p", f"The budget's search weighed {count(len(entries), 'layer')} and promoted {promoted}.")
    return join(tag("h3", "The ledger"), said, _folded("The budget's ledger", columns, rows, "row"))


def _float(left: Mapping[str, str]) -> Markup | None:
    if not left:
        return None
    rows = [(code(name), why) for name, why in left.items()]
    return join(
        tag("h3", "What stays float"),
        _folded("Layers that stay float", (Column("Layer"), Column("Because")), rows, "layer"),
    )


def _folded(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[object]], what: str) -> Markup:
    if len(rows) <= _SHOWN:
        return table(caption, columns, rows)
    return details(f"{caption}: all {count(len(rows), what)}", table(caption, columns, rows, sortable=True))


def _evaluation(found: Mapping[str, Any]) -> Markup:
    labelled = f", {found['labelled']} of them labelled" if found["labelled"] else ""
    rows = [
        ("ran on", found["where"]),
        ("task", f"{found['task']}, output {found['output']}"),
        ("samples", f"{found['samples']}{labelled}"),
    ]
    if found.get("basis"):
        rows.append(("holds because", found["basis"]))
    warnings = [tag("p", text, class_="caution") for text in found["warnings"]]
    worst = [
        (code(one["name"]), Cell(_value(one["loss"]), _sortable(one["loss"])), one["note"]) for one in found["worst"]
    ]
    columns = (Column("Input"), Column("Distance", True), Column("Answers"))
    far = table("Inputs that it answers farthest from the float model", columns, worst) if worst else None
    return join(facts(rows), warnings, _figures("Against the float model", found["figures"]), far)
