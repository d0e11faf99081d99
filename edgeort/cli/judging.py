"""The flags that say how a result is judged, shared by the commands that judge; and how the verdict is printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeort.cli.common import print_table, size
from edgeort.errors import InputError

if TYPE_CHECKING:
    from edgeort.quantize import Result
    from edgeort.validate import Evaluation

PANEL = "Accuracy"
THRESHOLD = 0.5
LEFT_SHOWN = 12  # layers that stay float, with the reason
LEDGER_SHOWN = 24

Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="PATH",
        help="A CSV with file,label; a .npy; or folders. For detection a JSON as COCO has it, for embedding a CSV with "
        "first,second,score.",
        rich_help_panel=PANEL,
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="TASK",
        help="classification (with labels the default), multilabel, detection, embedding, ocr or custom (the default).",
        rich_help_panel=PANEL,
    ),
]
MainOutput = Annotated[
    str | None, typer.Option("--output", metavar="NAME", help="The task's output.", rich_help_panel=PANEL)
]
Characters = Annotated[
    Path | None,
    typer.Option("--characters", metavar="FILE", help="Of an OCR model's classes, one a line.", rich_help_panel=PANEL),
]
Threshold = Annotated[
    float,
    typer.Option(
        "--threshold",
        metavar="SCORE",
        help="Score from which a sample has a class, of multilabel; 0 of logits.",
        rich_help_panel=PANEL,
    ),
]
MaxDrop = Annotated[
    float | None,
    typer.Option("--max-drop", metavar="POINTS", help="Points that labelled samples may lose.", rich_help_panel=PANEL),
]
MinAgreement = Annotated[
    float | None,
    typer.Option(
        "--min-agreement", min=0, max=1, metavar="SHARE", help="Least share of equal answers.", rich_help_panel=PANEL
    ),
]
MinSqnr = Annotated[
    float | None,
    typer.Option("--min-sqnr", metavar="DB", help="Least SQNR of the outputs in dB.", rich_help_panel=PANEL),
]
SampleCount = Annotated[
    int | None,
    typer.Option("--samples", min=1, metavar="N", help="Use that many samples, evenly spread.", rich_help_panel=PANEL),
]


def refuse_without_data(threshold: float = THRESHOLD, **options: object) -> None:
    """InputError for the first flag that was given though there are no samples: it would mean nothing."""
    given = {**options, "threshold": None if threshold == THRESHOLD else threshold}
    for name, value in given.items():
        if value is not None and value is not False:
            flag = name.removesuffix("_db").replace("_", "-")
            raise InputError(f"--{flag} needs samples", hint="add --data DIR")


def print_evaluation(found: Evaluation, title: str) -> None:
    """Figures, judgements and the worst inputs on stdout; warnings on stderr."""
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    labelled = f", {found.labelled} labelled" if found.labelled else ""
    rows = [
        ("ran on", found.where),
        *((("because", found.basis),) if found.basis else ()),
        ("task", f"{found.task}, output {found.output}"),
        ("samples", f"{found.samples}{labelled}, {found.seconds:.1f} s"),
        *((figure.name, figure.text()) for figure in found.figures),
        *(("budget", judgement.text()) for judgement in found.judgements),
    ]
    print_table(title, rows)
    if found.worst:
        print_table(
            "farthest from the float model", [(worst.name, worst.note) for worst in found.worst], ("input", "answers")
        )


def print_ledger(found: Result) -> None:
    """What the budget's search promoted, and why layers stay float."""
    if found.ledger:
        lines = [
            ("yes" if e.promoted else "no", e.layer, e.to, f"{e.alone_db:.1f} dB", size(e.added_bytes), _ms(e.added_ms))
            for e in found.ledger
        ]
        print_table("the budget's ledger", lines[:LEDGER_SHOWN], _LEDGER)
    if found.left:
        print_table("stay float", list(found.left.items())[:LEFT_SHOWN], ("layer", "because"))


def _ms(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:.3f} ms"


_LEDGER = ("taken", "layer", "to", "alone in int8", "adds", "takes")
