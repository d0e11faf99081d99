"""Rates of multiply-adds: by ISA level, or the profile's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeort import device_profiles
from edgeort.device_profiles.profile import ISA_LEVELS
from edgeort.device_profiles.rates import MACS_PER_CYCLE, macs_per_ms


def test_every_level_has_rates():
    assert set(MACS_PER_CYCLE) == {level for levels in ISA_LEVELS.values() for level in levels}
    assert all(float32 <= int8 for float32, int8 in MACS_PER_CYCLE.values())


def test_the_best_level_counts_and_the_profile_overrides():
    pi = device_profiles.load("raspberrypi4")
    assert macs_per_ms(pi) == (4 * 1800 * 1000.0 * 4, 4 * 1800 * 1000.0 * 8)
    faster = device_profiles.load("raspberrypi5")
    assert macs_per_ms(faster)[1] / macs_per_ms(faster)[0] == pytest.approx(4)
    own = replace(pi, cpu=replace(pi.cpu, int8_macs_per_cycle=6.0))
    assert macs_per_ms(own)[1] == pytest.approx(macs_per_ms(pi)[1] * 6 / 8)
