"""sweep(): from models, devices and settings to a table with a row a cell."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgeort.errors import InputError, OutputError
from edgeort.model.writing import write
from edgeort.sweep import columns, page, watching
from edgeort.sweep.book import read_book
from edgeort.sweep.cells import Cell, make_cells
from edgeort.sweep.facts import DONE, NOT_RUN, Row
from edgeort.sweep.here import Here
from edgeort.sweep.journal import Journal
from edgeort.sweep.places import read_places
from edgeort.sweep.running import Outcome
from edgeort.sweep.watching import Watch

INTERRUPTED = "the sweep was interrupted before"


class Executor(Protocol):
    """Runs cells."""

    def run(self, cells: Sequence[Cell], wants_bundles: bool, watch: Watch) -> Iterator[tuple[Cell, Outcome]]:
        """Every cell with its outcome, as they end."""


@dataclass(frozen=True)
class Sweep:
    """A row for every cell, in the order of models, devices and settings; `earlier` of them were finished before.

    `parquet` and `csv` are the table, `report` the page.
    """

    rows: tuple[Row, ...]
    earlier: int
    parquet: Path
    csv: Path
    report: Path

    @property
    def counts(self) -> dict[str, int]:
        """Rows by status."""
        return watching.counts({row["key"]: row for row in self.rows})

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        files = {name: str(getattr(self, name)) for name in ("parquet", "csv", "report")}
        return {**files, "earlier": self.earlier, "counts": self.counts, "rows": list(self.rows)}


def sweep(
    models: Sequence[str],
    devices: Sequence[str],
    settings: Sequence[str] = (),
    out: str | os.PathLike[str] = "sweep",
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    bundles: str | os.PathLike[str] | None = None,
    retry: bool = False,
    watch: Callable[[int, int], AbstractContextManager[Watch]] | None = None,
) -> Sweep:
    """Runs every cell that `out` has no row of, and writes the table there.

    `models` are paths or patterns, `devices` and `settings` as the options of `edgeort sweep` have them. Cells run
    here, with `workers` in that many processes, or over the Dask cluster of `scheduler`. `bundles` is a folder for the
    bundles. Failed cells run again with `retry`. Raises an EdgeortError where the sweep cannot begin; what is wrong
    with a cell stands in its row. Whatever ends it, finished cells are kept.
    """
    columns.check_extra()
    if scheduler is not None and workers is not None:
        raise InputError("--workers starts processes here, and --scheduler names a cluster elsewhere", hint="keep one")
    cells = make_cells(models, read_places(devices, names_are_known=scheduler is None), read_book(settings))
    folder, store = Path(out), None if bundles is None else _Store(Path(bundles), cells)
    with Journal(folder) as journal:
        todo = [cell for cell in cells if not _is_finished(cell, journal, store, retry)]
        earlier, rest = len(cells) - len(todo), {cell.key: _not_run(INTERRUPTED) for cell in todo}
        begin = watch or (lambda *_: nullcontext(watching.Silent()))
        try:
            with _executor(scheduler, workers, todo) as executor, begin(len(todo), earlier) as watcher:
                for cell, outcome in executor.run(todo, store is not None, watcher):
                    row = {**cell.identity(), **outcome.row}
                    if row["status"] == NOT_RUN:
                        rest[cell.key] = outcome.row
                    else:
                        if store is not None and outcome.bundle is not None:
                            row |= store.keep(cell, outcome.bundle)
                        journal.add(row)
                        del rest[cell.key]
                    watcher.ended(cell, row)
        finally:
            rows = tuple(
                {**cell.identity(), **rest[cell.key]} if cell.key in rest else journal.rows[cell.key] for cell in cells
            )
            found = Sweep(rows, earlier, folder / "table.parquet", folder / "table.csv", folder / "report.html")
            columns.write_tables(rows, found.parquet, found.csv)
            write(found.report, page.render(rows).encode())
    return found


def _is_finished(cell: Cell, journal: Journal, store: _Store | None, retry: bool) -> bool:
    """Whether a row says all that is asked for: failures may be wanted again, bundles may not have been kept."""
    row = journal.rows.get(cell.key)
    if row is None:
        return False
    if row["status"] != DONE:
        return not retry
    return store is None or store.has(cell, row)


def _not_run(why: str) -> Row:
    return {"status": NOT_RUN, "error_kind": "", "error": why}


@contextmanager
def _executor(scheduler: str | None, workers: int | None, cells: Sequence[Cell]) -> Iterator[Executor]:
    if not cells or (scheduler is None and workers is None):
        yield Here()
        return
    from edgeort.sweep import cluster

    with cluster.connected(scheduler, workers) as executor:
        yield executor


class _Store:
    """The folder of the bundles."""

    def __init__(self, folder: Path, cells: Sequence[Cell]) -> None:
        self.folder, self._names = folder, dict[str, str]()
        taken: set[str] = set()
        for cell in cells:
            name = f"{cell.stem}.zip" if cell.stem not in taken else f"{cell.stem}-{cell.key[:8]}.zip"
            taken.add(cell.stem)
            self._names[cell.key] = name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            hint = "name another folder with --bundles"
            raise OutputError(f"{folder} cannot be written: {error.strerror}", hint=hint) from error

    def has(self, cell: Cell, row: Row) -> bool:
        """Whether the bundle of the row is there."""
        try:
            with (self.folder / self._names[cell.key]).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == row.get("bundle_sha256")
        except OSError:
            return False

    def keep(self, cell: Cell, data: bytes) -> Row:
        """Writes a bundle, at once; gives the columns about it."""
        path = self.folder / self._names[cell.key]
        write(path, data)
        return {"bundle": str(path), "bundle_sha256": hashlib.sha256(data).hexdigest()}
