"""The commands."""

from __future__ import annotations

from typing import Annotated

import typer

import edgeort
from edgeort.cli import (
    bench,
    build,
    convert,
    devices,
    inspect,
    lint,
    package,
    profiles,
    providers,
    prune,
    quantize,
    report,
    run,
    sign,
    sweep,
    validate,
    verify,
    why,
)
from edgeort.cli.naming import Command, Group

app = typer.Typer(
    cls=Group,
    help="Turns an ONNX model into a small runtime for one device, and checks it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # an error that is not ours is a bug: its plain traceback is what we need
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("build", cls=Command)(build.build)
app.command("bench", cls=Command)(bench.bench)
app.command("validate", cls=Command)(validate.validate)
app.command("report", cls=Command)(report.report)
app.command("sweep", cls=Command)(sweep.sweep)
app.command("convert", cls=Command)(convert.convert)
app.command("quantize", cls=Command)(quantize.quantize)
app.command("prune", cls=Command)(prune.prune)
app.command("run", cls=Command)(run.run)
app.command("inspect", cls=Command)(inspect.inspect)
app.command("why", cls=Command)(why.why)
app.command("lint", cls=Command)(lint.lint)
app.command("sign", cls=Command)(sign.sign)
app.command("package", cls=Command)(package.package)
app.command("verify", cls=Command, context_settings=verify.PASSES_ON)(verify.verify)
app.command("providers", cls=Command)(providers.providers)
app.command("devices", cls=Command)(devices.devices)
app.command("doctor", cls=Command)(providers.doctor)
app.add_typer(profiles.app, name="profiles")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"edgeort {edgeort.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options before a command."""
