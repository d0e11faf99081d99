"""A layer alone in int8 makes the noise that the whole model would make with it alone in int8."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edgeort.quantize.alone import Alone
from edgeort.quantize.attempts import NO_STEPS, Attempts, spread_over
from edgeort.quantize.calibration import Kept, calibrate
from edgeort.quantize.comparing import References
from edgeort.quantize.forms import Form
from edgeort.quantize.preparing import prepare
from edgeort.quantize.samples import open_samples
from edgeort.quantize.selection import select
from edgeort.quantize.store import Store
from tests.quantize.models import mobile, samples, save

FORMS = (Form.STATIC, Form.FLOAT, Form.FINE, Form.WIDE, Form.DYNAMIC)


@pytest.mark.parametrize("own_runtime", (False, True))
def test_only_what_is_behind_a_layer_runs_again(tmp_path: Path, own_runtime: bool) -> None:
    prepared = prepare(save(tmp_path / "m.onnx", mobile()))
    selection = select(prepared.model.graph)
    tensors = [str(value.name) for value in selection.tensors if value not in selection.source]
    with Store() as store, Store() as judge, Store() as few:
        given = open_samples(samples(12), prepared.inputs, None)
        keep = Kept(store, judge, 12, 0, 12)
        found = calibrate(prepared, given, tensors, "mse", channels=tensors, keep=keep)
        attempts = Attempts(
            prepared, found, spread_over(selection, found.ranges), store, judge, References(judge), NO_STEPS, {},
            own_runtime=own_runtime,
        )  # fmt: skip
        alone, names = Alone(attempts, (), few), [layer.name for layer in selection.layers]
        for layer in selection.layers:
            forms = [form for form in FORMS if form is not Form.DYNAMIC or layer.node.op_type == "Gemm"]
            others = set(names) - {layer.name}
            whole = [_noise(attempts.roughly(others, {layer.name: form})) for form in forms]
            assert [_noise(one) for one in alone.differences(layer.name, forms)] == pytest.approx(whole, rel=1e-2)
            assert min(whole) > 0


def _noise(differences: Sequence[object]) -> float:
    return max(one.relative_noise for one in differences)  # type: ignore[attr-defined]
