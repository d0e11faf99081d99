"""One cell, where it runs: build, measure, judge; what was found is a row, also where something failed."""

from __future__ import annotations

import platform
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeort import bench, pipeline
from edgeort.bundle import Bundle, open_bundle
from edgeort.devices import Job, open_device
from edgeort.errors import EdgeortError, InputError
from edgeort.model import parse_shapes
from edgeort.plain import finite
from edgeort.progress import Progress
from edgeort.sweep import files, orders, quiet
from edgeort.sweep.facts import DONE, FAILED, Row, of_build, of_evaluation, of_measurement
from edgeort.sweep.files import Parcel
from edgeort.sweep.places import Place
from edgeort.sweep.settings import Settings
from edgeort.sweep.version import version
from edgeort.validate import Where, assess, enforce


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: columns of its row, and the bundle's archive where it was wanted.

    Or `lacking`: the files, by parcel and name, without which it could not start.
    """

    row: Row
    bundle: bytes | None = None
    lacking: tuple[tuple[str, str], ...] = ()


def run(order: Mapping[str, Any], *, wants_bundle: bool, progress: Progress | None = None) -> Outcome:
    """The outcome of an order (`Cell.order`). InputError where it comes from another edgeort."""
    if order["edgeort"] != version():
        raise InputError(
            f"{platform.node()} has edgeort {version()}, and the sweep is by {order['edgeort']}",
            hint="install the same edgeort on every machine, and start the workers again",
        )
    parcels = {role: Parcel(**parcel) for role, parcel in order["parcels"].items()}
    if missing := files.lacking(parcels.values()):
        return Outcome({}, lacking=tuple(missing))
    start, row = time.perf_counter(), Row(status=DONE, machine=platform.node(), edgeort=version())
    bundle = None
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        try:
            bundle = _work(order, parcels, Path(folder), wants_bundle, row, progress)
        except EdgeortError as error:
            row |= _failure(type(error).__name__, str(error), error.hint, folder)
        except Exception as error:  # a bug costs one cell, and its row shows the traceback
            row |= _failure(type(error).__name__, str(error) or "it says nothing", None, folder)
            row["traceback"] = traceback.format_exc()
    row["seconds"] = round(time.perf_counter() - start, 3)
    row["finished"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return Outcome(finite(row), bundle)


def _failure(kind: str, message: str, hint: str | None, folder: str) -> Row:
    """The columns of an error; paths in the temporary folder mean nothing to anybody."""
    texts = {"error": message, "hint": hint or ""}
    shown = {key: text.replace(f"{folder}/", "") or None for key, text in texts.items()}
    return {"status": FAILED, "error_kind": kind, **shown}


def _work(
    order: Mapping[str, Any],
    parcels: Mapping[str, Parcel],
    folder: Path,
    wants_bundle: bool,
    row: Row,
    progress: Progress | None,
) -> bytes | None:
    settings, place = orders.settings(order, parcels), orders.place(order)
    profile, model = orders.with_budget(place.profile, settings), files.place(parcels["model"])
    out = folder / f"{model.stem}-{profile.name}{'.zip' if wants_bundle else ''}"
    with quiet.alone() if place.is_here else quiet.working():
        built = pipeline.build(
            model,
            profile,
            out,
            shapes=parse_shapes(settings.shape or ()),
            io_layout="nhwc" if settings.io_layout == "nhwc" else "nchw",
            threads=settings.threads,
            ram_limit=settings.ram_limit,
            accuracy=orders.accuracy(settings),
            preprocess=None if settings.tensor_input else orders.recipe(settings),
            wish=orders.wish(settings),
            progress=progress,
        )
        row |= of_build(built)
        with open_bundle(out) as bundle:
            row["threads"] = bundle.manifest.threads
            _measure(bundle, model, place, settings, built, row, progress)
    return out.read_bytes() if wants_bundle else None


def _measure(
    bundle: Bundle,
    model: Path,
    place: Place,
    settings: Settings,
    built: pipeline.BuildResult,
    row: Row,
    progress: Progress | None,
) -> None:
    """Adds to `row` what the device says. What the emulator says without being asked for, the build knows already."""
    manifest = bundle.manifest
    if place.where is None and not place.is_here:
        if built.measurement is None:
            row |= {"ran_on": built.checked_on.partition(";")[0], "is_real": False}
        else:
            row |= of_measurement(built.measurement)
        return
    shared = nullcontext() if place.where is None or place.is_here else quiet.using(place.where)
    with shared, open_device(place.where, manifest) as device:
        if progress:
            progress(f"measuring on {device.name}")
        runs, warmup = (settings.runs, settings.warmup) if device.is_real else (1, 0)
        found = bench.measure(bundle, device, Job(manifest.threads, runs, warmup, check=True))
        row |= of_measurement(found)
        bench.enforce(bench.judge(manifest.budgets, bundle.size_bytes, found))
        exam = orders.exam(settings)
        if exam is not None and not place.is_here:
            judged = assess(bundle, model, exam, where=Where(device=device, golden_passed=True), progress=progress)
            row |= of_evaluation(judged)
            enforce(judged)
