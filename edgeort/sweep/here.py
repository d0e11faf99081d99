"""Cells one after the other in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from edgeort.sweep import running
from edgeort.sweep.cells import Cell
from edgeort.sweep.facts import FAILED
from edgeort.sweep.running import Outcome
from edgeort.sweep.watching import Watch


class Here:
    """Runs cells in this process."""

    def run(self, cells: Sequence[Cell], wants_bundles: bool, watch: Watch) -> Iterator[tuple[Cell, Outcome]]:
        """Every cell with its outcome, in their order."""
        for cell in cells:
            watch.at(cell, "begun")
            outcome = running.run(cell.order(), wants_bundle=wants_bundles, progress=partial(watch.at, cell))
            if outcome.lacking:
                names = ", ".join(name for _, name in outcome.lacking[:3])
                error = f"{names}: changed or removed while the sweep ran"
                outcome = Outcome({"status": FAILED, "error_kind": "InputError", "error": error})
            yield cell, outcome
