"""`edgeort quantize`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeort.cli.common import Json, Preprocess, Shape, command, print_json, print_table, read_recipe, size, stages
from edgeort.cli.judging import print_ledger
from edgeort.errors import InputError

if TYPE_CHECKING:
    from edgeort.quantize import Difference, Form, Result
    from edgeort.quantize.weighing import ChannelScales


@command
def quantize(
    model: Annotated[Path, typer.Argument(help="An .onnx file.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The .onnx file to write.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="PATH", help="Samples: a .npy, a .npz, a folder of them or of pictures."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help="How ranges are found: mse or quartic; auto: what is better; minmax, percentile or entropy.",
        ),
    ] = "auto",
    ranges: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Ranges of an earlier run, instead of finding them.")
    ] = None,
    save_ranges: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the ranges to this file.")] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Use that many samples, evenly spread.")
    ] = None,
    gptq: Annotated[bool, typer.Option(help="Round weights so that their errors cancel.")] = True,
    bias_correction: Annotated[bool, typer.Option(help="Correct biases behind the activations.")] = True,
    compensation: Annotated[
        bool, typer.Option(help="Move weights so that layers make up for errors before them.")
    ] = True,
    smoothing: Annotated[
        bool, typer.Option(help="Even out the channels that are quantised as the model runs (SmoothQuant).")
    ] = True,
    equalisation: Annotated[
        bool, typer.Option(help="Even out channels before and across convolutions, where that lowers the noise.")
    ] = True,
    activations: Annotated[
        str,
        typer.Option(
            metavar="KIND", help="auto: what fits a layer; static; dynamic: rows as it runs; float: int8 weights alone."
        ),
    ] = "auto",
    weights: Annotated[
        str,
        typer.Option(
            metavar="TYPE", help="int8; int4: in blocks, float or dynamic activations; float16: storage alone."
        ),
    ] = "int8",
    block: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many int4 weights share a scale: 16, 32 (if not given), 64, 128 or 256."),
    ] = None,
    runtime: Annotated[
        str,
        typer.Option(
            "--for", metavar="RUNTIME", help="onnx: any runtime; edgeort: its own, which takes scales for channels."
        ),
    ] = "onnx",
    inline: Annotated[
        bool, typer.Option(help="Write functions out as operators, for runtimes without them, as OpenVINO.")
    ] = False,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="NODE", help="A node that stays float; may be repeated.")
    ] = None,
    min_sqnr: Annotated[
        float | None, typer.Option(metavar="DB", help="Promote as few layers as this SQNR in dB needs.")
    ] = None,
    min_agreement: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="SHARE", help="Promote as few layers as this share of equal answers needs."),
    ] = None,
    shape: Shape = None,
    preprocess: Preprocess = None,
    as_json: Json = False,
) -> None:
    """Make an int8 model (QuantizeLinear/DequantizeLinear) from a float one and samples, or store weights smaller."""
    from edgeort import quantize as quantizer
    from edgeort.model import parse_shapes

    options = quantizer.Options(
        method=method,
        ranges=ranges,
        save_ranges=save_ranges,
        samples=samples,
        steps=quantizer.Steps(gptq, bias_correction, compensation, smoothing, equalisation),
        exclude=tuple(exclude or ()),
        activations=_form(activations),
        weights=weights,
        block=block,
        runtime=runtime,
        inline=inline,
        recipe=read_recipe(preprocess),
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
        ("layers", _layers(result)),
        ("samples", f"{result.samples}; {settled}" if result.samples else "none"),
        *([("ranges", f"by {result.method}")] if result.tensors and result.method else []),
        *([("channels", _scales(result.scales))] if result.scales is not None else []),
        *((f"output {d.output}", _difference(d, result.judged_apart)) for d in result.differences),
        ("time", f"{result.seconds:.1f} s"),
    ]
    print_table(str(result.model), rows)
    print_ledger(result)


def _layers(result: Result) -> str:
    """`50 layer(s) (49 static, 1 dynamic), 60 tensor(s), 2 table(s)`."""
    listed = ", ".join(f"{count} {form}" for form, count in result.forms.items())
    forms = f" ({listed})" if listed else ""
    tensors = f", {result.tensors} tensor(s)" if result.tensors else ""
    tables = f", {result.tables} table(s)" if result.tables else ""
    dynamic = f" ({result.recurrent_dynamic} dynamic)" if result.recurrent_dynamic else ""
    recurrent = f", weights of {result.recurrent} recurrent node(s){dynamic}" if result.recurrent else ""
    pairs = f", {result.equalised} pair(s) equalised" if result.equalised else ""
    evened = f", {result.evened} tensor(s) evened out" if result.evened else ""
    return f"{result.layers} layer(s){forms}{tensors}{tables}{recurrent}{pairs}{evened}"


def _scales(scales: ChannelScales) -> str:
    if scales.used:
        return f"those of {scales.tensors} tensor(s) have their own scales: {scales.text}"
    return f"no scales of their own, which would leave more noise in {scales.tensors} tensor(s): {scales.text}"


def _form(text: str) -> Form | None:
    from edgeort.quantize.forms import ACTIVATIONS, Form

    if text != "auto" and text not in ACTIVATIONS:
        raise InputError(f"--activations {text}: unknown", hint=f"one of auto, {', '.join(ACTIVATIONS)}")
    return None if text == "auto" else Form(text)


def _difference(found: Difference, apart: int) -> str:
    where = f"{apart} samples that had no part in it" if apart else "the samples that it was fitted to"
    rows = f"agreement {found.agreement:.2%}, KL {found.kl:.2g}, on {where}"
    return f"SQNR {found.sqnr_db:.1f} dB, {rows}"
