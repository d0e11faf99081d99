"""How many weights each layer loses: with the least noise in the outputs for the share that goes of all.

A layer that alone loses the share p of its weights adds the noise n, measured once. It grows about as the cube of the
share, and that of layers adds up: the least sum of n (s / p)^3 with w s in all, w the layers' weights, has

    s proportional to sqrt(w / n)
"""

from __future__ import annotations

import numpy as np

from edgeort.quantize.sparsity.patterns import HIGHEST

PROBE = 0.5  # of a layer's weights, gone when its noise is measured
_STEPS = 60  # of bisection


def balanced(weights: np.ndarray, noises: np.ndarray, share: float) -> np.ndarray:
    """Each layer's share, at most HIGHEST, such that `share` of all weights go."""
    eager = np.sqrt(weights / np.maximum(noises, 1e-12 * noises.max() + 1e-30))
    low, high = 0.0, 1.0 / float(eager.min())
    for _ in range(_STEPS):
        middle = (low + high) / 2
        found = np.minimum(middle * eager, HIGHEST)
        low, high = (middle, high) if found @ weights < share * weights.sum() else (low, middle)
    return np.minimum(high * eager, HIGHEST)
