"""What a sweep says while it runs: a line for each cell at work, counts, time left."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from edgeort.sweep.cells import Cell
from edgeort.sweep.facts import DONE, FAILED, NOT_RUN, Row


class Watch(Protocol):
    """Is told what happens. Several threads may call it."""

    def at(self, cell: Cell, stage: str, worker: str = "") -> None:
        """The cell is at a stage (its first one: it began)."""

    def again(self, cell: Cell, why: str) -> None:
        """The cell will run once more."""

    def ended(self, cell: Cell, row: Row) -> None:
        """The cell has its row."""


class Silent:
    """Says nothing."""

    def at(self, cell: Cell, stage: str, worker: str = "") -> None:
        """Nothing."""

    def again(self, cell: Cell, why: str) -> None:
        """Nothing."""

    def ended(self, cell: Cell, row: Row) -> None:
        """Nothing."""


@dataclass
class Board:
    """What is known of all cells. `at_work` maps those that run to (stage, worker, time of begin)."""

    total: int
    earlier: int
    counts: dict[str, int] = field(default_factory=lambda: {DONE: 0, FAILED: 0, NOT_RUN: 0})
    at_work: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def summary(self) -> str:
        """`12/24 done, 1 failed, about 40 s left`."""
        left = self.total - sum(self.counts.values())
        ran = self.counts[DONE] + self.counts[FAILED]
        parts = [f"{self.counts[DONE]}/{self.total} done"]
        parts += [f"{self.counts[status]} {status}" for status in (FAILED, NOT_RUN) if self.counts[status]]
        parts += [f"{self.earlier} from earlier"] if self.earlier else []
        if left and ran:
            parts.append(f"about {duration((time.monotonic() - self.began) / ran * left)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Lines:
    """A line on stderr whenever a cell begins or ends."""

    def __init__(self, total: int, earlier: int) -> None:
        self.board, self._lock = Board(total, earlier), threading.RLock()

    def at(self, cell: Cell, stage: str, worker: str = "") -> None:
        """The first stage of a cell is a line."""
        with self._lock:
            if cell.name not in self.board.at_work:
                self._say(f"{cell.name}: begun{f' on {worker}' if worker else ''}")
            began = self.board.at_work.get(cell.name, ("", "", time.monotonic()))[2]
            self.board.at_work[cell.name] = (stage, worker, began)
            self._changed()

    def again(self, cell: Cell, why: str) -> None:
        """A line."""
        with self._lock:
            self.board.at_work.pop(cell.name, None)
            self._say(f"{cell.name}: {why}, runs again")
            self._changed()

    def ended(self, cell: Cell, row: Row) -> None:
        """A line with the counts."""
        with self._lock:
            self.board.at_work.pop(cell.name, None)
            self.board.counts[row["status"]] += 1
            took = f" in {row['seconds']:.1f} s" if row.get("seconds") is not None else ""
            why = f": {row['error']}" if row.get("error") else ""
            self._say(f"{cell.name}: {row['status']}{took}{why} ({self.board.summary()})")
            self._changed()

    def _say(self, line: str) -> None:
        print(f"edgeort: {line}", file=sys.stderr, flush=True)

    def _changed(self) -> None:
        """Lines that were said stay as they are."""


class Live(Lines):
    """On a terminal: what failed stays, and below it stand the cells at work and the counts."""

    def __init__(self, total: int, earlier: int, live: Any) -> None:
        super().__init__(total, earlier)
        self._live = live

    def _say(self, line: str) -> None:
        if ": done" not in line and ": begun" not in line:
            self._live.console.print(line, markup=False, highlight=False)

    def _changed(self) -> None:
        from rich.text import Text

        now, lines = time.monotonic(), []
        for name, (stage, worker, began) in self.board.at_work.items():
            lines.append(f"  {name}: {stage}, {duration(now - began)}{f' on {worker}' if worker else ''}")
        self._live.update(Text("\n".join([*lines, self.board.summary()])))


@contextmanager
def watching(total: int, earlier: int) -> Iterator[Watch]:
    """A watch on stderr, of `total` cells to run beside those that are finished from `earlier`."""
    if not sys.stderr.isatty():
        yield Lines(total, earlier)
        return
    from rich.console import Console
    from rich.live import Live as Screen

    with Screen(console=Console(stderr=True), refresh_per_second=4, transient=True) as screen:
        yield Live(total, earlier, screen)


def counts(rows: Mapping[str, Row]) -> dict[str, int]:
    """Rows by status."""
    found = dict.fromkeys((DONE, FAILED, NOT_RUN), 0)
    for row in rows.values():
        found[row["status"]] += 1
    return found
