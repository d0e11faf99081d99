"""What moves pixels between Transposes works on planes; next to a convolution it stays channels-last."""

from __future__ import annotations

import pytest

from edgeort.passes import cancel_transposes, name_dims, rearrange_planes, to_nhwc
from tests.passes.harness import check, counts
from tests.passes.test_cancel_transposes import CONV, build

PASSES = (name_dims, to_nhwc, cancel_transposes, rearrange_planes)


@pytest.mark.parametrize("node", ["DepthToSpace <blocksize = 2> (x)", "SpaceToDepth <blocksize = 2> (x)"])
def test_rearrangements_between_planes_stay_there(node: str) -> None:
    model, _ = check(build(f"g (float[1,12,4,6] x) => (float[A,B,C,D] y) {{ y = {node} }}"), PASSES)
    assert counts(model) == {node.split()[0]: 1}
    behind = build(
        f"g (float[1,6,4,6] x) => (float[A,B,C,D] y) {{ a = {CONV} (x, w) b = Concat <axis = 1> (a, a) "
        f"y = {node.replace('(x)', '(b)')} }}"
    )
    assert counts(check(behind, PASSES)[0])["Transpose"] == 2
