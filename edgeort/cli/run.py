"""`edgeort run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeort.cli.common import Inputs, Json, Threads, command, print_json, print_table, read_inputs
from edgeort.errors import OutputError

if TYPE_CHECKING:
    import numpy as np

SHOWN = 8  # values of an output in the table
LISTED = 1000  # values of an output in JSON, at most


@command
def run(
    model: Annotated[Path, typer.Argument(help="An .onnx file or a bundle.", metavar="BUNDLE|MODEL")],
    inputs: Inputs = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FOLDER", help="Folder for the outputs, output0.npy and so on."),
    ] = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Run a model or a bundle on this machine; without --input on pseudo-random data."""
    from edgeort.bundle import golden
    from edgeort.session import InferenceSession

    feeds = read_inputs(inputs)
    with InferenceSession(model, threads) as session:
        source = "given" if feeds else "pseudo-random"
        values = session.run(None, feeds or golden.make_inputs(session.get_inputs()))
        names = [value.name for value in session.get_outputs()]
    if out is not None:
        _save(out, values)
    found = [_about(name, array) for name, array in zip(names, values, strict=True)]
    if as_json:
        print_json({"model": str(model), "inputs": source, "outputs": found})
        return
    rows = [
        (o["name"], o["dtype"], "x".join(map(str, o["shape"])) or "scalar", _few(array))
        for o, array in zip(found, values, strict=True)
    ]
    print_table(f"{model} on {source} inputs", rows, ("output", "type", "shape", "values"))


def _about(name: str, array: np.ndarray) -> dict[str, Any]:
    dtype = "string" if array.dtype == object else str(array.dtype)
    about = {"name": name, "dtype": dtype, "shape": list(array.shape)}
    return {**about, "values": array.tolist()} if array.size <= LISTED else about


def _few(array: np.ndarray) -> str:
    flat = array.reshape(-1)[:SHOWN]
    shown = (repr(value) if isinstance(value, str) else f"{value:.6g}" for value in flat.tolist())
    return " ".join(shown) + (" ..." if array.size > SHOWN else "")


def _save(folder: Path, values: list[np.ndarray]) -> None:
    from edgeort.bundle import golden

    begun: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for index, array in enumerate(values):
            path = folder / f"output{index}.npy"
            with path.open("wb") as stream:
                begun = path
                stream.write(golden.npy_bytes(array))
            begun = None
    except OSError as error:
        if begun is not None:
            begun.unlink()  # a part of it
        raise OutputError(
            f"{folder} cannot be written: {error.strerror}", hint="name another folder with -o"
        ) from error
