"""Measuring two bundles in turns: real processes, and what is made of their medians."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

import edgeort
from edgeort.bench import Contender, comparing, in_turns, measure, with_earlier
from edgeort.bundle import Bundle, open_bundle
from edgeort.devices import Job, Output, open_device
from edgeort.errors import DeviceError
from tests.bench.test_budgets import FOUND
from tests.bundle.test_bundle import MANIFEST
from tests.models import HOST, mlp


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A network, and one of the same layers that does a hundred times the work."""
    folder = tmp_path_factory.mktemp("bundles")
    for name, hidden in (("small", 64), ("large", 6400)):
        onnx.save(mlp(batch=16, features=64, hidden=hidden), folder / f"{name}.onnx")
        edgeort.build(folder / f"{name}.onnx", HOST, folder / name)
    return folder / "small", folder / "large"


@contextmanager
def contenders(*paths: Path) -> Iterator[list[Contender]]:
    with ExitStack() as stack:
        found = []
        for path in paths:
            bundle = stack.enter_context(open_bundle(path))
            device = stack.enter_context(open_device("local", bundle.manifest))
            found.append(Contender(bundle, device, measure(bundle, device, Job(threads=1, runs=3, warmup=1))))
        yield found


def test_real_bundles_a_hundred_times_apart(bundles: tuple[Path, Path]):
    told: list[int] = []
    with contenders(*bundles) as (small, large):
        found = in_turns(small, large, Job(threads=1), told.append)
    assert found.other == str(bundles[1]) and found.difference.is_significant
    assert -1 < found.difference.low <= found.difference.estimate <= found.difference.high < -0.5
    assert len(found.own_ms) == len(found.other_ms) == found.difference.rounds == len(told)
    assert max(found.own_ms) > 0 and told == list(range(1, len(told) + 1))


def test_a_real_bundle_against_an_earlier_result(bundles: tuple[Path, Path]):
    with contenders(bundles[0]) as (small,):
        found = with_earlier(small, "then", 1e6, Job(threads=1), lambda _: None)
    assert found.difference.is_significant and found.difference.estimate < -0.9 and found.other_ms == (1e6,)


class Fake:
    """A device on which bundles take the times that it is given, and which writes down what it was asked."""

    name, is_real = "fake", True

    def __init__(self, times_ms: list[float]) -> None:
        self.times_ms, self.asked = iter(times_ms), list[Job]()

    def run(self, bundle: Bundle, job: Job, on_line: object = None) -> Output:
        self.asked.append(job)
        plain = {name: getattr(FOUND, name) for name in FOUND.__dataclass_fields__}
        one = next(self.times_ms)
        return Output(0, json.dumps({**plain, "latencies_ms": [one], "latency_ms": {"runs": 1}}), "")


def fake(times_ms: list[float], p50: float = 1.0) -> Contender:
    return Contender(Bundle(Path("b"), Path("b"), MANIFEST), Fake(times_ms), replace(FOUND, latency_ms={"p50": p50}))  # type: ignore[arg-type]


def test_rounds_are_short_whatever_the_model_takes():
    job = Job(threads=2, runs=50, time_s=9.0, interval_s=1.0, check=True, profile=True, cores="big", isa="v3")
    for p50, runs, warmup in ((1.0, 100, 50), (0.0001, 20_000, 20_000), (5000.0, 5, 5)):
        own, other = fake([1.0] * 10, p50), fake([1.0] * 10, p50)
        in_turns(own, other, job, lambda _: None)
        asked = own.device.asked[0]
        assert asked == Job(threads=2, runs=runs, warmup=warmup, cores="big", isa="v3")


def test_each_is_first_as_often():
    order: list[str] = []
    own, other = fake([1.0] * 10), fake([1.0] * 10)
    for name, one in (("own", own), ("other", other)):
        run = one.device.run
        one.device.run = lambda *given, name=name, run=run: (order.append(name), run(*given))[1]
    in_turns(own, other, Job(), lambda _: None)
    rounds = [tuple(order[i : i + 2]) for i in range(0, 20, 2)]
    assert set(rounds) <= {("own", "other"), ("other", "own")}
    assert all(after == before[::-1] for before, after in zip(rounds[::2], rounds[1::2], strict=True))


def test_the_difference_is_of_own_to_other():
    found = in_turns(fake([0.95] * 10), fake([1.0] * 10), Job(), lambda _: None).difference
    assert found.estimate == pytest.approx(-0.05) and found.is_significant and found.rounds == 10


def test_an_earlier_result_is_one_process_more():
    times = [math.exp(0.01 * one) for one in (-1, 1) * 5]
    found = with_earlier(fake(times), "then", 1.0, Job(), lambda _: None).difference
    margin = 2.262 * 0.01 * math.sqrt(10 / 9) * math.sqrt(1.1)
    assert found.estimate == pytest.approx(0) and not found.is_significant
    assert (found.low, found.high) == (pytest.approx(math.expm1(-margin)), pytest.approx(math.expm1(margin)))
    assert with_earlier(fake(times), "then", 1.05, Job(), lambda _: None).difference.is_significant
    assert not with_earlier(fake(times), "then", 1.02, Job(), lambda _: None).difference.is_significant


def test_emulated_times_are_not_compared():
    one, two = fake([1.0]), fake([1.0])
    two.device.is_real = False
    with pytest.raises(DeviceError, match="times of fake say nothing"):
        in_turns(one, two, Job(), lambda _: None)
    assert comparing._AGAIN == 10  # what the figure of Student's distribution is for
