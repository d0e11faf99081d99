"""The pass over the samples: ranges are of all of them, means of the kept ones, memory is that of one."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeort.errors import InputError
from edgeort.ort import open_session
from edgeort.quantize.calibration import Calibration, Kept, calibrate, with_outputs
from edgeort.quantize.preparing import Prepared, prepare
from edgeort.quantize.samples import Data, open_samples
from edgeort.quantize.store import Store
from tests.quantize.models import mobile, pictures, samples, save

TENSOR = "t1"  # behind the first Clip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(save(tmp_path_factory.mktemp("model") / "m.onnx", mobile()))


def run(prepared: Prepared, data: Data, **options: object) -> Calibration:
    return calibrate(prepared, open_samples(data, prepared.inputs), ["x", TENSOR], "minmax", **options)  # type: ignore[arg-type]


def tensor(prepared: Prepared, x: np.ndarray) -> np.ndarray:
    session = open_session(with_outputs(prepared.serialized, [TENSOR]))
    return np.concatenate([session.run(None, {"x": row[np.newaxis]})[0] for row in x])


def test_ranges_are_of_all_samples(prepared: Prepared):
    found, x = run(prepared, samples(19)), pictures(19)
    assert found.samples == 19
    assert found.ranges["x"] == (x.min(), x.max())
    assert found.ranges[TENSOR][1] == pytest.approx(tensor(prepared, x).max(), rel=1e-6)
    assert found.extremes["x"] == (x.min(), x.max())


def test_means_are_of_the_samples_to_refine_on(prepared: Prepared):
    with Store() as store, Store() as judge:
        found = run(prepared, samples(8), means={TENSOR: 1}, keep=Kept(store, judge, 4, 3, 8))
        assert (store.samples, judge.samples) == (4, 3)
        kept = np.concatenate([store.get("x", i) for i in range(4)])
        others = np.concatenate([judge.get("x", i) for i in range(3)])
    assert (kept == pictures(8)[[1, 3, 5, 7]]).all()
    assert (others == pictures(8)[[0, 2, 4]]).all()
    np.testing.assert_allclose(found.means[TENSOR].mean, tensor(prepared, kept).mean(axis=(0, 2, 3)), rtol=1e-5)


def test_the_first_are_kept_where_the_number_is_unknown(prepared: Prepared):
    with Store() as store, Store() as judge:
        run(prepared, iter(samples(5)), keep=Kept(store, judge, 2, 9, None))
        assert (store.samples, judge.samples) == (2, 3)
        assert (store.get("x", 1) == pictures(5)[1]).all()


def test_it_says_when_more_samples_change_nothing(prepared: Prepared):
    x = pictures(1)[0][np.newaxis]
    assert run(prepared, [{"x": x}] * 40).settled_at == 8
    growing = [{"x": x * np.float32(1.1**i)} for i in range(40)]
    assert run(prepared, growing).settled_at is None
    settling = [{"x": x * np.float32(min(i + 1, 12))} for i in range(64)]
    assert run(prepared, settling).settled_at == 16


def test_memory_does_not_grow_with_the_samples(prepared: Prepared):
    def endless(count: int) -> Iterator[dict[str, np.ndarray]]:
        for seed in range(count):
            yield samples(1, seed)[0]

    def peak(count: int) -> int:
        tracemalloc.start()
        run(prepared, endless(count))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(8)  # imports and caches
    assert peak(400) < peak(20) + 200_000


def test_what_the_model_cannot_run_is_said(prepared: Prepared):
    bad = [*samples(3), {"x": np.full((1, 3, 12, 12), 3e38, np.float32)}]
    with pytest.raises(InputError, match="sample 3 makes NaNs or infinities in tensor"):
        calibrate(prepared, open_samples(bad, prepared.inputs), ["t0"], "minmax")


def test_prepared_models_name_their_file(tmp_path: Path, prepared: Prepared):
    assert len(prepared.sha256) == 64
    assert prepare(save(tmp_path / "m.onnx", mobile(width=8))).sha256 != prepared.sha256
