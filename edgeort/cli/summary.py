"""What `edgeort build` prints when it is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeort.cli.common import ms, print_table, size
from edgeort.cli.judging import LEFT_SHOWN, print_evaluation, print_ledger
from edgeort.cli.providers import print_candidates
from edgeort.values import shapes_text

if TYPE_CHECKING:
    from edgeort.bench import Prediction
    from edgeort.pipeline import BuildResult
    from edgeort.quantize.pruning import Result as Pruning
    from edgeort.quantize.sparsity import Result as Sparsity
    from edgeort.validate import Comparison


NOTES_SHOWN = 4  # what passes left alone, in full; more are counted


def print_result(result: BuildResult, path: Path, said: str, plain: str) -> None:
    """The tables of a build; `said`: where the model's `path` came from; `plain`: the command of a float32 build."""
    faster = [("float32", _faster(result, plain))] if result.is_slower_than_float else []
    rows = [
        ("model", f"{path} ({said})"),
        *_made(result),
        *_ran(result),
        *faster,
        *((verdict.budget, _verdict(verdict.limit, verdict.measured, verdict.unit)) for verdict in result.budgets),
        ("time", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result.seconds.items())),
    ]
    print_table(f"{result.model} for {result.device}", rows)
    if len(result.candidates) > 1:
        print_candidates(result.candidates)
    if result.quantization is not None:
        for warning in result.quantization.warnings:
            typer.echo(f"warning: {warning}", err=True)
        print_ledger(result.quantization)
    if result.not_int8:
        layers = list(result.not_int8.items())[:LEFT_SHOWN]
        print_table("quantised layers that run in float32", layers, ("node", "because"))
    if result.evaluation is not None:
        print_evaluation(result.evaluation, "the bundle against the float model")
    for sentence in _notes(result.refusals):
        typer.echo(f"note: {sentence}", err=True)


def _made(result: BuildResult) -> list[tuple[str, str]]:
    """What it was made from, and what it consists of."""
    ours, has_code = result.provider == "cpu", result.library_bytes > 0
    limit = "" if result.ram_limit is None else f" (limit {size(result.ram_limit)})"
    return [
        *([("samples", result.samples)] if result.samples else []),
        *([("form", result.form)] if result.form else []),
        *([(_kind(result.preprocess), result.preprocess)] if result.preprocess else []),
        *([("pruned", _pruned(result.pruning))] if result.pruning is not None else []),
        ("bundle", f"{result.bundle}, {size(result.bundle_bytes)}"),
        *(
            [("library", f"{size(result.library_bytes)}{', the model in it' if result.embeds else ''}")]
            if has_code
            else []
        ),
        *(
            [("static", f"{size(result.static_bytes)}, of which a program links what it needs")]
            if result.static_bytes
            else []
        ),
        *([("harness", size(result.harness_bytes))] if has_code and result.harness_bytes else []),
        ("plan" if ours else "model", f"{size(result.model_bytes)} of graph and weights{_weights(result)}"),
        *([("arena", f"{size(result.arena_bytes)} of activations{limit}")] if ours else []),
        ("nodes", f"{result.nodes}, all on the {result.provider} provider{_precisions(result)}"),
        *([("after", _after(result.postprocessing))] if result.postprocessing else []),
        *([("needs", f"pip install {' '.join(result.requirements)}")] if result.requirements else []),
    ]


def _ran(result: BuildResult) -> list[tuple[str, str]]:
    """On which sizes it ran where, how near it came, how long it takes."""
    latency, found = "", result.measurement
    if found is not None and found.is_real:
        latency = f"p50 {ms(found.latency_ms['p50'])} ms with {found.threads} thread(s), load {found.load_ms:.2f} ms"
    elif result.prediction is not None:
        latency = _predicted(result.prediction)
    elif result.unpredicted:
        latency = f"neither measured nor predicted: {result.unpredicted}"
    return [
        *([("inputs", _inputs(result))] if result.sizes else []),
        ("ran on", result.checked_on),
        *([("check", _check(result.comparisons))] if result.comparisons else []),
        *([("latency", latency)] if latency else []),
    ]


