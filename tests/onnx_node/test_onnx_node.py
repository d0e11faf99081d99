"""No case of passing.txt may fail."""

from __future__ import annotations

import sys
import warnings

import pytest

from tests.onnx_node.runner import PASSED, cases, library, passing, run_all

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
    more = sorted(name for name, outcome in outcomes.items() if outcome.reason == PASSED and name not in set(wanted))
    if more:
        warnings.warn(
            f"{len(more)} more node tests pass: python -m tests.onnx_node --update adds {', '.join(more[:20])}",
            stacklevel=1,
        )
    if gone:
        warnings.warn(f"this version of onnx lacks {', '.join(gone[:20])}", stacklevel=1)
