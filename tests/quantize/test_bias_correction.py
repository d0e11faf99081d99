"""A bias is corrected behind an activation that saturates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgeort.quantize.bias_correction import correct
from edgeort.quantize.calibration import ChannelMean, channel_sums


class Clipped:
    """A layer of one channel behind whose result, x + bias, stands a clip."""

    def __init__(self, x: np.ndarray, low: float, high: float, factor: float = 1.0) -> None:
        self.x, self.bounds, self.measured, self.factor = x, (low, high), 0, factor
        self.bias = np.zeros(1)

    @property
    def real_bias(self) -> np.ndarray:
        return self.bias

    def set_bias(self, bias: np.ndarray) -> None:
        self.bias = bias

    def mean(self) -> ChannelMean:
        self.measured += 1
        return ChannelMean(*channel_sums(self.factor * np.clip(self.x + self.bias, *self.bounds), 1))


@pytest.mark.parametrize(("low", "high"), [(-np.inf, np.inf), (0, np.inf), (0, 1)])
def test_means_become_equal(low: float, high: float):
    x = np.random.default_rng(0).standard_normal((4, 1, 50, 50))
    layer, wanted = Clipped(x + 0.2, low, high), Clipped(x, low, high).mean().mean
    before = abs(layer.mean().mean - wanted)
    correct(layer, wanted, layer.mean)
    assert abs(layer.mean().mean - wanted) < 0.05 * before


@pytest.mark.parametrize("factor", [3.0, -0.4, 0.2])
def test_constants_behind_the_layer_are_found(factor: float):
    x = np.random.default_rng(0).standard_normal((4, 1, 50, 50))
    layer, wanted = Clipped(x + 0.2, 0, np.inf, factor), Clipped(x, 0, np.inf, factor).mean().mean
    before = abs(layer.mean().mean - wanted)
    correct(layer, wanted, layer.mean)
    assert abs(layer.mean().mean - wanted) < 0.1 * before


def test_a_linear_layer_is_measured_once():
    layer = Clipped(np.ones((1, 1, 3, 3)), -np.inf, np.inf)
    correct(layer, np.array([3.0]), layer.mean, is_linear=True)
    assert layer.measured == 1 and layer.bias == pytest.approx([2.0])


def test_a_channel_that_is_all_saturated_moves_by_what_it_lacks():
    layer = Clipped(np.full((1, 1, 3, 3), 9.0), 0, 6)
    correct(layer, np.array([5.9]), layer.mean)
    assert np.isfinite(layer.bias).all() and abs(layer.bias[0]) < 1


class Swish(Clipped):
    """The same before x * sigmoid(x), which falls, then rises."""

    def mean(self) -> ChannelMean:
        x = self.x + self.bias.reshape(-1, 1, 1)
        return ChannelMean(*channel_sums(x / (1 + np.exp(-x)), 1))


def test_a_step_that_leads_away_is_not_taken():
    """Around the lowest point of x * sigmoid(x) means follow a step of the bias too little, or the other way."""
    x = np.random.default_rng(0).standard_normal((1, 60, 20, 20)) / 4 + np.linspace(-4, 2, 60).reshape(-1, 1, 1)
    wanted = Swish(x, 0, 0).mean().mean
    layer = Swish(x + np.tile([0.4, -0.4, 0.1], 20).reshape(-1, 1, 1), 0, 0)
    layer.bias = np.zeros(60)
    before = abs(layer.mean().mean - wanted)
    correct(layer, wanted, layer.mean)
    after = abs(layer.mean().mean - wanted)
    assert (after <= before).all() and after.sum() < 0.3 * before.sum()


def test_a_channel_that_few_positions_wake_is_not_lost():
    """A step of its size puts all of it below zero, where the next steps change nothing."""
    x = np.random.default_rng(0).standard_normal((1, 1, 40, 40)) - 3
    x[..., :2] += 20
    steep, wanted = 300.0, Swish(5 * x, 0, 0).mean().mean
    layer = Swish(5 * x - 2, 0, 0)
    measure: Callable[[], ChannelMean] = lambda: Swish(5 * x - 2 + steep * layer.bias, 0, 0).mean()  # noqa: E731
    before = abs(measure().mean - wanted)
    correct(layer, wanted, measure)
    assert abs(measure().mean - wanted) < 0.1 * before
