"""`edgeort validate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edgeort.cli.common import Inputs, Json, On, command, print_json, print_table, read_inputs, stages


@command
def validate(
    bundle: Annotated[Path, typer.Argument(help="A bundle: folder or .zip.")],
    model: Annotated[
        Path | None, typer.Option("--model", help="The ONNX model it was built from, to compare with ONNX Runtime.")
    ] = None,
    inputs: Inputs = None,
    on: On = None,
    as_json: Json = False,
) -> None:
    """Check a bundle: golden outputs bit for bit, and with --model the outputs of ONNX Runtime within 1e-4."""
    from edgeort import validate as validation
    from edgeort.bundle import open_bundle
    from edgeort.devices import open_device

    feeds = read_inputs(inputs)
    with stages() as progress, open_bundle(bundle) as opened:
        device = open_device(on, opened.manifest)
        progress(f"checking on {device.name}")
        found = validation.validate(opened, device, model=model, feeds=feeds)
    if as_json:
        print_json({"bundle": str(bundle), **asdict(found)})
        return
    rows = [("golden", f"bit-identical on {found.device}, digest {found.golden}")]
    for result in found.comparisons:
        rows.append((result.output, f"within {result.max_difference:.1e} of ONNX Runtime, relative to its range"))
    if not found.comparisons:
        rows.append(("reference", "not compared: --model MODEL.onnx compares with ONNX Runtime"))
    print_table(str(bundle), rows)
