"""The float model answers a sample once, as long as there is room; comparisons go as far as asked."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgeort.quantize.comparing import Comparison, References, Run
from edgeort.quantize.samples import Sample
from edgeort.quantize.store import Store

SAMPLES: list[tuple[int, Sample]] = [(place, {"x": np.full((1, 4), place + 1.0, np.float32)}) for place in range(10)]


@pytest.mark.parametrize(("room", "again"), ((1 << 20, 0), (16 * 3, 7), (0, 10)))
def test_the_float_model_answers_once(room: int, again: int) -> None:
    calls: list[float] = []

    def reference(sample: Sample) -> Sample:
        calls.append(float(sample["x"][0, 0]))
        return {"y": sample["x"] * 2}

    with Store() as store:
        references = References(store, room)
        passes = [list(references.pairs(lambda: reference, lambda sample: {"y": sample["x"]}, SAMPLES)) for _ in "ab"]
    assert len(calls) == len(SAMPLES) + again
    for pairs in passes:
        assert [float(r["y"][0, 0]) for r, _ in pairs] == [2.0 * (place + 1) for place in range(10)]
        assert [float(q["y"][0, 0]) for _, q in pairs] == [place + 1.0 for place in range(10)]


def test_all_cores_share_one_float_model() -> None:
    """It takes long to open, while others want it, too, and as much memory as its weights."""
    opened: list[int] = []

    def slowly() -> Run:
        opened.append(len(opened))
        time.sleep(0.2)
        return lambda sample: {"y": sample["x"]}

    with Store() as store:
        assert len(list(References(store).pairs(slowly, lambda sample: sample, SAMPLES))) == len(SAMPLES)
    assert len(opened) == 1


@pytest.mark.parametrize("total", (10, None))
def test_a_comparison_goes_as_far_as_asked(total: int | None) -> None:
    taken: list[int] = []

    def pairs():
        for place, sample in SAMPLES:
            taken.append(place)
            yield {"y": sample["x"]}, {"y": sample["x"] * (1.0 if place < 4 else 1.5)}

    compared = Comparison(pairs(), total)
    assert not taken and compared.upto(4)[0].noise == 0 and len(taken) == 4 and not compared.is_done
    assert compared.upto(2)[0].rows == 4  # more were asked for before
    assert compared.differences[0].rows == 10 and compared.differences[0].noise > 0
    assert compared.is_done and compared.seen == 10
