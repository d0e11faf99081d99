"""`edgeort profiles`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeort.cli.common import PLACES, Json, command, print_json, print_table, stages
from edgeort.cli.naming import Command, Group
from edgeort.errors import InputError, OutputError

if TYPE_CHECKING:
    from edgeort.probing import Probed

app = typer.Typer(cls=Group, help="Device profiles.", no_args_is_help=True)


@app.command("list", cls=Command)
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


@app.command("show", cls=Command)
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


@app.command("probe", cls=Command)
@command
def probe(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE.toml", help="The profile to write.")],
    on: Annotated[str, typer.Option("--on", metavar="WHERE", help=f"{PLACES}.")] = "local",
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    milliseconds: Annotated[
        int, typer.Option("--ms", min=1, max=60_000, metavar="MS", help="Of each measurement, about.")
    ] = 500,
    kernels: Annotated[
        bool, typer.Option("--kernels/--no-kernels", help="Time the runtime's kernels, too; predictions need them.")
    ] = True,
    engines: Annotated[
        bool, typer.Option("--engines/--no-engines", help="Time other engines, too, where they run; minutes each.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Read and measure a device, and write its profile."""
    from edgeort import probing
    from edgeort.model.writing import write

    _check(out, force)
    with stages() as progress:
        found = probing.probe(
            on, name=out.stem, milliseconds=milliseconds, kernels=kernels, engines=engines, progress=progress
        )
    _check(out, force)  # again: measuring takes minutes
    write(out, found.text.encode())
    if as_json:
        networks = [{"network": name, "threads": threads, "error": error} for name, threads, error in found.networks]
        told = {
            "profile": found.profile.to_dict(),
            "networks": networks,
            "without": dict(found.without),
            "warning": found.warning or None,
        }
        print_json({"file": str(out), **told})
    else:
        _print_probed(out, found)
    if found.warning:
        typer.echo(f"warning: {found.warning}", err=True)


def _check(out: Path, force: bool) -> None:
    """Raises before any work where the file cannot be a profile or must not be written."""
    if out.suffix != ".toml":
        raise InputError(f"-o {out}: a profile's file ends in .toml", hint="-o mydevice.toml")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", out.stem):
        raise InputError(
            f"-o {out}: a profile's file name may have letters, digits, '.', '_' and '-' only", hint="-o mydevice.toml"
        )
    if out.is_dir() or (out.exists() and not force):
        raise OutputError(f"{out} is there already", hint="another name, or --force, which replaces a file")
    if not out.parent.is_dir():
        raise OutputError(f"{out}: there is no folder {out.parent}", hint=f"mkdir -p {out.parent}")


def _print_probed(out: Path, found: Probed) -> None:
    profile, measured = found.profile, found.profile.measured
    rows = [
        ("file", str(out)),
        ("device", profile.device.title),
        ("about", profile.device.summary),
        ("target", f"{profile.target.os}/{profile.target.arch}, {' '.join(profile.cpu.isa)}"),
        ("cores", " + ".join(f"{c.cores}x {c.name} at {c.mhz} MHz" for c in profile.cpu.clusters)),
        ("memory", f"{profile.memory.ram_mb:g} MiB"),
    ]
    if measured is None:
        rows.append(("measured", "nothing: times under an emulator say nothing about the device"))
    else:
        several = f"with {measured.threads} thread(s)"
        rows += [
            ("float32", f"{measured.float32_gflops} GFLOP/s one core, {measured.float32_gflops_all} {several}"),
            ("int8", f"{measured.int8_gops} Gop/s one core, {measured.int8_gops_all} {several}"),
            ("reading", f"{measured.bandwidth_gbs} GB/s one core, {measured.bandwidth_gbs_all} {several}"),
        ]
    if measured is not None and measured.error is not None:
        count = len({rate.op for rate in measured.kernels})
        rows.append(("kernels", f"rates of {count}, predictions off by {measured.error:.0%} in the median"))
    for engine in () if measured is None else measured.engines:
        rows.append((engine.provider, f"{engine.version}, predictions off by {engine.error:.0%} in the median"))
    rows += [(name, f"not measured: {reason}") for name, reason in found.without]
    print_table("profile", rows)


def _flat(value: Any, key: str = "") -> list[tuple[str, str]]:
    """(dotted key, value) of every leaf."""
    if isinstance(value, dict):
        return [row for name, item in value.items() for row in _flat(item, f"{key}.{name}" if key else name)]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [row for index, item in enumerate(value) for row in _flat(item, f"{key}[{index}]")]
    return [(key, ", ".join(map(str, value)) if isinstance(value, list) else str(value))]
