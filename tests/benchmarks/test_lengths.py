"""One open model, inputs of several shapes."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.parser

from benchmarks.contest import Pace
from benchmarks.engines import FREE, OURS, REFERENCE
from benchmarks.lengths import contest, parser, texts
from benchmarks.worker import LEAST_RUNS

TEXT = """<ir_version: 10, opset_import: ["" : 18]>
g (int64[batch,length] input_ids, int64[batch,length] attention_mask) => (float[batch,length] y)
{ p = Mul(input_ids, attention_mask)  f = Cast<to=1>(p)  y = Softmax(f) }"""


def test_every_length_is_checked_and_timed_in_one_open_model(tmp_path: Path):
    path = tmp_path / "m.onnx"
    onnx.save(onnx.parser.parse_model(TEXT), path)
    results = contest(path, (1, 5, 2), 1, Pace(rounds=2, turn_ms=1, pause_ms=0))
    assert [result.model for result in results] == [
        "minilm, length 1", "minilm, length 5", "minilm, length 2", "minilm, lengths 1, 5, 2",
    ]  # fmt: skip
    for result in results:
        entrants = {entrant.name: entrant for entrant in result.entrants}
        assert list(entrants) == [entry.name for entry in FREE]
        for name in (OURS.name, REFERENCE.name):
            assert entrants[name].out is None and len(entrants[name].times_ms) >= 2 * LEAST_RUNS
        assert entrants["PyTorch"].out is not None  # there is no module of this model


def test_a_text_has_its_length():
    assert {name: array.shape for name, array in texts(7).items()} == {"input_ids": (1, 7), "attention_mask": (1, 7)}
    assert parser().parse_args([]).lengths == [1, 16, 128, 512]
