"""`edgeort prune`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeort.cli.common import Json, command, print_json, print_table, size, stages
from edgeort.cli.judging import Labels, MaxDrop, MinAgreement, MinSqnr, SampleCount
from edgeort.cli.pictures import NO_PICTURES, Pictures, takes_pictures
from edgeort.errors import InputError

if TYPE_CHECKING:
    from edgeort.quantize.pruning import Result

LEFT_SHOWN = 12  # layers whose channels stay, with the reason


@takes_pictures
@command
def prune(
    model: Annotated[Path, typer.Argument(help="An .onnx file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The .onnx file to write.")],
    data: Annotated[Path, typer.Option("--data", help="Samples: a .npy, a .npz, a folder of them or of pictures.")],
    ratio: Annotated[
        str, typer.Option(help="The share of the multiply-adds that goes, or auto: what the budget allows.")
    ] = "auto",
    multiple: Annotated[
        int, typer.Option(min=1, help="Channels stay in multiples of it; kernels work on 16 at a time.")
    ] = 16,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="NODE", help="A layer that keeps its channels; may be repeated.")
    ] = None,
    labels: Labels = None,
    max_drop: MaxDrop = None,
    min_agreement: MinAgreement = None,
    min_sqnr: MinSqnr = None,
    samples: SampleCount = None,
    shape: Annotated[
        list[str] | None, typer.Option(metavar="NAME=1x3x224x224", help="Shape of an input; may be repeated.")
    ] = None,
    pictures: Pictures = NO_PICTURES,
    as_json: Json = False,
) -> None:
    """Remove channels of a float model, without training, as far as a budget of accuracy allows."""
    from edgeort.model import parse_shapes
    from edgeort.quantize import pruning
    from edgeort.validate.labels import read_labels

    options = pruning.Options(
        ratio=read_ratio("--ratio", ratio),
        multiple=multiple,
        samples=samples,
        exclude=tuple(exclude or ()),
        preprocessing=pictures.preprocessing(),
        budget=pruning.Budget(min_sqnr, min_agreement, max_drop),
        labels=None if labels is None else partial(read_labels, labels),
    )
    with stages() as progress:
        result = pruning.prune(model, out, data, options, shapes=parse_shapes(shape or ()), progress=progress)
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result)


def read_ratio(option: str, text: str) -> float | None:
    """`0.3`; None for `auto`. InputError names the option."""
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{option} {text}: this is no share", hint=f"{option} 0.3, or {option} auto") from None


def _print(result: Result) -> None:
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    score = result.score
    before = result.multiply_adds / 1e6
    rows = [
        ("model", f"{result.output}, {size(result.output_bytes)} (before: {size(result.model_bytes)})"),
        ("multiply-adds", f"{before * (1 - result.ratio):.1f} million ({result.ratio:.1%} fewer than {before:.1f})"),
        ("samples", f"fitted to {result.samples}, judged by {result.judged}"),
    ]
    for d in score.differences:
        rows.append((f"output {d.output}", f"SQNR {d.sqnr_db:.1f} dB, agreement {d.agreement:.2%}, KL {d.kl:.2g}"))
    if score.labelled:
        shares = (f"{100 * right / score.labelled:.2f}" for right in (score.right, score.right_before))
        rows.append(("top-1", " % (before: ".join(shares) + f" %, {score.labelled} labelled)"))
    print_table(str(result.model), [*rows, ("time", f"{result.seconds:.1f} s")])
    lines = [
        (line.layers, str(line.channels), str(line.before)) for line in result.groups if line.channels < line.before
    ]
    if lines:
        print_table("channels", lines, ("layers", "now", "before"))
    if result.left:
        print_table("keep their channels", list(result.left.items())[:LEFT_SHOWN], ("layer", "because"))
