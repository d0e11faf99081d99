"""What counts as the same output, who is out, and what the table says."""

from __future__ import annotations

import importlib.util
import io

import numpy as np
import pytest
from rich.console import Console

from benchmarks.contest import TOLERANCE, Entrant, Pace, Result, by_threads, contest, difference
from benchmarks.engines import ENGINES, OURS, REFERENCE, Engine, Job, Runner
from benchmarks.models import find
from benchmarks.peers import absences, as_json, parser, table
from benchmarks.worker import LEAST_RUNS, start, turn

WANT = np.linspace(-2, 1, 12, dtype=np.float32).reshape(1, 3, 4)


def test_difference_is_relative_to_the_range():
    got = WANT.copy()
    got[0, 1, 2] += 0.02
    assert difference([got], [WANT]) == pytest.approx(0.01, rel=1e-4)
    assert difference([WANT], [WANT]) == 0


def test_axes_of_length_one_do_not_count():
    assert difference([WANT[0]], [WANT]) == 0


@pytest.mark.parametrize("got", [[], [WANT, WANT], [WANT.reshape(1, 4, 3)], [np.full_like(WANT, np.nan)]])
def test_other_outputs_are_infinitely_different(got: list[np.ndarray]):
    assert difference(got, [WANT]) == float("inf")


def result(model: str, threads: int, **medians: float | None) -> Result:
    def entrant(name: str) -> Entrant:
        median = medians.get(name.split()[0].lower())
        return Entrant(name, out=None if median else f"{model} is refused", times_ms=[median] if median else [])

    return Result(model, threads, tuple(entrant(entry.name) for entry in ENGINES))


def test_ratio_is_best_peer_over_edgeort():
    assert result("a", 1, edgeort=2.0, onnx=5.0, openvino=3.0).ratio == 1.5
    assert result("a", 1, onnx=5.0).ratio is None
    assert result("a", 1, edgeort=2.0).ratio is None


def test_a_disturbed_median_leaves_the_fastest_ratio_alone():
    found = result("a", 1, edgeort=1.0, onnx=2.0)
    found.entrants[0].times_ms += [50.0, 50.0]
    assert found.ratio == pytest.approx(2 / 50)
    assert found.fastest_ratio == 2


def test_geometric_mean_is_taken_for_each_number_of_threads():
    results = [result("a", 1, edgeort=1.0, onnx=2.0), result("b", 1, edgeort=1.0, ncnn=8.0), result("a", 2, onnx=1.0)]
    assert by_threads(results) == {1: (pytest.approx(4.0), pytest.approx(4.0))}


def test_a_reason_is_one_line_for_all_the_models_it_holds_for():
    results = [result("a", 1, edgeort=1.0, onnx=2.0, ncnn=3.0), result("b", 1, edgeort=1.0, onnx=2.0)]
    assert absences(results) == [
        "OpenVINO, every model: MODEL is refused",
        "LiteRT, every model: MODEL is refused",
        "ncnn, b: MODEL is refused",
    ]


def test_table_has_a_row_for_each_result_and_the_mean():
    text = io.StringIO()
    Console(file=text, width=200).print(table([result("net", 1, edgeort=2.0, onnx=3.0)]))
    row = next(line for line in text.getvalue().splitlines() if "net" in line)
    assert "2.000" in row and "3.000" in row and "1.50" in row
    assert "geometric mean of 1" in text.getvalue()


def test_json_says_why_an_engine_is_out():
    found = as_json([result("net", 1, edgeort=2.0)], {}, Pace())
    engines = found["rows"][0]["engines"]
    assert engines["ncnn"] == {
        "median_ms": None,
        "fastest_ms": None,
        "runs": 0,
        "difference": None,
        "version": None,
        "out": "net is refused",
    }
    assert engines["edgeort"]["median_ms"] == 2.0


def job(tmp_path) -> Job:
    model = find("digits")
    return Job(model.path, model.feeds, 1, tmp_path)


def test_a_missing_package_is_one_line(tmp_path):
    runner, told = start(Engine("Absent", "benchmarks.engines.absent", "absent", "pip install absent"), job(tmp_path))
    assert runner is None
    assert told == {"unavailable": "benchmarks.engines.absent cannot be imported (pip install absent)"}


def test_an_engine_that_raises_refuses_the_model(tmp_path, monkeypatch: pytest.MonkeyPatch):
    def fails(_: Job) -> Runner:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("benchmarks.engines.ort.open", fails)
    assert start(REFERENCE, job(tmp_path)) == (None, {"unavailable": "refuses the model: first line"})


def test_a_turn_leaves_its_first_run_out():
    calls: list[None] = []
    times = turn(Runner(lambda: calls.append(None), list), 0)
    assert len(times) == LEAST_RUNS == len(calls) - 1


def test_engines_take_turns_on_the_sample():
    found = contest(find("digits"), 1, ENGINES, Pace(rounds=2, turn_ms=2, pause_ms=0))
    entrants = {entrant.name: entrant for entrant in found.entrants}
    assert list(entrants) == [entry.name for entry in ENGINES]
    litert = ("LiteRT",) if all(map(importlib.util.find_spec, ("ai_edge_litert", "flatbuffers"))) else ()
    for name in (OURS.name, REFERENCE.name, *litert):
        assert entrants[name].out is None
        assert entrants[name].difference is not None and entrants[name].difference < TOLERANCE
        assert len(entrants[name].times_ms) >= 2 * LEAST_RUNS
    assert found.ratio is not None and found.ratio > 0


def test_command_line_defaults_to_one_and_two_threads():
    args = parser().parse_args(["digits"])
    assert (args.models, args.threads) == (["digits"], [1, 2])
