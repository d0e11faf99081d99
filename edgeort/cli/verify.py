"""`edgeort verify`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeort.cli.common import Json, command, print_json, print_table, stages
from edgeort.errors import CheckError, InputError

if TYPE_CHECKING:
    from edgeort.bundle import Bundle
    from edgeort.bundle.signing import Signed
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
        is_signed = (opened.folder / f"{NAME}{SIGNATURE}").exists()
        signed = None if public_key is None else signing.verify(opened, public_key)
        if golden_picture is not None:
            pictures.save(*pictures.of_bundle(opened), golden_picture)
        found = None if input_tensor is None else _diagnosis(opened, input_tensor)
        differing = None if rebuild is None else _differing(opened, rebuild, given)
        verified = _Verified(bundle, len(opened.manifest.files), is_signed, signed, differing, golden_picture, found)
    if as_json:
        print_json(verified.to_dict())
    else:
        print_table(str(bundle), verified.rows)
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


@dataclass(frozen=True)
class _Verified:
    """What was looked at; None where nobody asked."""

    bundle: Path
    files: int
    is_signed: bool
    signed: Signed | None
    differing: Sequence[str] | None
    picture: Path | None
    tensor: Diagnosis | None

    @property
    def rows(self) -> list[tuple[str, str]]:
        """As the table has them."""
        rows = [("files", f"{self.files}, each with the hash that the manifest has")]
        if self.signed is not None:
            rows.append(("signed", f"{', '.join(self.signed.names)} by {self.signed.public_key.hex()}"))
        elif self.is_signed:
            rows.append(("signed", "by whom was not checked: --public-key FILE.pem"))
        if self.differing is not None:
            rows.append(("rebuilt", ", ".join(self.differing) or "the same bytes in every file"))
        if self.picture is not None:
            rows.append(("picture", str(self.picture)))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "bundle": str(self.bundle),
            "files": self.files,
            "public_key": None if self.signed is None else self.signed.public_key.hex(),
            "differing": self.differing,
            "input_tensor": None if self.tensor is None else {**asdict(self.tensor), "is_same": self.tensor.is_same},
        }


def _differing(bundle: Bundle, model: Path, given: Mapping[str, Path]) -> Sequence[str]:
    """The files that a new build of the model makes otherwise."""
    from edgeort.pipeline import rebuilding

    with stages() as progress:
        progress("building anew, with an empty cache")
        return rebuilding.differences(bundle, model, given, progress)


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
