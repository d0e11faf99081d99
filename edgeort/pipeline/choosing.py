"""Which provider a bundle gets.

Every one that can serve the device is built and, where the device answers, they are timed in turns.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from edgeort import providers
from edgeort.bench import Contender, turn_ms
from edgeort.devices import Job
from edgeort.errors import (
    EdgeortError,
    InputError,
    MissingExtraError,
    OutputError,
    ShapeError,
    ToolchainError,
    UnsupportedError,
)
from edgeort.pipeline.expecting import Expected
from edgeort.pipeline.place import Place
from edgeort.pipeline.trying import Attempt, Workshop
from edgeort.providers import Provider, Refusal, Request, cpu

AUTO = "auto"
# Rounds of a turn each. Those within NEAR of the fastest after the first ones have the others, too.
ROUNDS, MOST_ROUNDS, NEAR = 3, 11, 0.15
# A provider that the profile prefers is kept unless another is faster by more: less is within what medians of so many
# rounds differ by, and the libraries of other engines are large.
MARGIN, LEAST_MS = 0.03, 0.02
# By predictions it has to be faster by more: those of other engines come from small models, whose weights are in
# caches, and were too short by about as much for whole ones (BENCHMARKS.md).
PREDICTED_MARGIN = 0.2
BY_PREDICTIONS = "taken by predictions, not by measurement"


@dataclass(frozen=True)
class Wish:
    """Which provider is wanted: AUTO, the fastest; or a name, and cpu where that cannot be unless it is `required`.

    `options` are settings of its engine by their own names.
    """

    provider: str = AUTO
    required: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    def candidates(self, preferred: Sequence[str]) -> tuple[Provider, ...]:
        """Those to try, of a profile that has `preferred`. InputError for an unknown name."""
        if self.provider == AUTO:
            names = dict.fromkeys((*preferred, "cpu"))
        else:
            names = dict.fromkeys((self.provider,) if self.required else (self.provider, "cpu"))
        return tuple(map(providers.provider, names))


@dataclass(frozen=True)
class Candidate:
    """A row of the table: what a provider would give, or why it does not.

    `latency_ms` is the median of this machine as the device, `predicted` when it comes from the profile's rates
    instead: then `error` is what such predictions were off by, where that is known. `max_difference` is that from ONNX
    Runtime relative to an output's range, or `sqnr_db` of quantised models.
    """

    provider: str
    chosen: bool = False
    latency_ms: float | None = None
    predicted: bool = False
    error: float | None = None
    size_bytes: int | None = None
    peak_rss_bytes: int | None = None
    max_difference: float | None = None
    sqnr_db: float | None = None
    refusals: tuple[Refusal, ...] = ()
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def check_any(wish: Wish, request: Request) -> None:
    """Raises, before any work, where no provider that may be taken can serve the device: the first one's reason."""
    reasons = [obstacle_of(provider, request) for provider in wish.candidates(request.profile.runtime.providers)]
    if all(reasons):
        raise reasons[0] or AssertionError


def rivals(wish: Wish, request: Request, *, measures: bool) -> tuple[str, ...]:
    """The providers beside cpu that a build may take; `measures` as `Place` has it, which brings in more."""
    found = _with_others(wish, request, measures=measures)
    return tuple(one.name for one in found if one.name != cpu.NAME and obstacle_of(one, request) is None)


def obstacle_of(provider: Provider, request: Request) -> EdgeortError | None:
    """What stands in the way of a provider before a model is looked at."""
    if reason := provider.cannot_serve(request):
        hint = f"edgeort providers --device {request.profile.name}"
        return UnsupportedError(f"{provider.name} cannot serve {request.profile.name}: {reason}", hint=hint)
    if reason := provider.missing():
        what, _, install = reason.partition(": ")
        return MissingExtraError(what, hint=install)
    return None


def choose(wish: Wish, workshop: Workshop, trials: ExitStack) -> tuple[Attempt, tuple[Candidate, ...]]:
    """The attempt of the provider that is taken, and the table. Raises the first one's error where no provider can."""
    tried: list[Attempt] = []
    rows, errors = [], []
    for provider in _with_others(wish, workshop.request, measures=workshop.place.measures):
        try:
            if obstacle := obstacle_of(provider, workshop.request):
                raise obstacle
            tried.append(workshop.attempt(provider, trials))
        except EdgeortError as error:
            if not _is_excused(error, provider):
                raise
            errors.append(error)
            rows.append(Candidate(provider.name, refusals=_refused(provider, workshop, error), reason=sentence(error)))
        if tried and wish.provider != AUTO:
            break
    if not tried:
        raise errors[0]
    latencies = _measure_in_turns(tried, workshop.place)
    best, how = _best(tried, latencies)
    table = [_row(one, latencies) for one in tried]
    marked = [
        replace(row, chosen=True, reason="; ".join(filter(None, (how, row.reason)))) if one is best else row
        for one, row in zip(tried, table, strict=True)
    ]
    return best, (*marked, *rows)


def _with_others(wish: Wish, request: Request, *, measures: bool) -> tuple[Provider, ...]:
    """Those to try; where the device that was asked for tells the fastest, all that could serve it."""
    found = wish.candidates(request.profile.runtime.providers)
    if wish.provider != AUTO or not measures:
        return found
    others = (provider for provider in providers.PROVIDERS if provider not in found)
    return (*found, *(provider for provider in others if obstacle_of(provider, request) is None))


