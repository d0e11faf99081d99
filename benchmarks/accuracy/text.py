"""Sentences for a model that embeds them: from the documentation that comes with Python, and made from templates."""

from __future__ import annotations

import pydoc_data.topics
import re

import numpy as np

_PEOPLE = (
    "A man",
    "A woman",
    "The child",
    "Two dogs",
    "Our neighbour",
    "The minister",
    "A young player",
    "Some people",
)
_DOES = ("is playing", "watches", "has lost", "will sell", "talks about", "cannot find", "is cutting", "praised")
_WHAT = (
    "a guitar", "the evening news", "an old car", "shares in the company", "the new tax law", "a ball in the park",
    "fresh onions", "the peace talks", "a red umbrella", "the last train",
)  # fmt: skip
_WHEN = ("", " today", " in the rain", " on the street", " after the match", ", officials said", " for the third time")


def sentences(count: int, seed: int = 0) -> list[str]:
    """That many different ones, half of each kind, in an order that the seed draws."""
    rng = np.random.default_rng(seed)
    prose = [" ".join(part.split()) for text in pydoc_data.topics.topics.values() for part in re.split(r"\.\s", text)]
    written = sorted({part for part in prose if re.fullmatch(r"[A-Z][\w ,;'()-]{20,300}", part)})
    made = sorted({f"{a} {b} {c}{d}." for a in _PEOPLE for b in _DOES for c in _WHAT for d in _WHEN})
    half = min(count // 2, len(written))
    drawn = [*rng.choice(written, half, replace=False), *rng.choice(made, count - half, replace=False)]
    return [str(drawn[i]) for i in rng.permutation(len(drawn))]
