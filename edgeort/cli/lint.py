"""`edgeort lint`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeort.cli.common import Json, command, print_json, print_table
from edgeort.errors import CheckError, InputError

if TYPE_CHECKING:
    from edgeort.lint import Finding, Report

_WIDTH = 150
_WHERE_SHOWN = 4  # of one finding that many files share


@command
def lint(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...", help="A bundle's folder, or .so, .aar, .apk, .xcframework, .framework, .dylib, .a, .dll."
        ),
    ] = None,
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            "--prefix",
            metavar="NAME",
            help="What exported names may begin with; may be repeated; default: the file's name.",
        ),
    ] = None,
    min_sdk: Annotated[
        int | None,
        typer.Option("--min-sdk", min=1, metavar="N", help="The app's minSdkVersion, for a library on its own."),
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules instead.")] = False,
    as_json: Json = False,
) -> None:
    """Check libraries and packages, of any origin, by the rules behind what app stores and loaders refuse."""
    from edgeort.lint import RULES, Options
    from edgeort.lint import lint as check

    if rules:
        listing = [{"rule": r.id, "severity": r.severity, "why": r.why, "remedy": r.remedy} for r in RULES]
        if as_json:
            print_json(listing)
        else:
            print_table("rules", [(one["rule"], one["severity"], one["why"]) for one in listing], ("rule", "", "why"))
        return
    if not files:
        raise InputError("no file to check", hint="edgeort lint app.apk")
    named = [one for path in files for one in _libraries(path)]
    reports = [check(path, Options(tuple(prefix or ()), min_sdk)) for path in named]
    if as_json:
        print_json([report.to_dict() for report in reports])
    else:
        for report in reports:
            _show(report)
    errors = sum(report.counts["error"] for report in reports)
    if errors:
        raise CheckError(f"{_counted(errors, 'error')} in {', '.join(map(str, files))}")


def _libraries(path: Path) -> list[Path]:
    """Of a bundle those that programs load, else the file itself. InputError where a bundle has none."""
    from edgeort.bundle import looks_like_bundle, open_bundle
    from edgeort.lint import has_rules

    if not looks_like_bundle(path):
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: a bundle is checked as a folder", hint=f"unzip it, or edgeort build -o {path.stem}")
    with open_bundle(path) as opened:
        own = opened.manifest.library
        found = [one for one in sorted((path / "lib").glob("*")) if has_rules(one) and one.suffix != ".a"]
        # Apple's static libraries have rules, those for systems without loaders none.
        found += [path / own] if own.endswith(".a") and opened.manifest.target.os != "none" else []
    if not found:
        raise InputError(f"{path}: there are no rules for {own or 'a bundle without a library'}")
    return found


def _show(report: Report) -> None:
    from edgeort.lint import SEVERITIES

    print(report.path)
    groups: dict[str, list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault(finding.rule.id, []).append(finding)
    for group in groups.values():
        rule = group[0].rule
        print(f"  {rule.severity}: {rule.id}")
        for finding in group[:_WHERE_SHOWN]:
            inside = finding.where.removeprefix(report.path).lstrip(":/ ")
            print(_folded(f"{inside}: {finding.what}" if inside else finding.what))
        if len(group) > _WHERE_SHOWN:
            print(_folded(f"and {len(group) - _WHERE_SHOWN} more"))
        print(_folded(f"why: {rule.why}"))
        print(_folded(f"do:  {rule.remedy}"))
    found = (_counted(report.counts[severity], severity) for severity in SEVERITIES)
    print(f"  {report.checked} rules: {', '.join(found)}\n")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _folded(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="    ", subsequent_indent="      ", break_long_words=False)
