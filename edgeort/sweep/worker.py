"""What runs in a Dask worker."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any

from edgeort.sweep import files, running
from edgeort.sweep.files import Parcel
from edgeort.sweep.running import Outcome
from edgeort.sweep.version import version


def dask_setup(_: object) -> None:
    """Called by Dask in the processes of this machine: Ctrl-C is for the sweep, which ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def look(parcels: Sequence[Parcel]) -> tuple[str, list[tuple[str, str]]]:
    """This worker's version of edgeort, and the files of the parcels, by digest and name, that it does not have."""
    return version(), files.lacking(parcels)


def work(key: str, order: Mapping[str, Any], wants_bundle: bool, topic: str) -> Outcome:
    """Runs a cell; tells of each stage under the topic."""
    from distributed import get_worker

    worker = get_worker()

    def tell(stage: str) -> None:
        worker.log_event(topic, {"key": key, "stage": stage, "worker": worker.address})

    tell("begun")
    outcome = running.run(order, wants_bundle=wants_bundle, progress=tell)
    outcome.row["worker"] = worker.address
    return outcome
