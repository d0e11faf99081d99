"""From bytes to a file: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edgeort.errors import InputError, OutputError


def write(path: str | os.PathLike[str], made: bytes, option: str = "-o") -> None:
    """Writes the file that `option` named; what stood there stays when that fails. OutputError says why it failed."""
    target = Path(path).resolve()
    try:
        if target.exists() and not target.is_file():  # a device or a pipe, which is not ours to replace
            target.write_bytes(made)
            return
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
            whole = Path(scratch) / target.name
            whole.write_bytes(made)
            os.replace(whole, target)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}", hint=f"name another file with {option}"
        ) from error


def must_differ(model: str | os.PathLike[str], output: str | os.PathLike[str], word: str) -> None:
    """Raises InputError where `output` would take the place of `model`; the hint is a name with `word` in it."""
    try:
        same = os.path.samefile(model, output)
    except OSError:  # one of them is not there
        return
    if same:
        place = Path(output)
        raise InputError(
            f"{output} is the model itself, which would be lost", hint=f"-o {place.with_stem(f'{place.stem}-{word}')}"
        )
