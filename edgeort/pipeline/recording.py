"""The options of a build, as a bundle's manifest keeps them, and back: what `edgeort verify --rebuild` builds with.

Every keyword of `pipeline.build` is one, but for those of UNRECORDED, so that a new one needs nothing here: its type
says how it is told (edgeort/records.py). Files are told by what they hold. Given again they are found by the name of
their option; a vocabulary, golden inputs and the files that a recipe names are in the bundle.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgeort import records
from edgeort.bundle import Bundle, golden
from edgeort.device_profiles.rules import check
from edgeort.device_profiles.schema import Where
from edgeort.errors import BundleError, InputError, ProfileError

# Where things are, and who measures: a bundle is the same without them, as long as the same providers can be taken.
UNRECORDED = ("model_path", "out", "keep_stages", "on", "progress")
_INPUTS = "inputs"  # golden ones: their data stands in the bundle
_RECIPE = ("postprocess", "files")  # whose names are the files' own, and may be those of options

Place = tuple[str, ...]


def record(build: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a call of `build`, less those that are as usual. InputError where a file cannot be read."""
    usual = {name: one.default for name, one in inspect.signature(build).parameters.items() if name not in UNRECORDED}
    given = {name: arguments[name] for name, default in usual.items() if arguments[name] != default}
    told = {name: sorted(value) if name == _INPUTS else records.encode(value) for name, value in given.items()}
    return {name: value for name, value in told.items() if value not in ({}, [])}


def located(bundle: Bundle, given: Mapping[str, Path]) -> dict[Place, Path]:
    """The files that its build read, by their places in the options: `given` by options' names, or the bundle's own.

    InputError for one that is missing, is not needed, or holds something else than it did.
    """
    told = dict(records.contents(bundle.manifest.options))
    found = {place: _in_bundle(bundle, place, content) for place, content in told.items() if place[:2] == _RECIPE}
    needed = {name_of(place): (place, content) for place, content in told.items() if place not in found}
    for name in given:
        if name not in needed:
            known = ", ".join(f"--{one}" for one in needed) or "no file"
            raise InputError(f"--{name}: {bundle.path} was built with {known}", hint="leave it out")
    for name, (place, content) in needed.items():
        if isinstance(content, str):
            raise InputError(f"{bundle.path} was built in Python with a {content} for {name}, which no file holds")
        path = given.get(name) or _own(bundle, content)
        hint = f"edgeort verify {bundle.path} --rebuild MODEL --{name} PATH"
        if path is None:
            raise InputError(f"{bundle.path} was built with --{name}: {_told(content)}; give it, too", hint=hint)
        if (now := records.Content.of(path)) != content:
            raise InputError(
                f"--{name} {path} is not what {bundle.path} was built with: it holds {_told(now)}, "
                f"and was {_told(content)}",
                hint=hint,
            )
        found[place] = path
    return found


def _in_bundle(bundle: Bundle, place: Place, content: records.Content | str) -> Path:
    path = None if isinstance(content, str) else _own(bundle, content)
    if path is None:
        raise BundleError(f"{bundle.path}: {place[-1]} of its --postprocess is not in it", hint="build it again")
    return path


def name_of(place: Place) -> str:
    """The option of a file, as the command line has it: `eval-data`."""
    return (place[-1] if place[-1] != "path" else place[-2]).replace("_", "-")


def replay(build: Callable[..., Any], bundle: Bundle, files: Mapping[Place, Path]) -> dict[str, Any]:
    """The arguments of the call that `record` told. BundleError where the options are none of this version's."""
    hints = typing.get_type_hints(build)
    told = bundle.manifest.options
    try:
        if unknown := sorted(set(told) - (set(hints) - {*UNRECORDED, "return"})):
            raise TypeError(f"{unknown[0]} is no option")
        names = told.get(_INPUTS, [])
        found = {key: records.decode(hints[key], own, (key,), files) for key, own in told.items() if key != _INPUTS}
        check(found["profile"], Where(f"{bundle.path}: the profile"))
        return {**found, _INPUTS: _golden(bundle, names)} if names else found
    except (TypeError, KeyError, ValueError, ProfileError) as error:
        raise BundleError(f"{bundle.path}: its options are not those of a build: {error}") from error


def _golden(bundle: Bundle, names: list[str]) -> dict[str, Any]:
    places = {value.name: index for index, value in enumerate(bundle.manifest.inputs)}
    return {name: golden.array_of((bundle.golden / f"input{places[name]}.npy").read_bytes()) for name in names}


def _own(bundle: Bundle, content: records.Content) -> Path | None:
    """The bundle's own file of that content."""
    names = (name for name, entry in bundle.manifest.files.items() if entry.sha256 == content.sha256)
    return next((bundle.folder / name for name in names), None)


def _told(content: records.Content) -> str:
    return f"{content.files} file{'' if content.files == 1 else 's'} of SHA-256 {content.sha256[:16]}..."
