"""`edgeort providers` and `edgeort doctor`, and how the table of providers is printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeort.cli.common import Json, command, ms, print_json, print_table, size, within

if TYPE_CHECKING:
    from edgeort.pipeline import Candidate
    from edgeort.providers import Refusal

REFUSED_SHOWN = 5  # nodes of a provider

Provider = Annotated[
    str,
    typer.Option(
        "--provider", metavar="NAME", help="auto: the fastest of the profile's; or one, and cpu if it cannot."
    ),
]
Require = Annotated[
    str | None, typer.Option("--require", metavar="NAME", help="The provider; the build fails where it cannot be.")
]
ProviderOptions = Annotated[
    list[str] | None,
    typer.Option("--provider-option", metavar="KEY=VALUE", help="A setting of the provider's engine; may be repeated."),
]


@command
def providers(
    model: Annotated[Path | None, typer.Argument(help="An .onnx file: what of it each provider cannot take.")] = None,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="A profile: edgeort profiles list.")] = "host",
    as_json: Json = False,
) -> None:
    """Show which providers can serve a device, and which nodes of a model they do not take. Nothing is built."""
    from edgeort import device_profiles, pipeline

    profile = device_profiles.load(device)
    found = pipeline.survey(profile, model)
    if as_json:
        print_json({"device": profile.name, "providers": [row.to_dict() for row in found]})
        return
    rows = [
        (
            row.provider,
            ("can serve it; " if row.predicted and row.reason else "") + (row.reason or "can serve it"),
            *((_latency(row), _refused(row.refusals)) if model else ()),
        )
        for row in found
    ]
    headers = ("provider", profile.name, *(("latency", f"nodes of {model.name} not taken") if model else ()))
    print_table("providers, the profile's order first", rows, headers)


@command
def doctor(as_json: Json = False) -> None:
    """Show what works on this machine, and what would make the rest work."""
    from edgeort import checkup

    found = checkup.examine()
    if as_json:
        print_json([finding.to_dict() for finding in found])
        return
    rows = [("works" if one.works else "-", one.what, one.detail, one.remedy or "") for one in found]
    print_table("this machine", rows, ("", "what", "found", "to make it work"))


def print_candidates(candidates: Sequence[Candidate]) -> None:
    """The table from which a provider was chosen."""
    rows = [
        (
            "->" if row.chosen else "",
            row.provider,
            _latency(row),
            "" if row.size_bytes is None else size(row.size_bytes),
            "" if row.peak_rss_bytes is None else size(row.peak_rss_bytes),
            _accuracy(row),
            "; ".join(filter(None, (row.reason, _refused(row.refusals)))),
        )
        for row in candidates
    ]
    headers = ("", "provider", "latency", "size", "peak memory", "against ONNX Runtime", "")
    print_table("providers (-> is taken)", rows, headers)


def _latency(row: Candidate) -> str:
    if row.latency_ms is None:
        return ""
    return f"{ms(row.latency_ms)} ms{' predicted' if row.predicted else ''}"


def _accuracy(row: Candidate) -> str:
    if row.sqnr_db is not None:
        return f"{row.sqnr_db:.1f} dB"
    return "" if row.max_difference is None else within(row.max_difference)


def _refused(refusals: Sequence[Refusal]) -> str:
    shown = [f"{r.node} ({r.op}): {r.reason}" if r.node else r.reason for r in refusals[:REFUSED_SHOWN]]
    more = len(refusals) - len(shown)
    return "; ".join(shown) + (f"; {more} more" if more else "")
