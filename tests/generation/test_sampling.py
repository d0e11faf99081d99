"""Sampling: the nucleus is what its definition says, draws follow it, and a seed decides them."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort.errors import InputError
from edgeort.generation import Sampler, Sampling, nucleus


def chances_of(logits: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) / temperature - logits.max() / temperature)
    return powers / powers.sum()


@pytest.mark.parametrize("seed", range(40))
def test_the_nucleus_is_the_fewest_likeliest_that_reach_top_p(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.choice([1, 2, 100, 257, 5000]))
    logits = (rng.standard_normal(size) * rng.choice([0.0, 0.1, 3, 30])).astype(np.float32)
    if rng.random() < 0.5:  # many that are equal
        logits = np.round(logits)
    temperature, top_p = float(rng.choice([0.2, 1, 4])), float(rng.choice([1e-9, 0.3, 0.9, 0.999, 1]))
    tokens, kept = nucleus(logits, temperature, top_p)
    chances = chances_of(logits, temperature)
    np.testing.assert_allclose(kept, chances[tokens], rtol=1e-9)
    assert len(set(tokens.tolist())) == len(tokens) and (np.diff(kept) <= 0).all()
    others = np.setdiff1d(np.arange(size), tokens)
    assert not len(others) or chances[others].max() <= kept[-1]
    assert not len(others) or kept.sum() >= top_p - 1e-9
    assert kept[:-1].sum() < top_p + 1e-9
    assert all(a < b for a, b, x, y in zip(tokens, tokens[1:], kept, kept[1:], strict=False) if x == y)


def test_draws_have_the_nucleus_frequencies() -> None:
    logits = np.log(np.array([0.1, 0.5, 0.05, 0.3, 0.05], np.float32))
    sampler = Sampler(Sampling(top_p=0.85, seed=1))
    drawn = np.bincount([sampler.choose(logits) for _ in range(4000)], minlength=5) / 4000
    np.testing.assert_allclose(drawn, [0.1 / 0.9, 0.5 / 0.9, 0, 0.3 / 0.9, 0], atol=0.03)


def test_a_seed_gives_the_same_tokens() -> None:
    logits = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    a, b, c = (
        [sampler.choose(logits) for _ in range(20)]
        for sampler in (Sampler(Sampling(seed=3)), Sampler(Sampling(seed=3)), Sampler(Sampling(seed=4)))
    )
    assert a == b != c


def test_temperature_0_is_the_likeliest() -> None:
    logits = np.array([0, 3, 1, 3], np.float32)
    assert Sampler(Sampling(temperature=0)).choose(logits) == 1


@pytest.mark.parametrize("options", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"temperature": float("inf")}])
def test_bad_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="temperature is|top_p is"):
        Sampling(**options)  # type: ignore[arg-type]
