"""Plans of many tensors that end together: each has a place of its own, and choosing it takes no time to speak of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kernels.support import engine, parse

RNG = np.random.default_rng(13)


@pytest.mark.parametrize("parts", [250, 700])  # fewer and more in all than a warm place is looked for (core/memory.cc)
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
