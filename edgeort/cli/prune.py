"""`edgeort prune`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeort.cli.common import Json, Preprocess, Shape, command, print_json, print_table, read_recipe, size, stages
from edgeort.cli.judging import Labels, MaxDrop, MinAgreement, MinSqnr, SampleCount
from edgeort.errors import InputError

if TYPE_CHECKING:
    from edgeort.quantize import pruning, sparsity
    from edgeort.quantize.pruning import Score

LEFT_SHOWN = 12  # layers that stay as they are, with the reason


@command
def prune(
    model: Annotated[Path, typer.Argument(help="An .onnx file.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The .onnx file to write.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="PATH", help="Samples: a .npy, a .npz, a folder of them or of pictures."),
    ] = None,
    ratio: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|auto",
            help="Remove channels: the share of the multiply-adds that goes, or auto: what the budget allows.",
        ),
    ] = None,
    sparsity: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|N:M|auto",
            help="Zero weights instead: their share (0.7), N:M (2:4: 2 of every 4 stay), or auto.",
        ),
    ] = None,
    multiple: Annotated[
        int, typer.Option(min=1, metavar="N", help="Channels stay in multiples of it; kernels work on 16 at a time.")
    ] = 16,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="NODE", help="A layer that stays whole; may be repeated.")
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="A first, last or small layer that --sparsity takes, too; may be repeated."),
    ] = None,
    labels: Labels = None,
    max_drop: MaxDrop = None,
    min_agreement: MinAgreement = None,
    min_sqnr: MinSqnr = None,
    samples: SampleCount = None,
    shape: Shape = None,
    preprocess: Preprocess = None,
    as_json: Json = False,
) -> None:
    """Remove channels of a float model, or set weights to zero, without training, as far as a budget allows."""
    from edgeort.model import parse_shapes
    from edgeort.quantize import pruning
    from edgeort.quantize import sparsity as sparse
    from edgeort.validate.labels import read_classes

    if ratio is not None and sparsity is not None:
        raise InputError(
            "--ratio and --sparsity are two steps", hint="prune with --ratio, and its result with --sparsity"
        )
    reads: dict[str, Any] = {
        "samples": samples,
        "recipe": read_recipe(preprocess),
        "budget": pruning.Budget(min_sqnr, min_agreement, max_drop),
        "labels": None if labels is None else partial(read_classes, labels),
        "exclude": tuple(exclude or ()),
    }
    how: dict[str, Any] = {"shapes": parse_shapes(shape or ())}
    result: pruning.Result | sparse.Result
    with stages() as progress:
        if sparsity is not None:
            pattern = sparse.parse_pattern("--sparsity", sparsity)
            options = sparse.Options(pattern=pattern, include=tuple(include or ()), **reads)
            result = sparse.sparsify(model, out, data, options, progress=progress, **how)
        else:
            if data is None:
                raise InputError("channels are chosen on samples, and there are none", hint="add --data DIR")
            chosen = pruning.Options(ratio=read_ratio("--ratio", ratio or "auto"), multiple=multiple, **reads)
            result = pruning.prune(model, out, data, chosen, progress=progress, **how)
    if as_json:
        print_json(result.to_dict())
    else:
        for warning in result.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        if isinstance(result, pruning.Result):
            _print_channels(result)
        else:
            _print_zeros(result)


def read_ratio(option: str, text: str) -> float | None:
    """`0.3`; None for `auto`. InputError names the option."""
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{option} {text}: this is no share", hint=f"{option} 0.3, or {option} auto") from None


def _print_channels(result: pruning.Result) -> None:
    before = result.multiply_adds / 1e6
    rows = [
        ("model", f"{result.output}, {size(result.output_bytes)} (before: {size(result.model_bytes)})"),
        ("multiply-adds", f"{before * (1 - result.ratio):.1f} million ({result.ratio:.1%} fewer than {before:.1f})"),
        ("samples", f"fitted to {result.samples}, judged by {result.judged}"),
        *_scores(result.score),
    ]
    print_table(str(result.model), [*rows, ("time", f"{result.seconds:.1f} s")])
    lines = [
        (line.layers, str(line.channels), str(line.before)) for line in result.groups if line.channels < line.before
    ]
    if lines:
        print_table("channels", lines, ("layers", "now", "before"))
    if result.left:
        print_table("keep their channels", list(result.left.items())[:LEFT_SHOWN], ("layer", "because"))


def _print_zeros(result: sparsity.Result) -> None:
    weights, zeros = (sum(getattr(line, name) for line in result.layers) for name in ("weights", "zeros"))
    rows = [("model", result.output), ("zeros", f"{result.sparsity:.1%} of {weights:,} weights: {zeros:,}")]
    if result.score is not None:
        rows += [("samples", f"fitted to {result.samples}, judged by {result.judged}"), *_scores(result.score)]
    print_table(str(result.model), [*rows, ("time", f"{result.seconds:.1f} s")])
    lines = [(line.layer, f"{line.zeros / line.weights:.1%}", f"{line.weights:,}") for line in result.layers]
    print_table("zeros", lines, ("layer", "share", "of weights"))
    if result.left:
        print_table("keep their weights", list(result.left.items())[:LEFT_SHOWN], ("layer", "because"))


def _scores(score: Score) -> list[tuple[str, str]]:
    rows = []
    for d in score.differences:
        rows.append((f"output {d.output}", f"SQNR {d.sqnr_db:.1f} dB, agreement {d.agreement:.2%}, KL {d.kl:.2g}"))
    if score.labelled:
        shares = (f"{100 * right / score.labelled:.2f}" for right in (score.right, score.right_before))
        rows.append(("top-1", " % (before: ".join(shares) + f" %, {score.labelled} labelled)"))
    return rows
