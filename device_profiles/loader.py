"""Find a profile by name or path, read it, check it."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

from edgeort.device_profiles import host
from edgeort.device_profiles.profile import Profile
from edgeort.device_profiles.rules import check
from edgeort.device_profiles.schema import Where, read_table
from edgeort.errors import ProfileError

_FOLDER = Path(__file__).parent
_LIST_HINT = "edgeort profiles list"
_MAX_BYTES = 1 << 20  # a profile is a page of text; anything this large is another file


def names() -> tuple[str, ...]:
    """Names of the devices that can be loaded, sorted; `host` (this machine, detected) comes first."""
    return ("host", *sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load(name_or_path: str | os.PathLike[str]) -> Profile:
    """The profile of that name, or of that .toml file (anything that ends in .toml or has a folder in it is a path).

    Raises ProfileError: unknown device, unreadable file, TOML syntax, unknown or missing key, value not allowed.
    """
    text = os.fspath(name_or_path)
    if text.endswith(".onnx"):
        build = f"edgeort build {shlex.quote(text)} --device raspberrypi4"
        raise ProfileError(f"{text} is a model, not a device", hint=build)
    if isinstance(name_or_path, os.PathLike) or text.endswith(".toml") or Path(text).name != text:
        return _load_file(Path(text), str(text))
    if text == "host":
        return parse(host.detect(), name="host", file="host (detected)")
    if text not in names():
        near = _nearest(text.lower())
        nearest = f"; nearest: {', '.join(near)}" if near else ""
        raise ProfileError(f"unknown device {text!r}{nearest}", hint=_LIST_HINT)
    return _load_file(_FOLDER / f"{text}.toml", f"{text}.toml")


def _nearest(text: str) -> list[str]:
    """Up to three names: those that hold the text, such as `pi4`, before those that are spelt alike."""
    within = [name for name in names() if len(text) > 1 and text in name]
    return list(dict.fromkeys([*within, *difflib.get_close_matches(text, names(), n=3, cutoff=0.5)]))[:3]


def parse(table: dict[str, Any], *, name: str, file: str) -> Profile:
    """The profile in `table` (as `tomllib` gives it); `file` is what error messages call it. Raises ProfileError."""
    where = Where(file)
    profile = read_table(Profile, table, where, name=name)
    check(profile, where)
    return profile


def _load_file(path: Path, file: str) -> Profile:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", path.stem):  # the name becomes part of the bundle's name
        raise ProfileError(f"{file}: a profile's file name may have letters, digits, '.', '_' and '-' only")
    return parse(_read_toml(path, file), name=path.stem, file=file)


def _read_toml(path: Path, file: str) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ProfileError(f"{file}: {error.strerror or error}", hint=_LIST_HINT) from error
    if len(data) > _MAX_BYTES:
        raise ProfileError(f"{file}: over {_MAX_BYTES} bytes: this is not a device profile")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ProfileError(f"{file}:{line}: not UTF-8 text") from error
    except RecursionError as error:
        raise ProfileError(f"{file}: nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError, and integers with thousands of digits
        raise ProfileError(f"{_at_line(file, str(error), data)}: not valid TOML: {error}") from error


def _at_line(file: str, message: str, data: bytes) -> str:
    """`file:line`, the line as the parser's message has it (or the last one, when the text ends too early)."""
    found = re.search(r"at line (\d+)", message)
    if found:
        return f"{file}:{found[1]}"
    last = data.count(b"\n") + 1
    return f"{file}:{last}" if "end of document" in message else file
