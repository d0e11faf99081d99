"""Cells over a Dask cluster: a scheduler somewhere, or processes here.

A worker that has a device declares it (`dask worker tcp://... --resources "raspberrypi4=1"`): a cell that needs it runs
there only, as many at a time as there are devices. No more cells are given to the cluster than can run, so that a
worker that is lost takes no other with it, and workers may come and go. A cell whose worker is lost runs again; one
that keeps losing its workers fails (Dask's `distributed.scheduler.allowed-failures`).
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeort.errors import DeviceError, EdgeortError, InputError, MissingExtraError
from edgeort.sweep import files, worker
from edgeort.sweep.cells import Cell
from edgeort.sweep.columns import INSTALL
from edgeort.sweep.facts import FAILED, NOT_RUN
from edgeort.sweep.interrupts import uninterrupted
from edgeort.sweep.running import Outcome
from edgeort.sweep.watching import Watch

if TYPE_CHECKING:
    from distributed import Client, Future

TICK_S = 1.0  # between looks at who is there
PATIENCE_S = 60.0  # that a device, once there, may be away
CONNECT_S = 10.0
TRIES = 3  # of a cell that comes back without having run


@dataclass(frozen=True)
class Worker:
    """A worker that is there: cells at a time, and of devices at a time."""

    address: str
    name: str
    threads: int
    resources: dict[str, float]

    def slots(self, resource: str | None) -> int:
        """How many cells that need the resource it runs at a time."""
        return self.threads if resource is None else min(self.threads, int(self.resources.get(resource, 0)))


@contextmanager
def connected(scheduler: str | None, workers: int | None) -> Iterator[Cluster]:
    """The cluster of the scheduler, or `workers` processes here. DeviceError where nothing answers or works."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingExtraError("sweeps over workers need dask, which is not installed", hint=INSTALL) from error
    if scheduler is None:
        how: dict[str, Any] = {"threads_per_worker": 1, "memory_limit": 0, "preload": [worker.__name__]}
        quiet: dict[str, Any] = {"dashboard_address": None, "silence_logs": logging.CRITICAL}
        with ExitStack() as stack:
            with uninterrupted():
                local = stack.enter_context(LocalCluster(n_workers=workers, **how, **quiet))
                client = stack.enter_context(Client(local, set_as_default=False))
            yield Cluster(client, is_here=True)
        return
    try:
        client = Client(scheduler, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = "start one with: dask scheduler; its address is printed, such as tcp://192.168.0.2:8786"
        raise DeviceError(f"no Dask scheduler answers at {scheduler}: {reason}", hint=hint) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError as error:
            hint = f'dask worker {scheduler} --nthreads 1 --resources "raspberrypi4=1"'
            raise DeviceError(f"the scheduler at {scheduler} has no workers", hint=hint) from error
        yield Cluster(client, is_here=False)


class Cluster:
    """Runs cells on the workers. With `is_here` they are processes of this machine, which has every device."""

    def __init__(self, client: Client, *, is_here: bool, patience_s: float = PATIENCE_S) -> None:
        self._client, self._is_here, self.patience_s = client, is_here, patience_s
        self._topic = f"edgeort-{uuid.uuid4().hex}"
        self._delivered: set[tuple[str, str]] = set()  # worker, digest of a parcel
        self._seen: dict[str | None, float] = {}  # resource -> when a worker had it last
        self._running: dict[Future, Cell] = {}
        self._tries = Counter[str]()  # cell's key -> how often it came back without having run
        self._news = threading.Event()  # some future is done
        self._place: dict[str, str] = {}  # cell's key -> address of the worker that it began on
        self._names: dict[str, str] = {}  # address -> name of every worker that was seen

    def run(self, cells: Sequence[Cell], wants_bundles: bool, watch: Watch) -> Iterator[tuple[Cell, Outcome]]:
        """Every cell with its outcome, as they end. InputError where a worker has another edgeort."""
        by_key = {cell.key: cell for cell in cells}
        self._client.subscribe_topic(self._topic, lambda event: self._heard(event, by_key, watch))
        waiting = list(cells)
        try:
            while waiting or self._running:
                workers = self._workers()
                self._tell_lost(workers, watch)
                for cell in self._hopeless([*waiting, *self._running.values()], workers):
                    yield cell, self._given_up(cell, waiting)
                for cell in self._startable(waiting, workers):
                    waiting.remove(cell)
                    self._deliver(cell, workers)
                    self._submit(cell, wants_bundles)
                if not self._running:
                    time.sleep(TICK_S if waiting else 0)
                    continue
                self._news.wait(TICK_S)
                self._news.clear()
                for future in [future for future in self._running if future.done()]:
                    cell = self._running.pop(future)
                    self._place.pop(cell.key, None)
                    outcome = _outcome(future)
                    if outcome is None or outcome.lacking:  # a worker that came late: it gets the files
                        outcome = self._once_more(cell, waiting)
                    if outcome is not None:
                        yield cell, outcome
        finally:
            with suppress(Exception):  # the scheduler may be gone
                self._client.unsubscribe_topic(self._topic)
                self._client.cancel(list(self._running), force=True)
            self._running.clear()

    def _resource(self, cell: Cell) -> str | None:
        return None if self._is_here else cell.place.resource

    def _workers(self) -> list[Worker]:
        try:
            found = self._client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, TimeoutError) as error:
            hint = "start it and the sweep again: finished cells are kept"
            raise DeviceError(f"the scheduler does not answer any more: {error}", hint=hint) from error
        workers = [
            Worker(address, f"worker {told['name']}", told["nthreads"], told.get("resources") or {})
            for address, told in found.items()
        ]
        self._names.update((one.address, one.name) for one in workers)
        now = time.monotonic()
        for resource in {None, *(name for one in workers for name in one.resources)}:
            if any(one.slots(resource) for one in workers):
                self._seen[resource] = now
        return workers

    def _startable(self, waiting: Sequence[Cell], workers: Sequence[Worker]) -> list[Cell]:
        """As many as can begin now; those that need a device first, because only some workers have it."""
        busy = [self._resource(cell) for cell in self._running.values()]
        free = sum(one.threads for one in workers) - len(busy)
        of_device: dict[str | None, int] = {}
        found: list[Cell] = []
        for cell in sorted(waiting, key=lambda one: self._resource(one) is None):
            resource = self._resource(cell)
            if resource not in of_device:
                slots = sum(one.slots(resource) for one in workers)
                of_device[resource] = slots - (busy.count(resource) if resource else len(busy))
            if len(found) < free and of_device[resource] > 0:
                of_device[resource] -= 1
                found.append(cell)
        return found

    def _hopeless(self, cells: Sequence[Cell], workers: Sequence[Worker]) -> list[Cell]:
        """Those that no worker can run: none ever could, or none could for long."""
        now, found = time.monotonic(), []
        for cell in cells:
            resource = self._resource(cell)
            if not any(one.slots(resource) for one in workers):
                seen = self._seen.get(resource)
                if seen is None or now - seen > self.patience_s:
                    found.append(cell)
        return found

    def _given_up(self, cell: Cell, waiting: list[Cell]) -> Outcome:
        resource = self._resource(cell)
        if cell in waiting:
            waiting.remove(cell)
        for future in [future for future, one in self._running.items() if one is cell]:
            del self._running[future]
            future.cancel()
        if resource is None:
            what, hint = "no worker is left", "dask worker SCHEDULER"
        else:
            what = f"no worker declares the device {resource}"
            hint = f'dask worker SCHEDULER --resources "{resource}=1"'
        return Outcome({"status": NOT_RUN, "error_kind": "DeviceError", "error": what, "hint": hint})

    def _submit(self, cell: Cell, wants_bundle: bool) -> None:
        resource = self._resource(cell)
        future = self._client.submit(
            worker.work,
            cell.key,
            cell.order(),
            wants_bundle,
            self._topic,
            key=f"edgeort-{cell.key[:16]}-{uuid.uuid4().hex[:8]}",
            resources=None if resource is None else {resource: 1},
            pure=False,
        )
        self._running[future] = cell
        future.add_done_callback(lambda _: self._news.set())

    def _deliver(self, cell: Cell, workers: Sequence[Worker]) -> None:
        """Sends the cell's files to the workers that may run it and do not have them."""
        able = [one for one in workers if one.slots(self._resource(cell))]
        parcels = {parcel.digest: parcel for parcel in cell.parcels.values()}
        new = [one for one in able if any((one.address, digest) not in self._delivered for digest in parcels)]
        if not new:
            return
        told = self._on(worker.look, new, list(parcels.values()))
        for digest, name in sorted({item for _, missing in told.values() for item in missing}):
            lackers = [one for one in new if one.address in told and (digest, name) in told[one.address][1]]
            self._on(files.receive, lackers, digest, name, files.read(parcels[digest], name))
        self._delivered.update((address, digest) for address in told for digest in parcels)

    def _on(self, function: Any, workers: Sequence[Worker], *arguments: Any) -> dict[str, Any]:
        """What the function gives on each worker, by address; one that is lost meanwhile is left out."""
        names = {one.address: one.name for one in workers}
        if not names:
            return {}
        answers = self._client.run(function, *arguments, workers=list(names), on_error="return")
        for address, answer in answers.items():
            if isinstance(answer, (ImportError, AttributeError)):
                hint = f"install the same edgeort there: {INSTALL}"
                raise InputError(f"{names[address]} cannot run cells: {answer}", hint=hint) from answer
            if isinstance(answer, EdgeortError):
                raise DeviceError(f"{names[address]}: {answer}", hint=answer.hint) from answer
            if isinstance(answer, Exception) and not isinstance(answer, (OSError, TimeoutError)):
                raise answer
        return {address: answer for address, answer in answers.items() if not isinstance(answer, Exception)}

    def _once_more(self, cell: Cell, waiting: list[Cell]) -> Outcome | None:
        """The cell waits again, and its files are delivered to all; an outcome where that was tried too often."""
        self._tries[cell.key] += 1
        if self._tries[cell.key] > TRIES:
            what = "its worker does not keep the files that it is sent, or gives the cell back"
            return Outcome({"status": FAILED, "error_kind": "DeviceError", "error": what})
        digests = {parcel.digest for parcel in cell.parcels.values()}
        self._delivered = {pair for pair in self._delivered if pair[1] not in digests}
        waiting.insert(0, cell)
        return None

    def _heard(self, event: tuple[float, dict[str, str]], cells: dict[str, Cell], watch: Watch) -> None:
        told = event[1]
        key, there = told["key"], told["worker"]
        if key not in {cell.key for cell in list(self._running.values())}:
            return
        before = self._place.get(key, there)
        self._place[key] = there
        if before != there:
            watch.again(cells[key], f"{self._names.get(before, before)} is gone")
        watch.at(cells[key], told["stage"], self._names.get(there, there))

    def _tell_lost(self, workers: Sequence[Worker], watch: Watch) -> None:
        addresses = {one.address for one in workers}
        for cell in list(self._running.values()):
            where = self._place.get(cell.key)
            if where is not None and where not in addresses:
                del self._place[cell.key]
                watch.again(cell, f"{self._names.get(where, where)} is gone")


def _outcome(future: Future) -> Outcome | None:
    """What became of a cell; None where it was cancelled behind our back. InputError where versions differ."""
    from distributed import KilledWorker

    if future.status == "finished":
        found: Outcome = future.result()
        return found
    if future.status == "cancelled":
        return None
    error = future.exception()
    if isinstance(error, InputError):  # of another edgeort: no cell is to blame
        raise error
    if isinstance(error, KilledWorker):
        times = error.allowed_failures + 1
        what = f"it ended its worker {times} times; the last was {error.last_worker.name}"
        hint = "memory, or a crash: the worker's log has it; --retry tries once more"
        return Outcome({"status": FAILED, "error_kind": "KilledWorker", "error": what, "hint": hint})
    return Outcome({"status": FAILED, "error_kind": type(error).__name__, "error": str(error) or "it says nothing"})
