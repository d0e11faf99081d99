"""No case of passing.txt may fail, none may crash or hang, and every other one is listed with its reason."""

from __future__ import annotations

import sys
import warnings

import pytest

from tests.onnx_node.runner import PASSED, cases, failing, library, passing, run_all

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="the workers are forked")]


def test_what_passed_still_passes() -> None:
    outcomes = {outcome.name: outcome for outcome in run_all(cases(), library())}
    wanted = passing()
    assert wanted == sorted(set(wanted)) and len(wanted) > 1000
    gone = [name for name in wanted if name not in outcomes]  # another version of onnx
    broken = [
        f"{name}: {outcomes[name].reason} {outcomes[name].detail}"
        for name in wanted
        if name in outcomes and outcomes[name].reason != PASSED
    ]
    assert not broken, "\n".join(broken)
    unlisted = sorted(set(outcomes) - set(wanted) - set(failing()))
    assert not unlisted, f"neither in passing.txt nor, with the reason, in failing.txt: {', '.join(unlisted)}"
    dead = [f"{o.name}: {o.reason}" for o in outcomes.values() if o.reason.startswith(("crash", "no answer"))]
    assert not dead, "\n".join(dead)
    more = sorted(name for name, outcome in outcomes.items() if outcome.reason == PASSED and name not in set(wanted))
    if more:
        warnings.warn(
            f"{len(more)} more node tests pass: python -m tests.onnx_node --update adds {', '.join(more[:20])}",
            stacklevel=1,
        )
    if gone:
        warnings.warn(f"this version of onnx lacks {', '.join(gone[:20])}", stacklevel=1)
