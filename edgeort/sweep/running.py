"""One cell, where it runs: build, measure, judge; what was found is a row, also where something failed."""

from __future__ import annotations

import json
import math
import platform
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgeort import bench, device_profiles, pipeline
from edgeort.bundle import Bundle, open_bundle
from edgeort.device_profiles import Profile
from edgeort.device_profiles.schema import Where, read_table
from edgeort.devices import Job, open_device
from edgeort.devices.where import parse
from edgeort.errors import EdgeortError, InputError
from edgeort.model import parse_shapes
from edgeort.progress import Progress
from edgeort.quantize import Preprocessing
from edgeort.sweep import files, quiet
from edgeort.sweep.files import Parcel
from edgeort.sweep.places import Place
from edgeort.sweep.settings import PATHS, Settings
from edgeort.sweep.version import version
from edgeort.validate import Limits

DONE, FAILED, NOT_RUN = "done", "failed", "not run"
Row = dict[str, Any]


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
    return Outcome(_as_json(row), bundle)


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
    settings, place = _settings(order, parcels), _place(order)
    profile, model = _with_budget(place.profile, settings), files.place(parcels["model"])
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
            accuracy=_accuracy(settings),
            wish=_wish(settings),
            progress=progress,
        )
        row |= _of_build(built)
        with open_bundle(out) as bundle:
            row["threads"] = bundle.manifest.threads
            _measure(bundle, place, settings, built, row, progress)
    return out.read_bytes() if wants_bundle else None


def _measure(
    bundle: Bundle, place: Place, settings: Settings, built: pipeline.BuildResult, row: Row, progress: Progress | None
) -> None:
    """Adds to `row` what the device says. What the emulator says without being asked for, the build knows already."""
    manifest = bundle.manifest
    if place.where is None and not place.is_here:
        if built.measurement is None:
            row |= {"ran_on": built.checked_on.partition(";")[0], "is_real": False}
        else:
            row |= _of_measurement(built.measurement)
        return
    shared = nullcontext() if place.where is None or place.is_here else quiet.using(place.where)
    with shared, open_device(place.where, manifest) as device:
        if progress:
            progress(f"measuring on {device.name}")
        runs, warmup = (settings.runs, settings.warmup) if device.is_real else (1, 0)
        found = bench.measure(bundle, device, Job(manifest.threads, runs, warmup, check=True))
    row |= _of_measurement(found)
    bench.enforce(bench.judge(manifest.budgets, bundle.size_bytes, found))


def _of_build(built: pipeline.BuildResult) -> Row:
    chosen = next((one for one in built.candidates if one.chosen), None)
    noises = [one.sqnr_db for one in built.comparisons if one.sqnr_db is not None]
    row: Row = {
        "provider": built.provider,
        "bundle_bytes": built.bundle_bytes,
        "library_bytes": built.library_bytes,
        "model_bytes": built.model_bytes,
        "arena_bytes": built.arena_bytes or None,
        "nodes": built.nodes,
        "int8_nodes": built.precisions.get("int8", 0),
        "predicted_ms": (chosen.latency_ms or None) if chosen is not None and chosen.predicted else None,
        "max_difference": None if noises or not built.comparisons else built.max_difference,
        "sqnr_db": min(noises, default=None),
        "build_seconds": round(sum(built.seconds.values()), 3),
    }
    if built.evaluation is not None:
        found = built.evaluation
        row |= {"task": found.task, "samples": found.samples, "judged_on": found.where}
        row["figures"] = json.dumps(_as_json({figure.name: figure.value for figure in found.figures}), sort_keys=True)
        for figure in found.figures:
            if column := _FIGURES.get(figure.name):
                row[column] = figure.value
    return row


# Figure of a metric -> column.
_FIGURES = {
    "top1": "top1_percent",
    "drop": "drop_points",
    "agreement": "agreement",
    "sqnr_db": "data_sqnr_db",
    "cosine": "cosine",
}


def _of_measurement(found: bench.Measurement) -> Row:
    row: Row = {
        "ran_on": found.device,
        "is_real": found.is_real,
        "isa": found.isa,
        "threads": found.threads,
        "digest": found.digest,
        "arena_bytes": found.arena_bytes,
    }
    if not found.is_real:  # times and memory are those of the emulator
        return row
    latency = {f"latency_{name}_ms": found.latency_ms.get(name) for name in _LATENCIES}
    times = {"load_ms": found.load_ms, "first_run_ms": found.first_run_ms, "peak_rss_bytes": found.peak_rss_bytes}
    return {**row, **latency, **times, "runs": found.latency_ms.get("runs")}


_LATENCIES = ("p50", "p90", "p99", "min", "mean", "low", "high")


def _settings(order: Mapping[str, Any], parcels: Mapping[str, Parcel]) -> Settings:
    """The order's settings, with paths as they are on this machine."""
    table = dict(order["settings"])
    name = table.pop("name")
    placed = {role: str(files.place(parcels[role])) for role in PATHS if role in parcels}
    return read_table(Settings, {**table, **placed}, Where("settings"), name=name)


def _place(order: Mapping[str, Any]) -> Place:
    """The order's place; a name from edgeort.toml is that of this machine's."""
    table = dict(order["profile"])
    name = table.pop("name")
    where = None if order["where"] is None else str(parse(order["where"]))
    return Place(device_profiles.parse(table, name=name, file=f"{name}.toml"), where)


def _with_budget(profile: Profile, settings: Settings) -> Profile:
    own: dict[str, Any] = {
        "latency_ms": settings.max_latency_ms,
        "size_kb": settings.max_size_kb,
        "ram_mb": settings.max_rss_mb,
    }
    given = {key: value for key, value in own.items() if value is not None}
    return replace(profile, budget=replace(profile.budget, **given))


def _accuracy(settings: Settings) -> pipeline.Accuracy:
    prune = settings.prune
    return pipeline.Accuracy(
        settings.precision,  # type: ignore[arg-type]
        None if settings.data is None else Path(settings.data),
        None if settings.eval_data is None else Path(settings.eval_data),
        settings.labels,
        settings.task,
        Limits(settings.max_drop, settings.min_agreement, settings.min_sqnr),
        settings.output,
        None if settings.characters is None else Path(settings.characters),
        settings.samples,
        settings.exclude or (),
        _preprocessing(settings),
        "auto" if prune == "auto" else None if prune is None else float(prune),
        settings.sparsity,
    )


def _preprocessing(settings: Settings) -> Preprocessing | None:
    if settings.pictures is None:
        return None
    given: dict[str, Any] = {key: value for key, value in asdict(settings.pictures).items() if value is not None}
    if "size" in given:
        height, width = map(int, given["size"].split("x"))
        given["size"] = (height, width)
    return Preprocessing(**given)


def _wish(settings: Settings) -> pipeline.Wish:
    options = (option.partition("=") for option in settings.provider_option or ())
    wanted, required = settings.require or settings.provider, settings.require is not None
    return pipeline.Wish(wanted, required, {key.strip(): value.strip() for key, _, value in options})


def _as_json(row: Row) -> Row:
    """Without what JSON has no number for: `inf`, `-inf` and `nan` become texts."""
    return {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
