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

app = typer.Typer(
    help="Turns an ONNX model into a small runtime for one device, and checks it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # an error that is not ours is a bug: its plain traceback is what we need
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("build")(build.build)
app.command("bench")(bench.bench)
app.command("validate")(validate.validate)
app.command("report")(report.report)
app.command("sweep")(sweep.sweep)
app.command("convert")(convert.convert)
app.command("quantize")(quantize.quantize)
app.command("prune")(prune.prune)
app.command("run")(run.run)
app.command("inspect")(inspect.inspect)
app.command("why")(why.why)
app.command("lint")(lint.lint)
app.command("sign")(sign.sign)
app.command("package")(package.package)
app.command("verify", context_settings=verify.PASSES_ON)(verify.verify)
app.command("providers")(providers.providers)
app.command("devices")(devices.devices)
app.command("doctor")(providers.doctor)
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
