"""quantize(): from a float model and samples to a QDQ model. Reads top to bottom as the list of stages."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir
from threadpoolctl import threadpool_limits

from edgeort.errors import BudgetError, InputError, ModelError
from edgeort.model import must_differ, write
from edgeort.passes.edit import dims, opset
from edgeort.progress import Progress
from edgeort.quantize import blocks, calibration, channels, concats, dynamic, equalisation, half_floats, ranges_file
from edgeort.quantize.attempts import NO_STEPS, Attempt, Attempts, checked, spread_over
from edgeort.quantize.calibration import Calibration, Kept
from edgeort.quantize.comparing import Comparison, References
from edgeort.quantize.evening import even_out, spreads
from edgeort.quantize.forms import Form
from edgeort.quantize.functions import behind, evaluator
from edgeort.quantize.goals import kept
from edgeort.quantize.measuring import run_both
from edgeort.quantize.options import Options, check_options
from edgeort.quantize.parts import parts
from edgeort.quantize.preparing import Prepared, already_quantised, prepare
from edgeort.quantize.promotions import FLOAT_LAYER, WEIGHTS_ONLY
from edgeort.quantize.ranges import Function
from edgeort.quantize.ranges_file import RangesFile
from edgeort.quantize.recurrent import nodes, recurrent
from edgeort.quantize.refinement import Steps, measuring_points
from edgeort.quantize.result import Result
from edgeort.quantize.samples import Data, Samples, open_samples
from edgeort.quantize.search import search
from edgeort.quantize.selection import Selection, select
from edgeort.quantize.smoothing import smooth
from edgeort.quantize.store import Store
from edgeort.quantize.weighing import with_best_ranges, with_channel_scales
from edgeort.recipes.hearing import Hearing

JUDGE_SAMPLES = 1000  # that the result is compared on, besides those of refinement
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
        return Result(str(model), str(output), size, size, seconds=0.0, was_quantised=True)
    must_differ(model, output, "quantised")
    prepared = prepare(model, shapes)
    if options.budget.is_set and all(value.dtype != ir.DataType.FLOAT for value in prepared.model.graph.outputs):
        raise InputError(
            f"{model}: the budget is measured on outputs of real numbers, and there are none",
            hint=f"edgeort build {model} --device host --precision int8 --data DIR --min-agreement 0.99",
        )
    samples = _samples(data, prepared, options)
    if options.weights == "float16":
        return _in_halves(Path(model), Path(output), prepared, samples, options, start)
    selection = _select(model, prepared, options)
    if tell and samples is not None:
        _announce(tell, prepared, selection, samples)
    # Samples are worked on in parallel already.
    with threadpool_limits(1, "blas"), Store() as store, Store(in_memory=0) as judge:
        steps = NO_STEPS if samples is None else options.steps
        keep = Kept(store, judge, options.refine_samples, JUDGE_SAMPLES, samples.count if samples else None)
        found = _calibrate(prepared, selection, samples, options, steps, keep, progress)
        calibrated = tuple(found.ranges)
        found = concats.even_out(prepared, selection, found)
        selection = _select(model, prepared, options)
        evened = 0
        if steps.equalisation and options.ranges is None:
            found, evened = even_out(prepared, selection, found, (store, judge), options.method, progress)
            selection = _select(model, prepared, options)
        if steps.smoothing:
            smooth(prepared, selection, store)
        attempts = Attempts(
            prepared, found, spread_over(selection, found.ranges), store, judge, References(judge), steps,
            options.forms,
            options.block or blocks.BLOCK, own_runtime=options.runtime == "edgeort",
            rows_in_blocks=options.rows_in_blocks, progress=progress,
        )  # fmt: skip
        attempts, method = with_best_ranges(attempts, selection, options.method, options.exclude)
        attempts, scales = with_channel_scales(attempts, selection, options.exclude, weigh=options.weighs_scales)
        if options.save_ranges is not None and samples is not None:
            ranges = {name: attempts.calibration.ranges[name] for name in calibrated}
            RangesFile(prepared.sha256, method, found.samples, ranges, found.extremes).save(options.save_ranges)
        pairs = 0
        if steps.equalisation and options.ranges is None:
            if progress:
                progress("equalising channels across layers")
            attempts, pairs = equalisation.equalised(attempts, options.exclude)
        made, ledger = search(attempts, options.exclude, options.goal or options.budget, progress, options.rates)
        judged = tuple(attempts.verdict(made.model)) if attempts.apart else made.differences
    write(output, dynamic.inlined(made.model) if options.inline else made.model)
    left = made.selection.left | {e.layer: PROMOTED[e.to] for e in ledger if e.promoted and e.to in PROMOTED}
    return Result(
        str(model),
        str(output),
        Path(model).stat().st_size,
        len(made.model),
        time.perf_counter() - start,
        method=method,
        samples=found.samples,
        settled_at=found.settled_at,
        layers=len(made.selection.layers),
        tensors=len(made.selection.tensors),
        forms=_counts(made),
        tables=made.tables,
        recurrent=len(made.recurrent),
        recurrent_dynamic=sum(form is Form.DYNAMIC for form in made.recurrent.values()),
        equalised=pairs,
        evened=evened,
        scales=scales,
        left=left,
        warnings=tuple(found.warnings),
        differences=judged,
        judged_apart=attempts.apart,
        ledger=tuple(ledger),
    )


def _in_halves(
    model: Path, output: Path, prepared: Prepared, samples: Samples | None, options: Options, start: float
) -> Result:
    """Stores constants as float16. Raises BudgetError."""
    stored = prepared.model.clone()
    _check_names(model, stored.graph, options.exclude)
    values = half_floats.weights(stored.graph, options.exclude)
    left = half_floats.store(stored.graph, values)
    made = checked(stored)
    budget = options.goal or options.budget
    pairs = run_both(prepared.serialized, made, samples) if samples is not None else iter(())
    compared = Comparison(pairs, samples.count if samples is not None else 0, parts(prepared.model.graph))
    attempt = Attempt(made, Selection([], {}, [], {}, left), 0, {}, compared)
    if not kept(budget, attempt):
        raise BudgetError(
            f"the budget ({budget.text()}) is not kept with float16 weights: {budget.reached(attempt)}",
            hint=budget.hint,
        )
    write(output, made)
    count = len(values) - len(left)
    return Result(
        str(model),
        str(output),
        model.stat().st_size,
        len(made),
        time.perf_counter() - start,
        samples=(samples.count or 0) if samples else 0,
        layers=count,
        forms={str(Form.HALF): count},
        left=left,
        differences=attempt.differences,
    )


def _check_names(model: str | os.PathLike[str], graph: ir.Graph, names: Collection[str]) -> None:
    if unknown := sorted(set(names) - {str(node.name) for node in (*graph, *nodes(graph))}):
        raise InputError(f"{model}: no node is called {unknown[0]!r}", hint=f"edgeort inspect {model}")


def _counts(made: Attempt) -> dict[str, int]:
    return {str(form): count for form, count in Counter(made.selection.forms.values()).items()}


def _samples(data: Data | None, prepared: Prepared, options: Options) -> Samples | None:
    if data is None:
        return None
    return open_samples(data, prepared.inputs, options.recipe).limited(options.samples)


def _select(model: str | os.PathLike[str], prepared: Prepared, options: Options) -> Selection:
    graph = prepared.model.graph
    _check_names(model, graph, options.exclude)
    selection = select(graph, options.exclude, options.forms)
    if not selection.layers and not recurrent(graph, options.exclude):
        reasons = "; ".join(f"{name}: {why}" for name, why in list(selection.left.items())[:3])
        raise ModelError(f"{model}: there is no layer to quantise ({reasons or 'no Conv, Gemm, LSTM or MatMul'})")
    return selection


def _calibrate(
    prepared: Prepared,
    selection: Selection,
    samples: Samples | None,
    options: Options,
    steps: Steps,
    keep: Kept,
    progress: Progress | None,
) -> Calibration:
    """Ranges from the file or the samples. `keep` receives samples."""
    tensors = [str(value.name) for value in selection.tensors if value not in selection.source]
    given = None
    if options.ranges is not None:
        given = ranges_file.read(options.ranges).checked(options.ranges, prepared.sha256, tensors)
    if samples is None:
        return _given(Calibration({}, {}, given.samples), given) if given else Calibration({}, {})
    graph = prepared.model.graph
    between = {pair.between for pair in equalisation.pairs(graph)}
    between |= {spread.value for spread in spreads(graph, selection)}
    means = dict(measuring_points(selection.layers).values()) if steps.bias_correction else {}
    found = calibration.calibrate(
        prepared,
        samples,
        () if given else tensors,
        options.method,
        means=means,
        functions={} if given else _functions(prepared, selection),
        channels=[
            str(value.name)
            for value in selection.tensors
            if channels.keeps_channels_apart(value) or (steps.equalisation and value in between)
        ],
        keep=keep,
        progress=progress,
    )
    return _given(found, given) if given else found


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


def _announce(tell: Progress, prepared: Prepared, selection: Selection, samples: Samples) -> None:
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
