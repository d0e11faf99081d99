"""`edgeort verify`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeort.cli.common import Json, command, print_json, print_table, stages
from edgeort.errors import CheckError, InputError

if TYPE_CHECKING:
    from edgeort.bundle import Bundle
    from edgeort.recipes.diagnosis import Diagnosis

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
    input_tensor: Annotated[
        Path | None,
        typer.Option(
            "--input-tensor",
            metavar="FILE",
            help="What an app makes of the golden picture (.npy or plain numbers): which step differs from the recipe.",
        ),
    ] = None,
    golden_picture: Annotated[
        Path | None, typer.Option("--golden-picture", metavar="FILE.png", help="Write the golden picture there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that a bundle is what was built: its hashes, who signed it, that its model gives the same bytes again.

    It is built with the options that stand in it. Files that its build read follow --rebuild MODEL as they did then:
    --data DIR, --eval-data DIR, --labels FILE, ...; they must hold what they held.
    """
    from edgeort.bundle import golden_picture as pictures
    from edgeort.bundle import open_bundle, signing
    from edgeort.bundle.manifest import NAME
    from edgeort.bundle.reading import SIGNATURE

    if context.args and rebuild is None:
        raise InputError(f"{context.args[0]}: no such option", hint="files of the build follow --rebuild MODEL")
    given = _files(context.args)
    with open_bundle(bundle) as opened:
        count, signed, differing = len(opened.manifest.files), None, None
        is_signed = (opened.folder / f"{NAME}{SIGNATURE}").exists()
        if public_key is not None:
            signed = signing.verify(opened, public_key)
        if golden_picture is not None:
            pictures.save(*pictures.of_bundle(opened), golden_picture)
        found = None if input_tensor is None else _diagnosis(opened, input_tensor)
        if rebuild is not None:
            from edgeort.pipeline import rebuilding

            with stages() as progress:
                progress("building anew, with an empty cache")
                differing = rebuilding.differences(opened, rebuild, given, progress)
    if as_json:
        key = None if signed is None else signed.public_key.hex()
        about = None if found is None else {**asdict(found), "is_same": found.is_same}
        print_json(
            {"bundle": str(bundle), "files": count, "public_key": key, "differing": differing, "input_tensor": about}
        )
    else:
        rows = [("files", f"{count}, each with the hash that the manifest has")]
        if signed is not None:
            rows.append(("signed", f"{', '.join(signed.names)} by {signed.public_key.hex()}"))
        elif is_signed:
            rows.append(("signed", "by whom was not checked: --public-key FILE.pem"))
        if differing is not None:
            rows.append(("rebuilt", "the same bytes in every file" if not differing else ", ".join(differing)))
        if golden_picture is not None:
            rows.append(("picture", str(golden_picture)))
        print_table(str(bundle), rows)
        if found is not None:
            _print_stages(found)
    if differing:
        files = "1 file differs" if len(differing) == 1 else f"{len(differing)} files differ"
        raise CheckError(
            f"{bundle}: {files} from those of a new build: {', '.join(differing)}",
            hint="the versions that it was built with stand in manifest.json",
        )
    if found is not None and not found.is_same:
        raise CheckError(_difference(input_tensor, found), hint=_hint(found))


def _diagnosis(bundle: Bundle, file: Path) -> Diagnosis:
    """What is different in the tensor in a file."""
    from edgeort.bundle import golden_picture as pictures
    from edgeort.recipes import reference
    from edgeort.recipes.diagnosis import diagnose, read_tensor

    pixels, front = pictures.of_bundle(bundle)
    wanted = reference.tensor(pixels, front.recipe, front.form)
    return diagnose(read_tensor(file, wanted.size), pixels, front)


def _print_stages(found: Diagnosis) -> None:
    if found.is_explained:
        rows = [("->" if one.differs else "", one.name, one.wanted, one.found) for one in found.stages]
        print_table("the tensor (-> differs)", rows, ("", "stage", "recipe", "tensor"))


def _difference(file: Path | None, found: Diagnosis) -> str:
    if not found.is_explained:
        return f"{file}: up to {found.levels:.1f} of 255 levels from the recipe's tensor, and no stage explains it"
    names = ", ".join(stage.name for stage in found.differing) or "rounding"
    return f"{file}: up to {found.levels:.1f} of 255 levels from the recipe's tensor; what differs: {names}"


def _hint(found: Diagnosis) -> str:
    if not found.is_explained:
        return "is it of the golden picture? edgeort verify BUNDLE --golden-picture FILE.png writes that"
    return "; ".join(f"{stage.name}: {stage.wanted}, not {stage.found}" for stage in found.differing)


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
