"""Runs a bundle's harness on a device, reads what it measured, judges it against the profile's budgets."""

from __future__ import annotations

from edgeort.bench.budgets import Verdict, enforce, judge
from edgeort.bench.measuring import Measurement, call_harness, measure

__all__ = ["Measurement", "Verdict", "call_harness", "enforce", "judge", "measure"]
