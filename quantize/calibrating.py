"""Ranges for a task, from its samples or a file, and the float model edited so that eight bits suit its tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgeort.passes.edit import opset
from edgeort.quantize import calibration, channels, concats, equalisation, ranges_file
from edgeort.quantize.calibration import Calibration, Kept
from edgeort.quantize.evening import even_out, spreads
from edgeort.quantize.functions import behind, evaluator
from edgeort.quantize.preparing import Prepared
from edgeort.quantize.ranges import Function
from edgeort.quantize.ranges_file import RangesFile
from edgeort.quantize.refinement import measuring_points
from edgeort.quantize.selection import Selection
from edgeort.quantize.smoothing import smooth
from edgeort.quantize.store import Store
from edgeort.quantize.task import Task

JUDGE_SAMPLES = 1000  # that the result is compared on, besides those of refinement


@dataclass(frozen=True)
class Calibrated:
    """What is known of the float model's tensors, as it is now; `evened` of them have channels that take factors.

    `named` are those of the model as it came, which a file of ranges has. `store` has the samples to refine on, `judge`
    others.
    """

    calibration: Calibration
    selection: Selection
    named: tuple[str, ...]
    evened: int
    store: Store
    judge: Store


def calibrated(task: Task, selection: Selection, store: Store, judge: Store) -> Calibrated:
    """Fills the stores with samples, and edits the task's graph: its outputs stay the same. Raises InputError."""
    keep = Kept(store, judge, task.options.refine_samples, JUDGE_SAMPLES, task.samples.count if task.samples else None)
    found = _ranges(task, selection, keep)
    named, evened = tuple(found.ranges), 0
    found = concats.even_out(task.prepared, selection, found)
    selection = task.select()
    if task.steps.equalisation and task.options.ranges is None:
        stores = store, judge
        found, evened = even_out(task.prepared, selection, found, stores, task.options.method, task.progress)
        selection = task.select()
    if task.steps.smoothing:
        smooth(task.prepared, selection, store)
    return Calibrated(found, selection, named, evened, store, judge)


def _ranges(task: Task, selection: Selection, keep: Kept) -> Calibration:
    """Ranges from the file or the samples. `keep` receives samples."""
    prepared, options, steps = task.prepared, task.options, task.steps
    tensors = [str(value.name) for value in selection.tensors if value not in selection.source]
    given = None
    if options.ranges is not None:
        given = ranges_file.read(options.ranges).checked(options.ranges, prepared.sha256, tensors)
    if task.samples is None:
        return _given(Calibration({}, {}, given.samples), given) if given else Calibration({}, {})
    found = calibration.calibrate(
        prepared,
        task.samples,
        () if given else tensors,
        options.method,
        means=dict(measuring_points(selection.layers).values()) if steps.bias_correction else {},
        functions={} if given else _functions(prepared, selection),
        channels=_by_channels(prepared, selection, equalises=steps.equalisation),
        keep=keep,
        progress=task.progress,
    )
    return _given(found, given) if given else found


def _by_channels(prepared: Prepared, selection: Selection, *, equalises: bool) -> list[str]:
    """The tensors whose channels' extremes are needed, by name."""
    graph = prepared.model.graph
    between = {pair.between for pair in equalisation.pairs(graph)}
    between |= {spread.value for spread in spreads(graph, selection)}
    return [
        str(value.name)
        for value in selection.tensors
        if channels.keeps_channels_apart(value) or (equalises and value in between)
    ]


def _given(found: Calibration, given: RangesFile) -> Calibration:
    """The calibration with the ranges of a file, between which there is no choice."""
    ranges = dict(given.ranges)
    return replace(found, ranges=ranges, choices={given.method: ranges})


def _functions(prepared: Prepared, selection: Selection) -> dict[str, Function]:
    """What is done to tensors that go through functions and nowhere else, by name."""
    regions = map(behind, selection.tensors)
    return {
        str(region.value.name): evaluator(region, opset(prepared.model))
        for region in regions
        if region.nodes and region.is_uniform
    }
