"""`edgeort sweep`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeort.cli.common import Json, command, print_json, print_table, size

if TYPE_CHECKING:
    from edgeort.sweep import Sweep


@command
def sweep(
    more: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="More models, as a shell expands a pattern.")
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--models", metavar="PATTERN", help=".onnx files; may be repeated.")
    ] = None,
    devices: Annotated[
        list[str] | None,
        typer.Option(
            "--devices",
            metavar="NAME[@WHERE],...",
            help="Profiles; with @WHERE on the device, which with --scheduler a worker declares as a resource.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--settings",
            metavar="FILE.toml|NAME:KEY=VALUE,...",
            help="How to build, measure and judge: int8:precision=int8; may be repeated.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder of the journal, the table and the page.")
    ] = Path("sweep"),
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="tcp://HOST:PORT", help="Run on this Dask cluster.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=256, metavar="N", help="Run in that many processes here.")
    ] = None,
    bundles: Annotated[
        Path | None, typer.Option("--bundles", metavar="FOLDER", help="Keep the bundles in this folder.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Run cells that failed again.")] = False,
    as_json: Json = False,
) -> None:
    """Build, measure and judge every model for every device with all settings; finished cells are not run again."""
    from edgeort import sweep as sweeps
    from edgeort.sweep.watching import watching

    found = sweeps.sweep(
        [*(models or ()), *(more or ())],
        devices or (),
        settings or (),
        out,
        scheduler=scheduler,
        workers=workers,
        bundles=bundles,
        retry=retry,
        watch=watching,
    )
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)
    if found.counts["done"] < len(found.rows):
        raise typer.Exit(1)


def _print(found: Sweep) -> None:
    from edgeort.sweep.figures import place

    rows = [
        (
            row["model"],
            place(row),
            row["settings"],
            row["status"],
            _latency(row),
            "" if row.get("bundle_bytes") is None else size(row["bundle_bytes"]),
            _accuracy(row),
            ", ".join(filter(None, (row.get("provider"), row.get("ran_on")))),
        )
        for row in found.rows
    ]
    headers = ("model", "device", "settings", "", "latency", "bundle", "accuracy", "ran on")
    counts = ", ".join(f"{count} {status}" for status, count in found.counts.items() if count)
    earlier = f", {found.earlier} of them earlier" if found.earlier else ""
    cells = f"{len(found.rows)} cell{'' if len(found.rows) == 1 else 's'}"
    print_table(f"{cells}: {counts}{earlier}", rows, headers)
    if reasons := _reasons(found):
        print_table("not done", reasons, ("cells", "because", "hint"))
    if found.counts["failed"]:
        print("hint: --retry runs failed cells again", file=sys.stderr)
    print(f"table: {found.parquet} and {found.csv}; page: {found.report}", file=sys.stderr)


def _reasons(found: Sweep) -> list[tuple[str, str, str]]:
    """Why cells are not done, each reason once."""
    from edgeort.sweep.figures import place

    cells: dict[tuple[str, str], list[str]] = {}
    for row in found.rows:
        if row["status"] != "done":
            reason = (row["error"], row.get("hint") or "")
            cells.setdefault(reason, []).append(f"{row['model']} {place(row)} {row['settings']}")
    return [
        (names[0] + (f", and {len(names) - 1} more" if names[1:] else ""), *reason) for reason, names in cells.items()
    ]


def _latency(row: dict[str, Any]) -> str:
    from edgeort.report.units import milliseconds

    if row.get("latency_p50_ms") is not None:
        return milliseconds(float(row["latency_p50_ms"]))
    return "" if row.get("predicted_ms") is None else f"{milliseconds(float(row['predicted_ms']))} predicted"


def _accuracy(row: dict[str, Any]) -> str:
    """The first of what is known, from the nearest to the task to the plainest."""
    if row.get("score") is not None:
        return f"{row['score_name']} {float(row['score']):.4g} {row['score_unit']}".rstrip()
    for column, form in _ACCURACIES.items():
        if row.get(column) is not None:
            return form.format(float(row[column]))
    return ""


_ACCURACIES = {
    "agreement": "{:.2%} agree",
    "data_sqnr_db": "SQNR {:.1f} dB",
    "sqnr_db": "SQNR {:.1f} dB",
    "max_difference": "within {:.1e}",
}
