"""prune(): from a float model and samples to one with fewer channels. Reads top to bottom as the list of stages."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from edgeort.errors import InputError, ModelError
from edgeort.model import write
from edgeort.progress import Progress
from edgeort.quantize.images import Preprocessing
from edgeort.quantize.input_checks import InputChecks
from edgeort.quantize.preparing import Prepared, already_quantised, prepare
from edgeort.quantize.pruning.channels import Tracker
from edgeort.quantize.pruning.choosing import Order, order
from edgeort.quantize.pruning.groups import Group, find_groups
from edgeort.quantize.pruning.judging import Budget, Judge, Score
from edgeort.quantize.pruning.ledger import Costs, Step, steps
from edgeort.quantize.pruning.removing import Remover
from edgeort.quantize.pruning.searching import Plan, search
from edgeort.quantize.pruning.statistics import gather
from edgeort.quantize.pruning.tracing import trace
from edgeort.quantize.samples import Data, Samples, open_samples
from edgeort.quantize.store import Store

PROBE_SAMPLES = 16  # on which a group's reach is measured
JUDGE_SAMPLES = 1000

Labels = Callable[[Sequence[str]], Mapping[str, int | str]]  # the samples' names -> their classes


@dataclass(frozen=True)
class Options:
    """How to prune. `ratio` is the share of the multiply-adds that go; None: as many as the budget allows.

    Of every group's channels a multiple of `multiple` stays. `fit_samples` at most are fitted to, all others judge.
    `labels` gives the samples' classes. Layers of `exclude` keep their channels.
    """

    ratio: float | None = None
    multiple: int = 16
    samples: int | None = None
    fit_samples: int = 100
    exclude: Collection[str] = ()
    preprocessing: Preprocessing | None = None
    budget: Budget = Budget()
    labels: Labels | None = None


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
    _check(model, options)
    prepared = prepare(model, shapes)
    tracker = trace(prepared.model.graph)
    groups, left = _groups(tracker, model, options)
    with threadpool_limits(1, "blas"), Store() as store, Store() as rest:  # samples are worked on in parallel
        read = _read(prepared, data, judging, options, store, rest)
        tell(f"looking at {store.samples} samples")
        layers = gather(prepared, [tied.layer for tied in tracker.layers], store)
        remover = Remover(prepared, layers, store, progress)
        costs = Costs(tracker, {name: layer.positions for name, layer in layers.items()})
        orders = [order(group, layers) for group in groups]
        plan = Plan(_ledger(orders, options.multiple, costs, remover, read.judge, tell), costs)
        found = search(plan, remover, read.judge, options.ratio, options.budget, tell)
    write(output, found.model)
    alive = tracker.alive(found.gone)
    lines = tuple(Line(g.name, g.size - int((~alive(g.roots)).sum()), g.size) for g in groups)
    return Result(
        str(model), str(output), plan.ratio(found.gone), costs.total(), lines, left, read.fitted, read.judged,
        found.score, tuple(read.warnings), Path(model).stat().st_size, len(found.model), time.perf_counter() - start,
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


@dataclass(frozen=True)
class _Reading:
    """The samples that were kept: how many to fit to, how many to judge by, and warnings about them."""

    fitted: int
    judged: int
    judge: Judge
    warnings: list[str]


def _read(
    prepared: Prepared, data: Data, judging: Data | None, options: Options, store: Store, rest: Store
) -> _Reading:
    """Puts samples into both stores: where none are given to judge by, half of them at most to fit to."""
    samples = open_samples(data, prepared.inputs, options.preprocessing).limited(options.samples)
    others = None if judging is None else open_samples(judging, prepared.inputs, options.preprocessing)
    known = samples.names() if options.labels and judging is None else []
    if others is None and samples.count is not None and samples.count > 1:
        samples, others = samples.split(min(options.fit_samples, samples.count // 2))
    checks = InputChecks(prepared.model.graph)
    names = _fill(store, samples.limited(options.fit_samples), checks)
    warnings, judged = [], store
    if others is not None:
        names, judged = _fill(rest, others.limited(JUDGE_SAMPLES), checks), rest
        known = known or others.names()
    else:
        warnings.append("no samples are left to judge by: the figures are of those that the model was fitted to")
    classes = options.labels(known) if options.labels else {}
    labels = [_class(classes.get(name)) for name in names]
    if options.budget.drop is not None and not any(label is not None for label in labels):
        warnings.append("there are no labels: every answer that changes counts as a drop")
    inputs = [value.name for value in prepared.inputs]
    judge = Judge(prepared.serialized, inputs, judged, labels)
    return _Reading(store.samples, judged.samples, judge, [*checks.warnings(), *warnings])


def _fill(store: Store, samples: Samples, checks: InputChecks) -> list[str]:
    """The names of the samples, which the store has then."""
    names = []
    for name, sample in samples.named():
        checks.look(sample)
        for key, array in sample.items():
            store.put(key, store.samples, array)
        store.samples += 1
        names.append(name)
    return names


def _class(label: int | str | None) -> int | None:
    return None if label is None else int(label)


def _ledger(
    orders: Sequence[Order], multiple: int, costs: Costs, remover: Remover, judge: Judge, tell: Progress
) -> list[Step]:
    def measure(one: Order, roots: Sequence[int]) -> float:
        tell(f"measuring: group {orders.index(one) + 1} of {len(orders)}")
        return judge.score(remover.remove(roots, refit=False), PROBE_SAMPLES).noise

    return steps(orders, multiple, costs, measure)
