"""The search promotes as few layers as the budget needs, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgeort.errors import BudgetError
from edgeort.quantize import Budget, Options, Result, Steps, quantize
from edgeort.quantize.attempts import Attempt
from edgeort.quantize.comparing import Comparison
from edgeort.quantize.goals import Margin, kept
from edgeort.quantize.ledger import Entry
from edgeort.quantize.measuring import Difference
from edgeort.quantize.search import _fewer, _first, _Tries, _without_needless, _without_spare
from edgeort.quantize.selection import Selection
from tests.quantize.models import mobile, samples, save

BAD = "n6"  # the projection of the block, behind the depthwise convolution


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network in which one layer cannot be quantised well: one weight of each channel dwarfs the others."""
    proto = mobile()
    (node,) = [node for node in proto.graph.node if node.name == BAD]
    (tensor,) = [t for t in proto.graph.initializer if t.name == node.input[1]]
    weight = numpy_helper.to_array(tensor).copy()
    weight[:, 0] *= 300
    tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    first = next(n for n in proto.graph.node if n.name == "n4")  # ... whose input is next to nothing
    for name in first.input[1:]:
        (tensor,) = [t for t in proto.graph.initializer if t.name == name]
        small = numpy_helper.to_array(tensor).copy()
        small[0] *= 1 / 300
        tensor.CopyFrom(numpy_helper.from_array(small, name))
    return save(tmp_path_factory.mktemp("model") / "m.onnx", proto)


def run(model: Path, out: Path, budget: Budget) -> Result:
    plain = Steps(gptq=False, bias_correction=False, compensation=False)
    return quantize(model, out, samples(24), Options(steps=plain, budget=budget))


def test_the_worst_layer_goes_first_and_no_other(model: Path, tmp_path: Path):
    free = run(model, tmp_path / "q.onnx", Budget())
    assert free.ledger == ()
    wanted = free.differences[0].sqnr_db + 4
    result = run(model, tmp_path / "q.onnx", Budget(sqnr_db=wanted))
    assert result.differences[0].sqnr_db >= wanted
    promoted = {entry.layer: entry.to for entry in result.ledger if entry.promoted}
    assert promoted == {BAD: "int16 weights"} and result.forms == {"static": 5, "int16 weights": 1}
    assert onnx.load(tmp_path / "q.onnx").opset_import[0].version == 21
    assert len({entry.layer for entry in result.ledger}) == 6
    assert min(result.ledger, key=lambda entry: entry.alone_db).layer == BAD
    assert result.output_bytes > free.output_bytes
    onnx.checker.check_model(onnx.load(tmp_path / "q.onnx"))


@pytest.mark.parametrize(("needed", "kept"), [({"b"}, ["b"]), ({"a", "c"}, ["a", "b", "c"]), ({"a"}, ["a", "b"])])
def test_promotions_that_are_not_needed_are_given_back(needed: set[str], kept: list[str]):
    """Those that add bytes, the most first; a model stands for the layers that are promoted in it."""
    costs = {"a": 100, "b": 0, "c": 10}
    ledger = [Entry(layer, 20.0, added, to="16-bit activations") for layer, added in costs.items()]
    attempts: Any = SimpleNamespace(make=lambda exclude, forms: set(forms), try_out=lambda exclude, forms: set(forms))
    goal: Any = SimpleNamespace(margins=lambda found, finally_: iter([[Margin(0.0 if needed <= found else -1.0)]]))
    first: Any = set(costs)
    found, promoted = _without_spare(_Tries(attempts, (), goal, ledger), first, ledger)
    assert [entry.layer for entry in promoted] == kept and found == set(kept)


@pytest.mark.parametrize(
    ("needed", "left"), [({"b", "d"}, ["b", "d"]), ({"d"}, ["d"]), ({"a", "b", "c", "d"}, ["a", "b", "c", "d"])]
)
def test_promotions_that_later_ones_make_needless_go(needed: set[str], left: list[str]):
    ledger = [Entry(layer, 20.0, 100, to="16-bit activations") for layer in "abcd"]
    attempts: Any = SimpleNamespace(make=lambda exclude, forms: set(forms), try_out=lambda exclude, forms: set(forms))
    goal: Any = SimpleNamespace(margins=lambda found, finally_: iter([[Margin(0.0 if needed <= found else -1.0)]]))
    first: Any = set("abcd")
    found, promoted = _without_needless(_Tries(attempts, (), goal, ledger), first, ledger)
    assert [entry.layer for entry in promoted] == left and found == set(left)


