"""Graphs that make no sense, and those in any order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.model import clean, load
from tests.model.support import everything, make, operators, refusal, run, write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("g (float[3] x) => (float[3] y) { a = Add(x, b)  b = Relu(a)  y = Relu(b) }", "cycle"),
        ("g (float[3] x) => (float[3] y) { y = Add(x, y) }", "cycle"),
        ("g (float[3] x) => (float[3] y) { y = Add(x, nothing) }", "input 'nothing' of node 'y' (Add)"),
        ("g (float[3] x) => (float[3] y) { a = Relu(x) }", "output 'y' of graph 'g' is produced by no node"),
        ("g (float[3] x) => (float[3] y) { y = Relu(x)  y = Neg(x) }", "value 'y' has two producers"),
        ("g (float[3] x, float[3] x) => (float[3] y) { y = Relu(x) }", "two inputs named 'x'"),
        ("g (float[3] x) => (float[3] y, float[3] y) { y = Relu(x) }", "two outputs named 'y'"),
        ("g (float[3] x) => () { y = Relu(x) }", "no outputs"),
        (
            "g (bool c) => (float[3] y) { y = If(c) <then_branch = t () => (float[3] q) { q = Relu(z) },"
            " else_branch = e () => (float[3] r) { r = Relu(z) }>  z = Relu(y) }",
            "cycle",
        ),
    ],
)
def test_insane_graphs(tmp_path: Path, text: str, message: str) -> None:
    assert message in str(refusal(tmp_path, make(text)))


def test_nodes_in_any_order_are_sorted(tmp_path: Path) -> None:
    proto = make("g (float[3] x) => (float[3] y) { y = Relu(a)  a = Neg(x) }")
    assert operators(load(write(tmp_path, proto))) == ["Neg", "Relu"]


def test_subgraphs_may_use_values_around_them(tmp_path: Path) -> None:
    model = clean(load(write(tmp_path, everything())))
    assert "If" in operators(model)
    x = np.linspace(-1, 1, 384, dtype=np.float32).reshape(2, 3, 8, 8)
    for condition in (True, False):
        feeds = {"x": x, "c": np.array(condition)}
        for ours, theirs in zip(run(model, **feeds), run(everything(), **feeds), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_functions_that_call_themselves_or_multiply(tmp_path: Path) -> None:
    imports = 'opset_import: ["" : 17, "f" : 1]>'
    loop = f'<domain: "f", {imports}\nA (a) => (o) {{ o = f.A(a) }}'
    text = f"<ir_version: 8, {imports}\ng (float[3] x) => (float[3] y) {{ y = f.A(x) }}\n"
    assert "calls itself" in str(refusal(tmp_path, make(text + loop)))
    bomb = [f'<domain: "f", {imports}\nF0 (a) => (o) {{ o = Add(a, a) }}']
    for level in range(1, 40):
        bomb.append(f'<domain: "f", {imports}\nF{level} (a) => (o) {{ b = f.F{level - 1}(a)  o = f.F{level - 1}(b) }}')
    text = f"<ir_version: 8, {imports}\ng (float[3] x) => (float[3] y) {{ y = f.F39(x) }}\n"
    assert "with functions inlined" in str(refusal(tmp_path, make(text + "\n".join(bomb))))
