"""sparsify(): from a float model to one with zeros among its weights. Reads top to bottom as the list of stages."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from threadpoolctl import threadpool_limits

from edgeort.errors import InputError, ModelError
from edgeort.model import must_differ, write
from edgeort.progress import Progress
from edgeort.quantize.layers import Layer
from edgeort.quantize.preparing import Prepared, already_quantised, prepare
from edgeort.quantize.pruning.judging import Judge, Score
from edgeort.quantize.pruning.reading import Reads, read
from edgeort.quantize.pruning.searching import Found, better, enforced, furthest
from edgeort.quantize.samples import Data
from edgeort.quantize.sparsity.layers import choose, gather
from edgeort.quantize.sparsity.patterns import HIGHEST, Pattern, checked
from edgeort.quantize.sparsity.thinner import Thinner
from edgeort.quantize.store import Store


@dataclass(frozen=True)
class Options(Reads):
    """How to thin out. `pattern` None: as large a share as the budget allows.

    Layers of `exclude` keep their weights; those of `include` lose some even where they are first, last or small.
    """

    pattern: Pattern | None = None
    include: Collection[str] = ()
    exclude: Collection[str] = ()


@dataclass(frozen=True)
class Line:
    """A layer in the report: how many weights it has, and how many of them are zero."""

    layer: str
    weights: int
    zeros: int


@dataclass(frozen=True)
class Result:
    """What was made. `score` is of samples not fitted to; None where there was no data.

    `sparsity` is the share of zeros in the weights of `layers`; `left` says why others kept theirs.
    """

    model: str
    output: str
    pattern: str
    sparsity: float
    layers: tuple[Line, ...]
    left: dict[str, str]
    samples: int
    judged: int
    score: Score | None
    warnings: tuple[str, ...]
    model_bytes: int
    output_bytes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**asdict(self), "score": None if self.score is None else self.score.to_dict()}


def sparsify(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    data: Data | None,
    options: Options | None = None,
    *,
    judging: Data | None = None,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    progress: Progress | None = None,
) -> Result:
    """Sets weights of the ONNX file `model` to zero and writes `output`; the others make up for them on `data`.

    `data`: a .npy, .npz, a folder of them or of pictures, or dicts; None: the smallest weights go, and nothing judges.
    `judging` are the samples that judge; None: a part of `data`.

    Raises ModelError, InputError for options, data or labels, OutputError, BudgetError; then nothing is written.
    """
    start, options, tell = time.perf_counter(), options or Options(), progress or (lambda _: None)
    must_differ(model, output, "sparse")
    _check(model, options, data)
    prepared = prepare(model, shapes)
    layers, left = _layers(prepared, model, options)
    with threadpool_limits(1, "blas"), Store() as store, Store() as rest:  # samples are worked on in parallel
        samples = None if data is None else read(prepared, data, judging, options, store, rest)
        if samples is not None:
            tell(f"looking at {store.samples} samples")
        thinner = Thinner(prepared, gather(prepared, layers, store), store, progress)
        if samples is None:
            assert options.pattern is not None
            made, score = thinner.thin(options.pattern, thinner.shares(options.pattern), refit=False), None
        else:
            found = _search(thinner, samples.judge, options, tell)
            made, score = found.model, found.score
    write(output, made)
    lines = _lines(made, layers)
    return Result(
        str(model), str(output), str(options.pattern or "auto"),
        sum(line.zeros for line in lines) / sum(line.weights for line in lines), lines, left,
        samples.fitted if samples else 0, samples.judged if samples else 0, score,
        tuple(samples.warnings) if samples else (),
        Path(model).stat().st_size, len(made), time.perf_counter() - start,
    )  # fmt: skip


def _check(model: str | os.PathLike[str], options: Options, data: Data | None) -> None:
    if options.pattern is not None:
        checked(options.pattern)
    elif not options.budget.is_set:
        raise InputError(
            "how many weights may go is not known: there is neither a sparsity nor a budget",
            hint="--sparsity 0.7, or --max-drop 1, --min-sqnr 20 or --min-agreement 0.98",
        )
    if data is None and options.budget.is_set:
        raise InputError("a budget of accuracy is judged on samples, and there are none", hint="add --data DIR")
    if already_quantised(model):
        raise ModelError(f"{model} is quantised", hint="prune the float model, then edgeort quantize")


def _layers(prepared: Prepared, model: str | os.PathLike[str], options: Options) -> tuple[list[Layer], dict[str, str]]:
    layers, left = choose(prepared.model.graph, options.include, options.exclude)
    known = {layer.name for layer in layers} | set(left)
    if unknown := sorted({*options.exclude, *options.include} - known):
        raise InputError(f"{model}: no layer is called {unknown[0]!r}", hint=f"edgeort inspect {model}")
    if not layers:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(left.items())[:3])
        raise ModelError(f"{model}: no layer has weights that may go ({reasons or 'no Conv, Gemm or MatMul'})")
    return layers, left


def _search(thinner: Thinner, judge: Judge, options: Options, tell: Progress) -> Found[Pattern]:
    def make(pattern: Pattern, *, refit: bool) -> Found[Pattern]:
        model = thinner.thin(pattern, thinner.shares(pattern), refit=refit)
        return Found(pattern, model, judge.score(model))

    if options.pattern is None or not options.pattern.of:
        thinner = thinner.measured(judge)
    if options.pattern is not None:
        rough = make(options.pattern, refit=False)
    else:
        rough = furthest(
            lambda share: make(Pattern(share), refit=False), HIGHEST, options.budget, "of the weights gone", tell
        )
    found = better(rough, make(rough.gone, refit=True), options.budget)
    return found if options.pattern is None else enforced(found, options.budget, "--sparsity auto")


def _lines(made: bytes, layers: Sequence[Layer]) -> tuple[Line, ...]:
    graph = onnx.load_from_string(made).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    nodes = {node.name: node for node in graph.node}
    lines = []
    for layer in layers:
        weight = onnx.numpy_helper.to_array(tensors[nodes[layer.name].input[1]])
        lines.append(Line(layer.name, weight.size, int(weight.size - np.count_nonzero(weight))))
    return tuple(lines)
