"""The samples that a pruned model is fitted to, and those that judge it, kept in stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgeort.quantize.input_checks import InputChecks
from edgeort.quantize.preparing import Prepared
from edgeort.quantize.pruning.judging import Budget, Judge
from edgeort.quantize.samples import Data, Samples, open_samples
from edgeort.quantize.store import Store
from edgeort.recipes.picture import Recipe

JUDGE_SAMPLES = 1000

Labels = Callable[[Sequence[str]], Mapping[str, int | str]]  # the samples' names -> their classes


@dataclass(frozen=True)
class Reads:
    """What of the data is read: `samples` at most, of which `fit_samples` are fitted to and all others judge.

    `labels` gives the samples' classes; `budget` is what the result has to keep.
    """

    samples: int | None = None
    fit_samples: int = 100
    recipe: Recipe | None = None
    budget: Budget = Budget()
    labels: Labels | None = None


@dataclass(frozen=True)
class Reading:
    """The samples that were kept: how many to fit to, how many to judge by, and warnings about them."""

    fitted: int
    judged: int
    judge: Judge
    warnings: list[str]


def read(prepared: Prepared, data: Data, judging: Data | None, how: Reads, store: Store, rest: Store) -> Reading:
    """Puts samples into both stores: where none are given to judge by, half of them at most to fit to."""
    samples = open_samples(data, prepared.inputs, how.recipe).limited(how.samples)
    others = None if judging is None else open_samples(judging, prepared.inputs, how.recipe)
    known = samples.names() if how.labels and judging is None else []
    if others is None and samples.count is not None and samples.count > 1:
        samples, others = samples.split(min(how.fit_samples, samples.count // 2))
    checks = InputChecks(prepared.model.graph)
    names = _fill(store, samples.limited(how.fit_samples), checks)
    warnings, judged = [], store
    if others is not None:
        names, judged = _fill(rest, others.limited(JUDGE_SAMPLES), checks), rest
        known = known or others.names()
    else:
        warnings.append("no samples are left to judge by: the figures are of those that the model was fitted to")
    classes = how.labels(known) if how.labels else {}
    labels = [_class(classes.get(name)) for name in names]
    if how.budget.drop is not None and not any(label is not None for label in labels):
        warnings.append("there are no labels: every answer that changes counts as a drop")
    inputs = [value.name for value in prepared.inputs]
    judge = Judge(prepared.serialized, inputs, judged, labels)
    return Reading(store.samples, judged.samples, judge, [*checks.warnings(), *warnings])


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
