"""`edgeort profiles`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from edgeort.cli.common import Json, command, print_json, print_table

app = typer.Typer(help="Device profiles.", no_args_is_help=True)


@app.command("list")
@command
def list_profiles(as_json: Json = False) -> None:
    """List the devices that --device takes."""
    from edgeort import device_profiles
    from edgeort.errors import ProfileError

    found = []
    for name in device_profiles.names():
        try:
            found.append(device_profiles.load(name))
        except ProfileError:
            if name != "host":  # this machine may be one that no kernel runs on
                raise
    if as_json:
        print_json([profile.to_dict() for profile in found])
        return
    rows = []
    for p in found:
        cores = " + ".join(f"{cluster.cores}x {cluster.name}" for cluster in p.cpu.clusters)
        rows.append((p.name, p.device.title, f"{p.target.os}/{p.target.arch}", " ".join(p.cpu.isa), cores))
    print_table("devices", rows, ("name", "device", "target", "ISA levels", "cores"))


@app.command("show")
@command
def show(
    name: Annotated[str, typer.Argument(help="A device's name, or the path of a profile's .toml file.")],
    as_json: Json = False,
) -> None:
    """Show one profile."""
    from edgeort import device_profiles

    profile = device_profiles.load(name).to_dict()
    if as_json:
        print_json(profile)
    else:
        print_table(str(profile["name"]), _flat(profile))


def _flat(value: Any, key: str = "") -> list[tuple[str, str]]:
    """(dotted key, value) of every leaf."""
    if isinstance(value, dict):
        return [row for name, item in value.items() for row in _flat(item, f"{key}.{name}" if key else name)]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [row for index, item in enumerate(value) for row in _flat(item, f"{key}[{index}]")]
    return [(key, ", ".join(map(str, value)) if isinstance(value, list) else str(value))]
