"""`edgeort report`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeort.cli.common import Json, On, Preprocess, Threads, command, read_recipe, size, stages
from edgeort.cli.judging import (
    THRESHOLD,
    Characters,
    Labels,
    MainOutput,
    MaxDrop,
    MinAgreement,
    MinSqnr,
    SampleCount,
    Task,
    Threshold,
    refuse_without_data,
)
from edgeort.errors import DeviceError, InputError

if TYPE_CHECKING:
    from edgeort.bundle import Bundle
    from edgeort.progress import Progress
    from edgeort.recipes.picture import Recipe
    from edgeort.report import Findings


@command
def report(
    bundle: Annotated[Path, typer.Argument(help="A bundle: folder or .zip.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="The page, or JSON where the name ends in .json; default: report.html."
        ),
    ] = None,
    on: On = None,
    results: Annotated[
        list[Path] | None,
        typer.Option(
            "--results",
            metavar="FILE",
            help="Takes these instead of measuring: JSON of bench or validate; may be repeated.",
        ),
    ] = None,
    threads: Threads = None,
    runs: Annotated[int | None, typer.Option("--runs", min=1, metavar="N", help="Timed runs; default 200.")] = None,
    model: Annotated[Path | None, typer.Option("--model", metavar="FILE", help="The float model, for --data.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="PATH", help="Judges the bundle on samples, as validate does.")
    ] = None,
    labels: Labels = None,
    task: Task = None,
    output: MainOutput = None,
    characters: Characters = None,
    samples: SampleCount = None,
    threshold: Threshold = THRESHOLD,
    max_drop: MaxDrop = None,
    min_agreement: MinAgreement = None,
    min_sqnr: MinSqnr = None,
    preprocess: Preprocess = None,
    as_json: Json = False,
) -> None:
    """Write what a bundle is, what it was measured at and how good it is as one page, or as JSON."""
    from edgeort import report as reports
    from edgeort.bundle import open_bundle
    from edgeort.validate import Exam, Limits

    if (data is None) != (model is None):
        raise InputError("answers on samples are compared with the float model's", hint="--data DIR --model MODEL.onnx")
    limits = Limits(max_drop, min_agreement, min_sqnr)
    if data is None:
        about = {"labels": labels, "task": task, "output": output, "characters": characters, "samples": samples}
        refuse_without_data(threshold, preprocess=preprocess, **about, **asdict(limits))
    place = out or (None if as_json else Path("report.html"))
    if place is not None:
        reports.check_writable(place)
    with stages() as progress, open_bundle(bundle) as opened:
        findings = _findings(opened, on, results or [], threads, runs, progress)
        if data is not None and model is not None:
            exam = Exam(data, labels, task, limits, output, characters, samples, threshold)
            findings = _judged(findings, opened, model, exam, on, read_recipe(preprocess), progress)
        document = reports.document(opened, findings)
    if place is not None:
        reports.save(document, place)
    if as_json:
        typer.echo(reports.as_json(document), nl=False)
    elif place is not None:
        typer.echo(f"{place}: report of {bundle}, {size(place.stat().st_size)}")


def _findings(
    bundle: Bundle, on: str | None, results: list[Path], threads: int | None, runs: int | None, progress: Progress
) -> Findings:
    """What was measured earlier or is now; where no device was named and none is here, why not."""
    from edgeort.bench.history import line_of
    from edgeort.devices import open_device
    from edgeort.report import Findings, read_results, take
    from edgeort.report.measuring import RUNS

    earlier = [read_results(path, bundle) for path in results]
    evaluation = next((one.evaluation for one in reversed(earlier) if one.evaluation is not None), None)
    for one in reversed(earlier):
        if one.measurement is not None:
            return Findings(one.measurement, one.line, evaluation=evaluation)
    try:
        opened = open_device(on, bundle.manifest)
    except DeviceError as error:
        if on is not None:
            raise
        return Findings(not_measured=str(error), evaluation=evaluation)
    with opened as device:
        found = take(bundle, device, threads, runs or RUNS, progress)
    return Findings(found, line_of(bundle, found, {}), evaluation=evaluation)


def _judged(
    findings: Findings,
    bundle: Bundle,
    model: Path,
    exam: Any,
    on: str | None,
    recipe: Recipe | None,
    progress: Progress,
) -> Findings:
    from dataclasses import replace

    from edgeort.validate import assess
    from edgeort.validate.choosing import Where

    found = assess(bundle, model, exam, where=Where(on), recipe=recipe, progress=progress)
    return replace(findings, evaluation=found.to_dict())