def _notes(refusals: Sequence[str]) -> Sequence[str]:
    """Each, or how many of which pass."""
    if len(refusals) <= NOTES_SHOWN:
        return refusals
    passes = Counter(sentence.partition(":")[0] for sentence in refusals)
    counts = ", ".join(f"{name} {count}" for name, count in passes.items())
    return [f"passes left {len(refusals)} matches as they are ({counts}); --json has each with its reason"]


def _inputs(result: BuildResult) -> str:
    """Which of the sizes that are free the figures are of."""
    given = shapes_text(result.sizes)
    return f"{given}, of sizes that are free: check, arena and latency are of these (--shape or --input for others)"


def _kind(recipe: str) -> str:
    from edgeort.recipes.sound import is_sound

    return "sound" if is_sound(recipe) else "pictures"


def _after(made: dict[str, Any]) -> str:
    return f"{made['recipe']} -> {', '.join(made['outputs'])}"


def _pruned(done: Pruning | Sparsity) -> str:
    from edgeort.quantize import sparsity

    if isinstance(done, sparsity.Result):
        return f"{done.sparsity:.1%} of the weights of {len(done.layers)} layers are zero"
    return f"{done.ratio:.1%} of the multiply-adds are gone"


def _precisions(result: BuildResult) -> str:
    """How many nodes work in which precision, where some do in int8."""
    if "int8" not in result.precisions:
        return ""
    return ": " + ", ".join(f"{count} {name}" for name, count in sorted(result.precisions.items()))


def _weights(result: BuildResult) -> str:
    """How many nodes have weights of which form, where some are not float32."""
    if set(result.weights) <= {"f32"}:
        return ""
    return ": " + ", ".join(f"{count} {name}" for name, count in sorted(result.weights.items()))


def _check(comparisons: Sequence[Comparison]) -> str:
    from edgeort.comparison import OWN_MARGIN_DB, QUANTISED_LIMIT_DB

    judged = [result for result in comparisons if result.sqnr_db is not None]
    if judged:
        noisiest = min(judged, key=lambda result: result.sqnr_db or 0.0)
        said = f"SQNR {noisiest.sqnr_db:.1f} dB against ONNX Runtime on the same int8 model"
        own = noisiest.reference_sqnr_db
        if own is None or own - OWN_MARGIN_DB >= QUANTISED_LIMIT_DB:
            return f"{said} (more is nearer; limit {noisiest.least_db:.0f} dB)"
        away = f"with and without its optimisations it is {own:.1f} dB from itself"
        return f"{said} (limit {noisiest.least_db:.0f} dB: {away})"
    worst = max(comparisons, key=lambda result: result.max_difference)
    said = f"within {worst.max_difference:.1e} of ONNX Runtime, relative to each output's range (limit 1e-04)"
    if worst.max_difference == 0:
        said = "equal to the outputs of ONNX Runtime"
    if worst.reference_spread:
        said += f"; two answers of ONNX Runtime's own are {worst.reference_spread:.1e} apart"
    return said + "".join(result.gap for result in comparisons)


def _predicted(found: Prediction) -> str:
    """What to expect of the device that is not here."""
    basis = f"; {found.basis}" if found.basis else ""
    return f"predicted {ms(found.latency_ms)} ms with {found.threads} thread(s){basis}"


def _faster(result: BuildResult, command: str) -> str:
    """What the float model should take, where that is less."""
    assert result.prediction is not None and result.float32 is not None
    plain, int8 = (ms(found.latency_ms) for found in (result.float32, result.prediction))
    return f"predicted {plain} ms, int8 {int8} ms: {command} is faster"


def _verdict(limit: float, measured: float | None, unit: str) -> str:
    if measured is None:
        return f"budget {limit:g} {unit}: not measured on the device; edgeort bench judges it there"
    return f"{measured:.4g} of {limit:g} {unit}"
