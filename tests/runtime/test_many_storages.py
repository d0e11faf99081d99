"""Plans of many tensors that end together: each has a place of its own, and choosing it takes no time to speak of."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgeort.toolchain import RUNTIME
from tests.kernels.support import engine, parse
from tests.reference.build import compile_with_zig

RNG = np.random.default_rng(13)


@pytest.mark.parametrize("parts", [250, 700])  # fewer and more in all than a warm place is looked for (core/placing.cc)
def test_parts_that_end_together_have_places_of_their_own(parts: int, tmp_path: Path) -> None:
    """Rows are taken apart and put together in reverse, three times over: without a bound, the cube of their number."""
    lines, value = [], "x"
    for r in range(3):
        names = [f"p{r}_{i}" for i in range(parts)]
        lines.append(f"{', '.join(names)} = Split <axis = 0> ({value})")
        lines.append(f"c{r} = Concat <axis = 0> ({', '.join(reversed(names))})")
        lines.append(f"v{r} = Softmax <axis = 0> (c{r})")
        value = f"v{r}"
    model = parse(f"g (float[{parts},16] x) => (float[{parts},16] {value}) {{ {' '.join(lines)} }}")
    x = RNG.standard_normal((parts, 16)).astype(np.float32)
    ours = engine(model, tmp_path)
    expected = x
    for _ in range(3):
        e = np.exp(expected[::-1] - expected.max(0))
        expected = e / e.sum(0)
    np.testing.assert_allclose(ours.run([x])[0], expected, rtol=1e-5)
    assert ours.stats.arena_bytes <= 2 * parts * 64  # each part takes 64 bytes


def test_chains_of_results_over_one_another_are_placed_soon() -> None:
    """A chain each of whose places is taken at another step: without a bound, a pass over all for each step."""
    core, probe = RUNTIME / "core", Path(__file__).parent / "placing_stress.cc"
    flags = ("-x", "c++", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-O2", "-g0", "-fno-sanitize=undefined")
    includes = (f"-I{core}", f"-I{RUNTIME / 'include'}")
    program = compile_with_zig([probe, core / "placing.cc"], (*flags, *includes), depends=sorted(core.glob("*.h")))
    for chains, length in ((3, 300), (4, 3500)):
        done = subprocess.run([program, str(chains), str(length)], capture_output=True, text=True, timeout=20)
        assert done.stdout == "0 wrong\n"
