"""Int8 that should be slower than the float model is told in one line, with both figures and the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeort
from edgeort.cli.common import ms
from edgeort.cli.summary import print_result
from edgeort.pipeline import Accuracy, BuildResult
from edgeort.pipeline.accuracy import Precision
from tests.quantize.models import Net, save

CHANNELS, SIDE = 64, 56
PLAIN = "edgeort build m.onnx --device raspberrypi4"
STEM, POINTWISE = (3, 7, 2), (CHANNELS, 1, 1)  # channels, kernel, stride


def built(
    folder: Path,
    layer: tuple[int, int, int],
    *,
    precision: Precision = "int8",
    postprocess: str | None = None,
    ram_limit: int | None = None,
) -> BuildResult:
    """A layer and a pool for a Raspberry Pi 4, which multiplies bytes twice as fast as floats.

    Winograd multiplies a fourth for a float stem, which reads planes.
    """
    net, (channels, kernel, stride) = Net(), layer
    x = net.op("Relu", net.conv("x", channels, CHANNELS, kernel, stride=stride))
    flat = net.op("Flatten", net.op("GlobalAveragePool", x))
    model = net.model(flat, [1, channels, SIDE, SIDE], [1, CHANNELS])
    rng = np.random.default_rng(1)
    data = [{"x": rng.normal(size=(1, channels, SIDE, SIDE)).astype(np.float32)} for _ in range(4)]
    folder.mkdir(exist_ok=True)
    return edgeort.build(
        save(folder / "m.onnx", model), "raspberrypi4", folder / "b",
        accuracy=Accuracy(precision, data), postprocess=postprocess, ram_limit=ram_limit,
    )  # fmt: skip


def test_where_winograd_wins_the_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = built(tmp_path, STEM)
    assert result.is_slower_than_float and result.prediction is not None and result.float32 is not None
    plain = built(tmp_path / "plain", STEM, precision="float32")
    assert plain.float32 is None and plain.prediction is not None
    assert result.float32.latency_ms == pytest.approx(plain.prediction.latency_ms)
    print_result(result, Path("m.onnx"), "argument", PLAIN)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("float32")]
    plain_ms, int8_ms = ms(result.float32.latency_ms), ms(result.prediction.latency_ms)
    assert line.split(maxsplit=1)[1] == f"predicted {plain_ms} ms, int8 {int8_ms} ms: {PLAIN} is faster"


def test_where_int8_wins_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = built(tmp_path, POINTWISE)
    assert result.float32 is not None and not result.is_slower_than_float
    print_result(result, Path("m.onnx"), "argument", PLAIN)
    assert "is faster" not in capsys.readouterr().out


def test_where_memory_is_limited_float_is_no_way_out(tmp_path: Path) -> None:
    result = built(tmp_path, STEM, ram_limit=2**20)
    assert result.prediction is not None and result.float32 is None and not result.is_slower_than_float


def test_what_stands_behind_the_model_counts_in_both(tmp_path: Path) -> None:
    alone = built(tmp_path / "a", POINTWISE)
    behind = built(tmp_path / "b", POINTWISE, postprocess="softmax")
    assert alone.float32 is not None and behind.float32 is not None
    added = set(behind.float32.node_ms) - set(alone.float32.node_ms)
    assert added and added == set(behind.prediction.node_ms) - set(alone.prediction.node_ms)  # type: ignore[union-attr]
