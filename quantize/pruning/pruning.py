"""prune(): from a float model and samples to one with fewer channels. Reads top to bottom as the list of stages."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from edgeort.errors import InputError, ModelError
from edgeort.model import must_differ, write
from edgeort.progress import Progress
from edgeort.quantize.preparing import already_quantised, prepare
from edgeort.quantize.pruning.channels import Tracker
from edgeort.quantize.pruning.choosing import Order, order
from edgeort.quantize.pruning.groups import Group, find_groups
from edgeort.quantize.pruning.judging import Judge, Score
from edgeort.quantize.pruning.ledger import Costs, Step, steps
from edgeort.quantize.pruning.reading import Reads, read
from edgeort.quantize.pruning.removing import Remover
from edgeort.quantize.pruning.searching import Plan, search
from edgeort.quantize.pruning.statistics import gather
from edgeort.quantize.pruning.tracing import trace
from edgeort.quantize.samples import Data
from edgeort.quantize.store import Store

PROBE_SAMPLES = 16  # on which a group's reach is measured


@dataclass(frozen=True)
class Options(Reads):
    """How to prune. `ratio` is the share of the multiply-adds that go; None: as many as the budget allows.

    Of every group's channels a multiple of `multiple` stays. Layers of `exclude` keep their channels.
    """

    ratio: float | None = None
    multiple: int = 16
    exclude: Collection[str] = ()


@dataclass(frozen=True)
class Line:
    """A group in the report: its layers, and how many channels they have and had."""

    layers: str
    channels: int
    before: int


@dataclass(frozen=True)
class Result:
    """What was made. `ratio` is the share of the multiply-adds that went; `score` is of samples not fitted to."""

    model: str
    output: str
    ratio: float
    multiply_adds: float
    groups: tuple[Line, ...]
    left: dict[str, str]
    samples: int
    judged: int
    score: Score
    warnings: tuple[str, ...]
    model_bytes: int
    output_bytes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**asdict(self), "score": self.score.to_dict()}


def prune(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    data: Data,
    options: Options | None = None,
    *,
    judging: Data | None = None,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    progress: Progress | None = None,
) -> Result:
    """Prunes the ONNX file `model` to `output` with `data`: a .npy, .npz, a folder of them or of pictures, or dicts.

    `judging` are the samples that judge; None: a part of `data`.

    Raises ModelError, InputError for options, data or labels, OutputError, BudgetError; then nothing is written.
    """
    start, options, tell = time.perf_counter(), options or Options(), progress or (lambda _: None)
    must_differ(model, output, "pruned")
    _check(model, options)
    prepared = prepare(model, shapes)
    tracker = trace(prepared.model.graph)
    groups, left = _groups(tracker, model, options)
    with threadpool_limits(1, "blas"), Store() as store, Store() as rest:  # samples are worked on in parallel
        samples = read(prepared, data, judging, options, store, rest)
        tell(f"looking at {store.samples} samples")
        layers = gather(prepared, [tied.layer for tied in tracker.layers], store)
        remover = Remover(prepared, layers, store, progress)
        costs = Costs(tracker, {name: layer.positions for name, layer in layers.items()})
        orders = [order(group, layers) for group in groups]
        plan = Plan(_ledger(orders, options.multiple, costs, remover, samples.judge, tell), costs)
        made = search(plan, remover, samples.judge, options.ratio, options.budget, tell)
    write(output, made.model)
    alive = tracker.alive(made.gone)
    lines = tuple(Line(g.name, g.size - int((~alive(g.roots)).sum()), g.size) for g in groups)
    return Result(
        str(model), str(output), plan.ratio(made.gone), costs.total(), lines, left, samples.fitted, samples.judged,
        made.score, tuple(samples.warnings), Path(model).stat().st_size, len(made.model), time.perf_counter() - start,
    )  # fmt: skip


def _check(model: str | os.PathLike[str], options: Options) -> None:
    if options.ratio is not None and not 0 < options.ratio < 1:
        raise InputError(
            f"a ratio of {options.ratio:g}: it is a share of the multiply-adds, between 0 and 1", hint="--ratio 0.3"
        )
    if options.multiple < 1:
        raise InputError(f"channels cannot stay in multiples of {options.multiple}", hint="--multiple 16")
    if options.ratio is None and not options.budget.is_set:
        raise InputError(
            "how far to prune is not known: there is neither a ratio nor a budget",
            hint="--ratio 0.3, or --max-drop 1, --min-sqnr 20 or --min-agreement 0.98",
        )
    if already_quantised(model):
        raise ModelError(f"{model} is quantised", hint="prune the float model, then edgeort quantize")


def _groups(tracker: Tracker, model: str | os.PathLike[str], options: Options) -> tuple[list[Group], dict[str, str]]:
    layers = {tied.layer.name: tied.layer for tied in tracker.layers}
    if unknown := sorted(set(options.exclude) - set(layers)):
        raise InputError(f"{model}: no layer is called {unknown[0]!r}", hint=f"edgeort inspect {model}")
    for name in options.exclude:
        tracker.hold(layers[name].node.outputs[0], "it was excluded")
    groups, left = find_groups(tracker)
    if not groups:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(left.items())[:3])
        raise ModelError(f"{model}: no layer has channels that may go ({reasons or 'no Conv, Gemm or MatMul'})")
    return groups, left


def _ledger(
    orders: Sequence[Order], multiple: int, costs: Costs, remover: Remover, judge: Judge, tell: Progress
) -> list[Step]:
    def measure(one: Order, roots: Sequence[int]) -> float:
        tell(f"measuring: group {orders.index(one) + 1} of {len(orders)}")
        return judge.score(remover.remove(roots, refit=False), PROBE_SAMPLES).noise

    return steps(orders, multiple, costs, measure)
