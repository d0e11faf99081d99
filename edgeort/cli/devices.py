"""`edgeort devices`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeort.cli.common import Json, command, print_json, print_table, size

if TYPE_CHECKING:
    from edgeort.devices.attached import Attached


@command
def devices(
    clear: Annotated[
        str | None, typer.Option("--clear", metavar="WHERE", help="Remove the files that are kept on that device.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what --on can name: this machine, emulated CPUs, phones, and the devices of edgeort.toml."""
    from edgeort.devices import attached

    if clear is not None:
        folder = attached.clear(clear)
        if as_json:
            print_json({"cleared": clear, "folder": folder})
        else:
            print(f"{clear}: removed what was kept in {folder}")
        return
    found = attached.attached(Path.cwd())
    if as_json:
        print_json([one.to_dict() for one in found])
    else:
        _print(found)


def _print(found: list[Attached]) -> None:
    rows = []
    for one in found:
        if (told := one.facts) is not None:
            free = "" if told.free_bytes is None else size(told.free_bytes)
            kept = "" if told.kept_bytes is None else size(told.kept_bytes)
            rows.append(
                (one.on, told.model, told.system, " + ".join(told.cores), told.os, free, kept, told.profile or "")
            )
    print_table("devices", rows, ("--on", "device", "system", "cores", "OS", "free", "kept", "profile"))
    for one in found:
        if one.reason is not None:
            reason = one.reason if one.reason.startswith(f"{one.on} ") else f"{one.on}: {one.reason}"
            print(f"{reason}{f' ({one.hint})' if one.hint else ''}")
