"""The journal of a sweep: a folder with one JSON line a finished cell, open by one process at a time.

A line is written at once and to the disk before the next cell counts: whatever ends the sweep, the journal holds
whole rows, but for a last line that was cut, which is dropped when it is opened again.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from edgeort.errors import InputError, OutputError

NAME, LOCK = "journal.jsonl", ".lock"
Row = dict[str, Any]


class Journal:
    """Rows by the key of their cell. A context manager: OutputError where another sweep holds the folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.rows: dict[str, Row] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def __enter__(self) -> Journal:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            other = os.pread(self._lock, 20, 0).decode(errors="replace")
            os.close(self._lock)
            raise OutputError(
                f"{self.path.parent}: another sweep writes to it (process {other})",
                hint="wait for it, or name another folder with -o",
            ) from error
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, str(os.getpid()).encode(), 0)
            self.rows = _read(self.path)
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)  # which lets go of it

    def add(self, row: Row) -> None:
        """Keeps a row, in the place of an earlier one of its key. OutputError where it cannot be written."""
        again = row["key"] in self.rows
        self.rows[row["key"]] = row
        try:
            if again:
                self._rewrite()
            else:
                _append(self.path, _line(row))
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _rewrite(self) -> None:
        with tempfile.NamedTemporaryFile(dir=self.path.parent, prefix=f".{NAME}.", delete=False) as file:
            file.write(b"".join(map(_line, self.rows.values())))
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, self.path)


def _append(path: Path, line: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        end = os.fstat(file).st_size
        try:
            written = os.write(file, line)
            if written < len(line):  # a full disk
                written += os.write(file, line[written:])
            os.fsync(file)
        except OSError:
            os.ftruncate(file, end)
            raise
    finally:
        os.close(file)


def _line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=True).encode() + b"\n"


def _read(path: Path) -> dict[str, Row]:
    """The rows; a last line without its end is cut off the file. InputError names a line that is none of ours."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unwritable(path, error) from error
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    rows: dict[str, Row] = {}
    for number, line in enumerate(data[:whole].splitlines(), 1):
        try:
            row = json.loads(line)
            rows[row["key"]] = {**row, "status": str(row["status"])}
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(
                f"{path}:{number}: this is no row of a sweep",
                hint="remove the line, or name another folder with -o",
            ) from None
    return rows


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written: {error.strerror}", hint="name another folder with -o")
