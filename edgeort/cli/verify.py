"""`edgeort verify`."""

from __future__ import annotations

from collections.abc import Sequence
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

    It is built with the options that stand in it. Files that its build read follow --rebuild MODEL as they did then:
    --data DIR, --eval-data DIR, --labels FILE, ...; they must hold what they held.
    """
    from edgeort.bundle import open_bundle, signing

    if context.args and rebuild is None:
        raise InputError(f"{context.args[0]}: no such option", hint="files of the build follow --rebuild MODEL")
    given = _files(context.args)
    with open_bundle(bundle) as opened:
        count, signed, differing = len(opened.manifest.files), None, None
        if public_key is not None:
            signed = signing.verify(opened, public_key)
        if rebuild is not None:
            from edgeort.pipeline import rebuilding

            with stages() as progress:
                progress("building anew, with an empty cache")
                differing = rebuilding.differences(opened, rebuild, given)
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
            hint="the versions that it was built with stand in manifest.json",
        )


def _files(arguments: Sequence[str]) -> dict[str, Path]:
    """`--NAME PATH ...` or `--NAME=PATH`: the files that a build read, by name. InputError for anything else."""
    words = [word for one in arguments for word in (one.split("=", 1) if one.startswith("--") else [one])]
    names, paths = words[::2], words[1::2]
    for name in names:
        if not name.startswith("--") or len(paths) < len(names):
            raise InputError(
                f"{name}: this is not --NAME PATH", hint="edgeort verify BUNDLE --rebuild MODEL --data DIR"
            )
    return {name.removeprefix("--"): Path(path) for name, path in zip(names, paths, strict=True)}
