"""`edgeort package`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeort.cli.common import Json, command, print_json, print_table, size, stages
from edgeort.errors import InputError


@command
def package(
    bundle: Annotated[Path, typer.Argument(help="A bundle: folder or .zip.")],
    android: Annotated[bool, typer.Option("--android", help="An .aar, and a Gradle module with its sources.")] = False,
    ios: Annotated[bool, typer.Option("--ios", help="A Swift package with an XCFramework, or one of Core ML.")] = False,
    abi: Annotated[
        list[str] | None,
        typer.Option(
            "--abi", metavar="ABI", help="Of Android; may be repeated; default: arm64-v8a, armeabi-v7a, x86_64."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FOLDER", help="Folder; default: BUNDLE-KIND beside it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a package for the tools that build apps from a bundle."""
    kind = _chosen({"android": android, "ios": ios})
    if abi and kind != "android":
        raise InputError("--abi is of Android, and the package is for iOS", hint="leave it out")
    with stages() as progress:
        from edgeort.bundle import open_bundle
        from edgeort.bundle.packages import Wishes, write_package
        from edgeort.bundle.packagings import PACKAGINGS

        with open_bundle(bundle) as opened:
            progress(f"packaging for {kind}")
            made = PACKAGINGS[kind](opened, Wishes(abis=tuple(abi or ())), progress)
            place = bundle.resolve() if bundle.name in ("", "..") else bundle  # `.` has no name
            beside = place.with_name(f"{place.name.removesuffix('.zip')}-{kind}")
            to = write_package(out or beside, kind, opened, made)
    sizes = {path.relative_to(to).as_posix(): path.stat().st_size for path in sorted(to.rglob("*")) if path.is_file()}
    if as_json:
        print_json({"package": str(to), "kind": kind, **made.about, "files": sizes, "notes": list(made.notes)})
        return
    rows = [*made.rows, ("package", f"{to}, {size(sum(sizes.values()))}")]
    print_table(str(bundle), [*rows, *(("note", note) for note in made.notes)])


def _chosen(asked: dict[str, bool]) -> str:
    """The one kind that was asked for. InputError names those there are."""
    wanted = [kind for kind, is_wanted in asked.items() if is_wanted]
    if len(wanted) != 1:
        options = ", ".join(f"--{kind}" for kind in asked)
        what = "nothing says which package" if not wanted else f"{len(wanted)} packages are asked for, of one bundle"
        raise InputError(f"{what}: one of {options}", hint=f"edgeort package BUNDLE --{next(iter(asked))}")
    return wanted[0]
