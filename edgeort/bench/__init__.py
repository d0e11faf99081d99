"""Runs a bundle's harness on a device, reads what it measured, judges it by budgets, bundles, earlier results."""

from __future__ import annotations

from edgeort.bench.budgets import Verdict, enforce, judge
from edgeort.bench.comparing import Compared, Contender, in_turns, turn_ms, with_earlier
from edgeort.bench.history import History, line_of
from edgeort.bench.measuring import Measurement, call_harness, measure
from edgeort.bench.paired import Difference
from edgeort.bench.predicting import Prediction, predict, predict_bundle, predict_engine, predict_for
from edgeort.bench.statistics import summary, throttles_from

__all__ = [
    "Compared",
    "Contender",
    "Difference",
    "History",
    "Measurement",
    "Prediction",
    "Verdict",
    "call_harness",
    "enforce",
    "in_turns",
    "judge",
    "line_of",
    "measure",
    "predict",
    "predict_bundle",
    "predict_engine",
    "predict_for",
    "summary",
    "throttles_from",
    "turn_ms",
    "with_earlier",
]
