"""What an attempt reuses of the last one is what it would have found itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgeort.quantize import attempts as module
from edgeort.quantize.attempts import Attempts, spread_over
from edgeort.quantize.calibration import Kept, calibrate
from edgeort.quantize.comparing import References
from edgeort.quantize.forms import Form
from edgeort.quantize.preparing import prepare
from edgeort.quantize.refinement import Steps, measuring_points, refine
from edgeort.quantize.samples import open_samples
from edgeort.quantize.selection import select
from edgeort.quantize.store import Store
from tests.quantize.models import mobile, samples, save


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Attempts]:
    prepared = prepare(save(tmp_path / "m.onnx", mobile()))
    selection = select(prepared.model.graph)
    tensors = [str(value.name) for value in selection.tensors if value not in selection.source]
    means = dict(measuring_points(selection.layers).values())
    with Store() as store, Store() as judge:
        given = open_samples(samples(12), prepared.inputs, None)
        found = calibrate(prepared, given, tensors, "mse", means=means, keep=Kept(store, judge, 12, 0, 12))
        yield Attempts(
            prepared, found, spread_over(selection, found.ranges), store, judge, References(judge), Steps(), {}
        )


@pytest.fixture
def refined(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many layers each attempt refines."""
    counts: list[int] = []

    def counting(model, quantized, *rest, done=(), **named):
        counts.append(len(quantized.layers) - len(done))
        refine(model, quantized, *rest, done=done, **named)

    monkeypatch.setattr(module, "refine", counting)
    return counts


def layers(attempts: Attempts) -> list[str]:
    return [layer.name for layer in attempts.make(()).selection.layers]


def test_what_stands_before_a_change_is_reused_and_the_same(fresh: Attempts, refined: list[int]):
    names = layers(fresh)
    again = fresh.make({names[-1]}).model
    alone = replace(fresh, memory=module.Memory()).make({names[-1]}).model
    assert again == alone
    assert refined[0] == len(names)
    assert refined[1] < refined[2] == len(names) - 1


def test_a_change_at_the_front_refines_all(fresh: Attempts, refined: list[int]):
    names = layers(fresh)
    fresh.make({names[0]})
    assert refined == [len(names), len(names) - 1]


def test_the_same_again_refines_nothing(fresh: Attempts, refined: list[int]):
    assert fresh.make(()).model == fresh.make(()).model
    assert refined[1] == 0


def test_forms_are_changes(fresh: Attempts, refined: list[int]):
    names = layers(fresh)
    fresh.make((), {names[2]: Form.FLOAT})
    assert len(names) > refined[1] >= len(names) - 2


def test_trying_out_keeps_the_refined_weights(fresh: Attempts, refined: list[int]):
    names = layers(fresh)
    base = fresh.make(())
    assert fresh.try_out(()).model == base.model
    assert fresh.try_out({names[-1]}).differences[0].noise < base.differences[0].noise
    assert len(refined) == 2