def recorded(candidates: Sequence[Candidate]) -> tuple[dict[str, Any], ...]:
    """The table as the manifest keeps it.

    Times differ from build to build: where none decided, because fewer than two were measured, there are none, and the
    same input gives the same bytes. One row alone tells nothing, unless that it was not run.
    """
    measured = [row for row in candidates if row.latency_ms is not None and not row.predicted]
    if len(measured) < 2:
        candidates = [
            replace(row, latency_ms=None, peak_rss_bytes=None) if row in measured else row for row in candidates
        ]
    if len(candidates) == 1 and not candidates[0].reason:
        return ()
    return tuple(row.to_dict() for row in candidates)


def _is_excused(error: EdgeortError, provider: Provider) -> bool:
    """Whether another provider may be taken instead: not where the disk is full, or our own answers are wrong."""
    if provider.name == "cpu":
        return isinstance(error, (UnsupportedError, ToolchainError))
    return not isinstance(error, (OutputError, InputError))


def _refused(provider: Provider, workshop: Workshop, error: Exception) -> tuple[Refusal, ...]:
    """The nodes that stand behind an error; of one that is about no node, none."""
    if not isinstance(error, UnsupportedError) or obstacle_of(provider, workshop.request):
        return ()
    nodes = provider.refusals(workshop.graph, workshop.request)
    return tuple(one for one in nodes if one.node or one.reason != str(error))


def with_expected(row: Candidate, expected: Expected) -> Candidate:
    """The row with the latency to expect and how good that is, or the reason why none is expected."""
    found = expected.prediction
    if found is None:
        return replace(row, reason="; ".join(filter(None, (row.reason, f"not predicted: {expected.reason}"))))
    reason = "; ".join(filter(None, (row.reason, found.basis)))
    return replace(row, latency_ms=found.latency_ms, predicted=True, error=found.error, reason=reason)


def sentence(error: Exception) -> str:
    hint = getattr(error, "hint", None) or ""
    helps = isinstance(error, (MissingExtraError, ShapeError)) or "--shape" in hint
    return f"{error} ({hint})" if hint and helps else str(error)


def _measure_in_turns(tried: Sequence[Attempt], place: Place) -> dict[str, float]:
    """Medians in ms by provider, of those whose device is here; of several, of turns whose order rotates."""
    alone = {one.made.provider: one.measurement for one in tried if one.measurement is not None}
    if len(alone) < 2:
        return {name: found.latency_ms["p50"] for name, found in alone.items()}
    here = {one.made.provider: one for one in tried if one.made.provider in alone}
    turns: dict[str, list[float]] = {name: [] for name in here}
    medians: dict[str, float] = {}
    order = list(here)
    while len(order) > 1 and len(turns[order[0]]) < MOST_ROUNDS:
        for name in order:
            one = here[name]
            contender = Contender(one.bundle, place.device(one.manifest), alone[name])
            turns[name].append(turn_ms(contender, Job(threads=one.manifest.threads)))
        order = [*order[1:], order[0]]
        medians = {name: statistics.median(found) for name, found in turns.items()}
        if len(turns[order[0]]) >= ROUNDS:
            order = [name for name in order if medians[name] < (1 + NEAR) * min(medians.values())]
    return medians


def _best(tried: Sequence[Attempt], latencies: Mapping[str, float]) -> tuple[Attempt, str]:
    """The fastest of those that were measured, else of those that are predicted from what was measured on the device;
    and a sentence where predictions decided.

    Where neither is known: cpu, whose answers are known without its device; else the first.
    """
    measured = [one for one in tried if one.made.provider in latencies]
    if measured:
        return _fastest(measured, latencies, MARGIN), ""
    ours = next((one for one in tried if one.made.provider == cpu.NAME), tried[0])
    founded = [one for one in tried if one.prediction is not None and one.prediction.is_founded]
    if ours not in founded or len(founded) < 2:
        return ours, ""
    found = {one.made.provider: one.prediction for one in founded if one.prediction is not None}
    times = {name: prediction.latency_ms for name, prediction in found.items()}
    errors = sorted(prediction.error or 0.0 for prediction in found.values())
    margin = max(PREDICTED_MARGIN, math.hypot(*errors[-2:]))  # what a difference of two of them may be off
    return _fastest([ours, *(one for one in founded if one is not ours)], times, margin), BY_PREDICTIONS


def _fastest(ones: Sequence[Attempt], latencies: Mapping[str, float], margin: float) -> Attempt:
    """The first, but for one that is faster by more than the margin."""
    best = ones[0]
    for one in ones[1:]:
        fastest = latencies[best.made.provider]
        if latencies[one.made.provider] < min((1 - margin) * fastest, fastest - LEAST_MS):
            best = one
    return best


def _row(one: Attempt, latencies: Mapping[str, float]) -> Candidate:
    name, found = one.made.provider, one.measurement
    noises = [c.sqnr_db for c in one.comparisons if c.sqnr_db is not None]
    unmeasured = one.ran.where if one.ran.outputs is None else "not measured: the device is not here"
    row = Candidate(
        name,
        latency_ms=latencies.get(name),
        size_bytes=one.size_bytes,
        peak_rss_bytes=None if found is None else found.peak_rss_bytes,
        max_difference=max((c.max_difference for c in one.comparisons), default=None),
        sqnr_db=min(noises, default=None),
        reason="" if name in latencies else unmeasured,
    )
    return row if name in latencies else with_expected(row, one.expected)
