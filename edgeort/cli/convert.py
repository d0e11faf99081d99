"""`edgeort convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeort.cli.common import Json, command, print_json, print_table, size, stages

if TYPE_CHECKING:
    from edgeort.converters import Result


@command
def convert(
    source: Annotated[
        str,
        typer.Argument(help="net.pt2, net.py:NAME, a SavedModel folder, net.keras, net.h5 or net.tflite."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The .onnx file to write.")],
    shape: Annotated[
        list[str] | None,
        typer.Option("--shape", metavar="NAME=nx3x224x224", help="Shape of an input, names are free; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Convert a PyTorch, TensorFlow, Keras or LiteRT model to ONNX, and check that its answers are the same."""
    from edgeort.converters import convert
    from edgeort.model import parse_shapes

    with stages() as progress:
        result = convert(source, out, shapes=parse_shapes(shape or ()), progress=progress)
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result)


def _print(result: Result) -> None:
    rows = [("model", f"{result.output}, {size(result.output_bytes)}")]
    for sizes in result.checked:
        rows.append(("checked", ", ".join(f"{name} {dims}" for name, dims in sizes.items())))
    for one in result.comparisons:
        far = f"within {one.max_difference:.1e} of its range" if one.sqnr_db is None else f"SQNR {one.sqnr_db:.1f} dB"
        rows.append((f"output {one.output}", f"{far} of {result.framework}"))
    print_table(result.source, [*rows, ("time", f"{result.seconds:.1f} s")])
