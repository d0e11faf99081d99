"""`--settings`: TOML files and `NAME:key=value,...` to the settings of every model.

    [settings.fast]          # a cell for every model and device
    precision = "int8"
    min_sqnr = 20

    [models.digits]          # what belongs to a model, whatever the settings: its name is that of the file
    data = "digits.npz"

The keys are the fields of `Settings`. Those of a model hold where the settings are silent. Paths are relative to the
file.
"""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeort.device_profiles.schema import Where, read_table
from edgeort.errors import InputError, ProfileError
from edgeort.sweep.settings import FOLDERS, PATHS, Settings

DEFAULT = "default"  # the name of the settings where none are given
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]{0,63}")  # part of the bundle's name
_MAX_BYTES = 1 << 20
_FORM = "--settings settings.toml, or --settings int8:precision=int8,data=calibration.npz"


@dataclass(frozen=True)
class Draft:
    """A table as it was given, each value of it allowed, and where."""

    table: Mapping[str, Any]
    where: Where

    def read(self, name: str, own: Mapping[str, Any] | None = None) -> Settings:
        """The settings, with `own` where the table is silent. InputError names file, key and what is allowed."""
        try:
            return read_table(Settings, {**(own or {}), **self.table}, self.where, name=name)
        except ProfileError as error:  # the reader is that of profiles
            raise InputError(str(error), hint=error.hint) from error


@dataclass(frozen=True)
class Book:
    """All settings of a sweep by name, in the order given, and what belongs to models."""

    settings: Mapping[str, Draft]
    models: Mapping[str, Draft]

    def of(self, model: str) -> Iterator[Settings]:
        """The settings of the cells of a model."""
        own = self.models[model].table if model in self.models else {}
        return (draft.read(name, own) for name, draft in self.settings.items())


def read_book(options: Sequence[str]) -> Book:
    """The book of `--settings` options. InputError names the option or file, the key and what is allowed."""
    settings: dict[str, Draft] = {}
    models: dict[str, Draft] = {}
    for option in options:
        own, of_models = _from_file(Path(option)) if option.endswith(".toml") else (_from_line(option), {})
        for found, more, what in ((settings, own, "settings"), (models, of_models, "model")):
            for name, draft in more.items():
                if name in found:
                    raise InputError(f"--settings {option}: {what} {name!r} is given twice", hint="each name once")
                draft.read(name)
                found[name] = draft
    return Book(settings or {DEFAULT: Draft({}, Where("--settings"))}, models)


def _from_line(option: str) -> dict[str, Draft]:
    """`int8:precision=int8,shape=x=1x8`; a key that is a list may be repeated, a name alone has the defaults."""
    name, _, rest = option.partition(":")
    where = Where(f"--settings {option[:100]}")
    _check_name(name, where.file)
    table: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, text = part.partition("=")
        if not equals or not key:
            raise InputError(f"{where.file}: {part!r} is not KEY=VALUE", hint=_FORM)
        value = _typed(key, text)
        if key in table and not isinstance(value, list):
            raise InputError(f"{where.file}: {key} is given twice", hint=_FORM)
        table[key] = table.get(key, []) + value if isinstance(value, list) else value
    return {name: Draft(table, where)}


def _typed(key: str, text: str) -> Any:
    """The value as TOML would have it, by the key's annotation; text where it is not known or does not fit."""
    hint = str(typing.get_type_hints(Settings).get(key, str))
    if "tuple" in hint:
        return [text]
    for kind in (int, float):
        if kind.__name__ in hint:
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def _from_file(path: Path) -> tuple[dict[str, Draft], dict[str, Draft]]:
    table, where = _read_toml(path), Where(str(path))
    for key in table:
        if key not in ("settings", "models"):
            raise InputError(f"{path}: {key[:60]}: unknown; allowed: settings, models", hint="[settings.NAME]")
    drafts = []
    for key in ("settings", "models"):
        section = table.get(key, {})
        if not isinstance(section, dict) or not all(isinstance(one, dict) for one in section.values()):
            raise InputError(f"{path}: {key} holds tables only", hint=f"[{key}.NAME]")
        drafts.append(
            {name: Draft(_placed(one, path), where.at(f"{key}.{name[:60]}")) for name, one in section.items()}
        )
    for name in drafts[0]:
        _check_name(name, str(path))
    return drafts[0], drafts[1]


def _placed(table: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """With paths as seen from the current folder."""
    found = dict(table)
    for key in PATHS:
        value = found.get(key)
        if isinstance(value, str) and (key, value) != ("labels", FOLDERS):
            found[key] = str(file.parent / value)
    return found


def _check_name(name: str, where: str) -> None:
    if not NAME.fullmatch(name):
        allowed = "letters, digits, '_', '+', '-' and '.', at most 64"
        raise InputError(f"{where}: {name[:60]!r} is no name of settings; allowed: {allowed}", hint=_FORM)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise InputError(f"{path}: over {_MAX_BYTES} bytes: these are no settings", hint=_FORM)
        return tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", hint=_FORM) from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply", hint=_FORM) from error
    except ValueError as error:  # not UTF-8, not TOML, an integer with thousands of digits
        raise InputError(f"{path}: not valid TOML: {str(error)[:200]}", hint=_FORM) from error
