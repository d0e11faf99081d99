"""`edgeort verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeort.cli.common import Json, command, print_json, print_table, stages
from edgeort.errors import CheckError, InputError

PASSES_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@command
def verify(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="A bundle: folder or .zip.")],
    public_key: Annotated[
        Path | None, typer.Option("--public-key", metavar="FILE.pem", help="Who must have signed it.")
    ] = None,
    rebuild: Annotated[
        Path | None,
        typer.Option("--rebuild", metavar="MODEL", help="Build it anew from this model, and compare every byte."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that a bundle is what was built: its hashes, who signed it, that its model gives the same bytes again.

    Options of `edgeort build` that it was built with, but for --device and -o, follow --rebuild MODEL.
    """
    from edgeort.bundle import open_bundle, signing

    if context.args and rebuild is None:
        raise InputError(f"{context.args[0]}: no such option", hint="options of edgeort build follow --rebuild MODEL")
    with open_bundle(bundle) as opened:
        count, signed, differing = len(opened.manifest.files), None, None
        if public_key is not None:
            signed = signing.verify(opened, public_key)
        if rebuild is not None:
            from edgeort.pipeline import rebuilding

            with stages() as progress:
                progress("building anew, with an empty cache")
                differing = rebuilding.differences(opened, rebuild, context.args)
    if as_json:
        key = None if signed is None else signed.public_key.hex()
        print_json({"bundle": str(bundle), "files": count, "public_key": key, "differing": differing})
    else:
        rows = [("files", f"{count}, each with the hash that the manifest has")]
        if signed is not None:
            rows.append(("signed", f"{', '.join(signed.names)} by {signed.public_key.hex()}"))
        if differing is not None:
            rows.append(("rebuilt", "the same bytes in every file" if not differing else ", ".join(differing)))
        print_table(str(bundle), rows)
    if differing:
        files = "1 file differs" if len(differing) == 1 else f"{len(differing)} files differ"
        raise CheckError(
            f"{bundle}: {files} from those of a new build: {', '.join(differing)}",
            hint="the options of that build follow --rebuild MODEL; its versions stand in manifest.json",
        )
