"""The two forms of a report, and their files."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from edgeort.errors import OutputError
from edgeort.model.writing import write
from edgeort.plain import finite
from edgeort.report.document import Document
from edgeort.report.rendering import render

_FORMS = (".html", ".htm", ".json")


def as_json(document: Document) -> str:
    """The document as JSON; NaN and the infinities, for which JSON has no number, as strings."""
    return json.dumps(finite(document), indent=1) + "\n"


def save(document: Document, path: Path) -> None:
    """Writes the page, or JSON where the name ends in .json: whole or not at all. OutputError says why it failed."""
    _check_form(path)
    text = as_json(document) if path.suffix == ".json" else render(json.loads(as_json(document)))
    write(path, text.encode())


def check_writable(path: Path) -> None:
    """Raises OutputError where `save` could not succeed, before anything is measured."""
    _check_form(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder", hint=f"-o {path / 'report.html'}")
    if not path.parent.exists():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}", hint=f"mkdir -p {path.parent}")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".edgeort."):
            pass
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {os.strerror(error.errno or 0)}", hint="name another file with -o"
        ) from error


def _check_form(path: Path) -> None:
    if path.suffix not in _FORMS:
        raise OutputError(
            f"{path}: a report is a page or JSON, by the ending of its name", hint="-o report.html or -o report.json"
        )
