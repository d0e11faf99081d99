"""Which token follows: the likeliest, or one drawn from those that hold most of the probability.

    p = softmax(logits / temperature)
    nucleus: the fewest likeliest tokens whose probabilities reach top_p together      (Holtzman et al. 2020,
    arXiv:1904.09751, section 3.1); drawn from those in proportion to p

Of equally likely tokens the one of the lower id comes first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeort.errors import InputError


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. temperature 0: the likeliest. The same seed gives the same tokens."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise InputError(f"temperature is {self.temperature}; it is 0 or more")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p}; it is above 0 and at most 1")


_FEW = 256  # tokens that hold top_p of the probability nearly always: to sort all takes as long as a small network
GREEDY = Sampling(temperature=0)


class Sampler:
    """Draws one token after the other."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._random = np.random.default_rng(sampling.seed)

    def choose(self, logits: np.ndarray) -> int:
        """A token for logits float32 [vocabulary]."""
        if self._sampling.temperature == 0:
            return int(logits.argmax())
        tokens, chances = nucleus(logits, self._sampling.temperature, self._sampling.top_p)
        at = np.searchsorted(chances.cumsum(), self._random.random() * chances.sum(), side="right")
        return int(tokens[min(at, len(tokens) - 1)])


def nucleus(logits: np.ndarray, temperature: float, top_p: float) -> tuple[np.ndarray, np.ndarray]:
    """The tokens to draw from, likeliest first, and their probabilities among all tokens, float64."""
    scaled = logits.astype(np.float64) / temperature
    chances = np.exp(scaled - scaled.max())
    chances /= chances.sum()
    few = _likeliest(chances, _FEW) if len(chances) > _FEW else None
    if few is None or chances[few].sum() < top_p:
        few = _likeliest(chances, len(chances))
    count = int(np.searchsorted(chances[few].cumsum(), top_p)) + 1
    kept = few[:count]
    return kept, chances[kept]


def _likeliest(chances: np.ndarray, count: int) -> np.ndarray:
    """The tokens of the `count` largest chances, and of those equal to the least of them, largest first."""
    tokens = np.flatnonzero(chances >= np.partition(chances, -count)[-count])
    return tokens[np.argsort(-chances[tokens], kind="stable")]
