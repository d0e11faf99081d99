"""quantize(): from a float model and samples to a QDQ model. Reads top to bottom as the list of stages."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from threadpoolctl import threadpool_limits

from edgeort.model import must_differ, write
from edgeort.passes.edit import dims
from edgeort.progress import Progress
from edgeort.quantize import blocks, calibration, dynamic, equalisation
from edgeort.quantize.attempts import Attempts, spread_over
from edgeort.quantize.calibrating import Calibrated, calibrated
from edgeort.quantize.comparing import References
from edgeort.quantize.forms import Form
from edgeort.quantize.halving import in_halves
from edgeort.quantize.options import Options, check_options
from edgeort.quantize.preparing import Prepared, already_quantised, prepare
from edgeort.quantize.promotions import FLOAT_LAYER, WEIGHTS_ONLY
from edgeort.quantize.ranges_file import RangesFile
from edgeort.quantize.result import Result
from edgeort.quantize.samples import Data, Samples, open_samples
from edgeort.quantize.search import search
from edgeort.quantize.selection import Selection
from edgeort.quantize.store import Store
from edgeort.quantize.task import Task
from edgeort.quantize.weighing import ChannelScales, with_best_ranges, with_channel_scales
from edgeort.recipes.hearing import Hearing

PROMOTED = {  # why a layer is float, and how far
    FLOAT_LAYER: "the budget needs it",
    WEIGHTS_ONLY: "the budget needs it; only its weights are int8",
    Form.HALF: "the budget needs it; its weights are float16",
}


def quantize(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    data: Data | None = None,
    options: Options | None = None,
    *,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    progress: Progress | None = None,
    tell: Progress | None = None,
) -> Result:
    """Quantises the ONNX file `model` to `output` with `data`: a .npy, .npz, a folder of them or of pictures, or dicts.

    `tell` receives sentences that matter before the work: memory, the recipe of pictures. Raises ModelError, InputError
    for data or ranges, OutputError, BudgetError. A model that is quantised already is left alone: nothing is written.
    """
    start, options = time.perf_counter(), options or Options()
    check_options(options, data)
    if already_quantised(model):
        size = Path(model).stat().st_size
        return Result(str(model), str(output), size, size, was_quantised=True)
    must_differ(model, output, "quantised")
    prepared = prepare(model, shapes)
    task = Task(Path(model), prepared, _samples(data, prepared, options), options, progress).checked()
    made = in_halves(task, Path(output)) if options.weights == "float16" else _in_integers(task, Path(output), tell)
    return replace(made, seconds=time.perf_counter() - start)


def _samples(data: Data | None, prepared: Prepared, options: Options) -> Samples | None:
    if data is None:
        return None
    return open_samples(data, prepared.inputs, options.recipe).limited(options.samples)


def _in_integers(task: Task, output: Path, tell: Progress | None) -> Result:
    """Writes the model with layers of int8 or int4 weights to `output`."""
    options, selection = task.options, task.select()
    if tell and task.samples is not None:
        _announce(tell, selection, task.samples)
    # Samples are worked on in parallel already.
    with threadpool_limits(1, "blas"), Store() as store, Store(in_memory=0) as judge:
        known = calibrated(task, selection, store, judge)
        fit = _fitted(task, known)
        made, ledger = search(fit.attempts, options.exclude, task.goal, task.progress, options.rates)
        apart = fit.attempts.apart
        judged = tuple(fit.attempts.verdict(made.model)) if apart else made.differences
    write(output, dynamic.inlined(made.model) if options.inline else made.model)
    return Result(
        str(task.path),
        str(output),
        task.path.stat().st_size,
        len(made.model),
        method=fit.method,
        samples=known.calibration.samples,
        settled_at=known.calibration.settled_at,
        layers=len(made.selection.layers),
        tensors=len(made.selection.tensors),
        forms={str(form): count for form, count in Counter(made.selection.forms.values()).items()},
        tables=made.tables,
        recurrent=len(made.recurrent),
        recurrent_dynamic=sum(form is Form.DYNAMIC for form in made.recurrent.values()),
        equalised=fit.equalised,
        evened=known.evened,
        scales=fit.scales,
        left=made.selection.left | {e.layer: PROMOTED[e.to] for e in ledger if e.promoted and e.to in PROMOTED},
        warnings=tuple(known.calibration.warnings),
        differences=judged,
        judged_apart=apart,
        ledger=tuple(ledger),
    )


@dataclass(frozen=True)
class _Fit:
    """Attempts that begin with what suits the whole model best, and what that is, as `Result` has it."""

    attempts: Attempts
    method: str
    scales: ChannelScales | None
    equalised: int


def _fitted(task: Task, known: Calibrated) -> _Fit:
    """Chooses what is one for the whole model, before layers: ranges, scales for channels, equalisation."""
    options, selection = task.options, known.selection
    attempts, method = with_best_ranges(_attempts(task, known), selection, options.method, options.exclude)
    attempts, scales = with_channel_scales(attempts, selection, options.exclude, weigh=options.weighs_scales)
    if options.save_ranges is not None and task.samples is not None:
        found = attempts.calibration
        ranges = {name: found.ranges[name] for name in known.named}
        RangesFile(task.prepared.sha256, method, found.samples, ranges, found.extremes).save(options.save_ranges)
    if not task.steps.equalisation or options.ranges is not None:
        return _Fit(attempts, method, scales, 0)
    if task.progress:
        task.progress("equalising channels across layers")
    attempts, pairs = equalisation.equalised(attempts, options.exclude)
    return _Fit(attempts, method, scales, pairs)


def _attempts(task: Task, known: Calibrated) -> Attempts:
    options = task.options
    return Attempts(
        task.prepared,
        known.calibration,
        spread_over(known.selection, known.calibration.ranges),
        known.store,
        known.judge,
        References(known.judge),
        task.steps,
        options.forms,
        options.block or blocks.BLOCK,
        own_runtime=options.runtime == "edgeort",
        rows_in_blocks=options.rows_in_blocks,
        progress=task.progress,
    )


def _announce(tell: Progress, selection: Selection, samples: Samples) -> None:
    """What the work will take, and what is done to pictures."""
    shapes = [None if value.shape is None else dims(value) for value in selection.tensors]
    known = [
        math.prod(s)
        for shape in shapes
        if (s := [d for d in shape or ["?"] if isinstance(d, int)]) and len(s) == len(shape or ())
    ]
    n_bytes = 4 * sum(known) if len(known) == len(shapes) else None
    count = "samples" if samples.count is None else f"{samples.count} samples"
    tell(f"{count} from {samples.source}; memory: {calibration.memory_text(n_bytes, len(shapes))}")
    if samples.front is not None:
        what = "sound" if isinstance(samples.front, Hearing) else "pictures"
        tell(f"{what}: {samples.front.text()}")
