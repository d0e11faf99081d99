"""`edgeort quantize`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeort.cli.common import Json, command, print_json, print_table, size, stages
from edgeort.errors import InputError

if TYPE_CHECKING:
    from edgeort.quantize import Difference, Form, Preprocessing, Result

LEFT_SHOWN = 12  # layers that stay float, with the reason
LEDGER_SHOWN = 24
PICTURES = "Pictures"


@command
def quantize(
    model: Annotated[Path, typer.Argument(help="An .onnx file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The .onnx file to write.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="Samples: a .npy, a .npz, a folder of them or of pictures.")
    ] = None,
    method: Annotated[str, typer.Option(help="How ranges are found: mse, minmax, percentile or entropy.")] = "mse",
    ranges: Annotated[Path | None, typer.Option(help="Ranges of an earlier run, instead of finding them.")] = None,
    save_ranges: Annotated[Path | None, typer.Option(help="Write the ranges to this file.")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Use that many samples, evenly spread.")] = None,
    gptq: Annotated[bool, typer.Option(help="Round weights so that their errors cancel.")] = True,
    bias_correction: Annotated[bool, typer.Option(help="Correct biases behind the activations.")] = True,
    compensation: Annotated[
        bool, typer.Option(help="Move weights so that layers make up for errors before them.")
    ] = True,
    smoothing: Annotated[
        bool, typer.Option(help="Even out the channels that are quantised as the model runs (SmoothQuant).")
    ] = True,
    activations: Annotated[
        str,
        typer.Option(help="auto: what fits a layer; static; dynamic: rows as it runs; float: int8 weights alone."),
    ] = "auto",
    runtime: Annotated[
        str, typer.Option("--for", help="onnx: any runtime; edgeort: its own, which takes scales for channels.")
    ] = "onnx",
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="NODE", help="A node that stays float; may be repeated.")
    ] = None,
    min_sqnr: Annotated[float | None, typer.Option(help="Promote as few layers as this SQNR in dB needs.")] = None,
    min_agreement: Annotated[
        float | None, typer.Option(min=0, max=1, help="Likewise, for the share of equal answers.")
    ] = None,
    shape: Annotated[
        list[str] | None, typer.Option(metavar="NAME=1x3x224x224", help="Shape of an input; may be repeated.")
    ] = None,
    picture_size: Annotated[
        str | None,
        typer.Option("--size", metavar="HxW", help="Size, where the model's is free.", rich_help_panel=PICTURES),
    ] = None,
    short_side: Annotated[
        int | None, typer.Option(min=1, help="Short side before the crop.", rich_help_panel=PICTURES)
    ] = None,
    crop: Annotated[str, typer.Option(help="center, or none: squeeze.", rich_help_panel=PICTURES)] = "center",
    interpolation: Annotated[str, typer.Option(help="bilinear or bicubic.", rich_help_panel=PICTURES)] = "bilinear",
    scale: Annotated[
        str, typer.Option(help="Of pixels, before mean and std: a number or 1/255.", rich_help_panel=PICTURES)
    ] = "1/255",
    mean: Annotated[
        str, typer.Option(help="One number, or one a channel.", rich_help_panel=PICTURES)
    ] = "0.485,0.456,0.406",
    std: Annotated[str, typer.Option(help="Likewise.", rich_help_panel=PICTURES)] = "0.229,0.224,0.225",
    color: Annotated[str, typer.Option(help="rgb or bgr.", rich_help_panel=PICTURES)] = "rgb",
    as_json: Json = False,
) -> None:
    """Make an int8 model (QuantizeLinear/DequantizeLinear) from a float one and samples."""
    from edgeort import quantize as quantizer
    from edgeort.model import parse_shapes

    how = _preprocessing(picture_size, short_side, crop, interpolation, scale, mean, std, color)
    options = quantizer.Options(
        method=method,
        ranges=ranges,
        save_ranges=save_ranges,
        samples=samples,
        steps=quantizer.Steps(gptq, bias_correction, compensation, smoothing),
        exclude=tuple(exclude or ()),
        activations=_form(activations),
        runtime=runtime,
        preprocessing=how,
        budget=quantizer.Budget(min_sqnr, min_agreement),
    )
    with stages() as progress:
        result = quantizer.quantize(
            model, out, data, options, shapes=parse_shapes(shape or ()), progress=progress, tell=_tell
        )
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result)


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _print(result: Result) -> None:
    if result.was_quantised:
        typer.echo(f"{result.model} is quantised already; it is left as it is and nothing was written")
        return
    for warning in result.warnings:
        _tell(f"warning: {warning}")
    shrunk = f"{size(result.output_bytes)} (float: {size(result.model_bytes)})"
    settled = "more may help" if result.settled_at is None else f"ranges settled at {result.settled_at}"
    rows = [
        ("model", f"{result.output}, {shrunk}"),
        ("int8", _int8(result)),
        ("samples", f"{result.samples}; {settled}" if result.samples else "none: ranges from the file"),
        *((f"output {d.output}", _difference(d)) for d in result.differences),
        ("time", f"{result.seconds:.1f} s"),
    ]
    print_table(str(result.model), rows)
    if result.ledger:
        lines = [
            ("yes" if e.promoted else "no", e.layer, e.to, f"{e.alone_db:.1f} dB", size(e.added_bytes))
            for e in result.ledger
        ]
        print_table("the budget's ledger", lines[:LEDGER_SHOWN], ("taken", "layer", "to", "alone in int8", "adds"))
    if result.left:
        print_table("stay float", list(result.left.items())[:LEFT_SHOWN], ("layer", "because"))


def _int8(result: Result) -> str:
    """`50 layer(s) (49 static, 1 dynamic), 60 tensor(s), 2 table(s)`."""
    forms = ", ".join(f"{count} {form}" for form, count in result.forms.items())
    tables = f", {result.tables} table(s)" if result.tables else ""
    return f"{result.layers} layer(s) ({forms}), {result.tensors} tensor(s){tables}"


def _form(text: str) -> Form | None:
    from edgeort.quantize import Form

    if text != "auto" and text not in list(Form):
        raise InputError(f"--activations {text}: unknown", hint=f"one of auto, {', '.join(Form)}")
    return None if text == "auto" else Form(text)


def _difference(found: Difference) -> str:
    rows = f"agreement {found.agreement:.2%}, KL {found.kl:.2g}, on the samples given"
    return f"SQNR {found.sqnr_db:.1f} dB, {rows}"


def _preprocessing(
    picture_size: str | None,
    short_side: int | None,
    crop: str,
    interpolation: str,
    scale: str,
    mean: str,
    std: str,
    color: str,
) -> Preprocessing:
    from edgeort.quantize import Preprocessing

    dims = None if picture_size is None else [int(x) for x in picture_size.split("x") if x.isdigit()]
    if dims is not None and (len(dims) != 2 or min(dims) < 1):
        raise InputError(f"--size {picture_size}: this is not HxW", hint="--size 224x224")
    numbers = {name: _numbers(f"--{name}", text) for name, text in (("scale", scale), ("mean", mean), ("std", std))}
    return Preprocessing(
        size=None if dims is None else (dims[0], dims[1]),
        short_side=short_side,
        crop=_one_of("--crop", crop, ("center", "none")),  # type: ignore[arg-type]
        interpolation=_one_of("--interpolation", interpolation, ("bilinear", "bicubic")),  # type: ignore[arg-type]
        scale=numbers["scale"][0],
        mean=numbers["mean"],
        std=numbers["std"],
        color=_one_of("--color", color, ("rgb", "bgr")),  # type: ignore[arg-type]
    )


def _one_of(option: str, text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        raise InputError(f"{option} {text}: unknown", hint=f"{option} is one of {', '.join(allowed)}")
    return text


def _numbers(option: str, text: str) -> tuple[float, ...]:
    """`0.5`, `1/255` or `123.7,116.3,103.5`."""
    found = []
    for part in text.split(","):
        above, slash, below = part.partition("/")
        try:
            found.append(float(above) / (float(below) if slash else 1.0))
        except (ValueError, ZeroDivisionError):
            raise InputError(f"{option} {text}: this is no number", hint=f"{option} 0.5, 1/255 or 1,2,3") from None
    return tuple(found)