@pytest.mark.parametrize(("needed", "tried"), [(2, ["a", "ab"]), (1, ["a"]), (3, ["a", "ab"])])
def test_fewer_that_are_in_doubt_are_refined(needed: int, tried: list[str]):
    """What unrefined weights miss by little may be kept by refined ones."""
    made: list[str] = []
    attempts: Any = SimpleNamespace(
        make=lambda exclude, forms: made.append("".join(forms)) or (len(forms), True),
        try_out=lambda exclude, forms: (len(forms), False),
    )

    def margins(found: tuple[int, bool], finally_: bool) -> Iterator[list[Margin]]:
        missed = -1.0 if found[1] else -0.1
        left = 0.0 if found[1] and found[0] >= needed else missed
        return iter([[Margin(left * block / 4, 1.0)] for block in range(1, 5)])

    ledger = [Entry(layer, 20.0, 100, to="16-bit activations") for layer in "abc"]
    goal: Any = SimpleNamespace(margins=margins)
    first: Any = (3, True)
    assert _fewer(_Tries(attempts, (), goal, ledger), first, 3) == ((needed, True), needed)
    assert made == tried


def test_a_budget_that_only_float16_keeps(model: Path, tmp_path: Path):
    """All promotions together are still half of the model."""
    proto = onnx.load(model)
    result = quantize(model, tmp_path / "q.onnx", samples(24), Options(budget=Budget(sqnr_db=66)))
    assert result.differences[0].sqnr_db >= 66 and result.ledger[-1].promoted
    assert {entry.to for entry in result.ledger if entry.promoted} == {"float16 weights"}
    found = onnx.load(tmp_path / "q.onnx")
    assert sum(numpy_helper.to_array(t).nbytes for t in found.graph.initializer) < 0.6 * sum(
        numpy_helper.to_array(t).nbytes for t in proto.graph.initializer
    )


def test_a_budget_is_refused_by_all_samples_only():
    """The first ones may be those of a class that lost most."""
    each = [-1.0, -1.1, -0.9, -1.0, 2.0, 2.0, 2.0]
    attempts: Any = SimpleNamespace(make=lambda exclude, forms: set(forms), try_out=lambda exclude, forms: set(forms))
    margins = [[Margin(sum(each[:count]))] for count in range(1, len(each) + 1)]
    goal: Any = SimpleNamespace(
        margins=lambda found, finally_: iter(margins), text=lambda: "", reached=lambda found: "", hint=""
    )
    ledger = [Entry(layer, 20.0, 100, to="16-bit activations") for layer in "abcd"]
    found, count = _first(_Tries(attempts, (), goal, ledger), 3)
    assert count == 3 and found == set("abc")
    margins[-1] = [Margin(-1.0)]
    with pytest.raises(BudgetError):
        _first(_Tries(attempts, (), goal, ledger), 3)


def test_a_budget_that_is_kept_anyway_costs_nothing(model: Path, tmp_path: Path):
    result = run(model, tmp_path / "q.onnx", Budget(sqnr_db=1.0, agreement=0.1))
    assert result.ledger == ()
    assert result.layers == 6


def test_a_budget_that_cannot_be_kept(model: Path, tmp_path: Path):
    with pytest.raises(BudgetError, match=r"SQNR >= 400 dB.*n6 \("):
        run(model, tmp_path / "q.onnx", Budget(sqnr_db=400))
    assert not (tmp_path / "q.onnx").exists()


def test_budgets():
    half = Difference("y")
    half.add(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 0.9]]))
    assert half.agreement == 0.5
    one, two = (
        Attempt(b"", Selection([], {}, [], {}, {}), 0, 0, Known(found))
        for found in ([half], [half, Difference("z", signal=1.0, noise=1.0)])
    )
    assert kept(Budget(agreement=0.5), one) and not kept(Budget(agreement=0.6), one)
    assert kept(Budget(sqnr_db=2), one) and not kept(Budget(sqnr_db=4), one)
    assert not kept(Budget(sqnr_db=2), two)
    assert Budget().text() == "" and Budget(25, 0.99).text() == "SQNR >= 25 dB, agreement >= 0.99"
    assert not Budget().is_set and kept(Budget(), two)


class Known(Comparison):
    """Of differences that are known."""

    def __init__(self, found: list[Difference]) -> None:
        super().__init__(iter(()), 0)
        self.found, self.seen, self.is_done = found, 1, True

    def upto(self, samples: float) -> list[Difference]:
        return self.found
