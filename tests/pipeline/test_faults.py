"""Whatever happens to a build, there is the whole bundle that belongs there, or what was there before."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgeort
from edgeort import compiling
from edgeort.bundle import open_bundle
from tests.models import ON_HOST, mlp

KILLS = 50


def build(model: Path, out: Path, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edgeort", "build", str(model), *ON_HOST, "-o", str(out)]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, env={**os.environ, **environment})


def tree(bundle: Path) -> dict[str, bytes]:
    with open_bundle(bundle) as opened:
        return {p.relative_to(bundle).as_posix(): p.read_bytes() for p in opened.folder.rglob("*") if p.is_file()}


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    """Two models of the same name in two folders: their bundles go to the same place."""
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        onnx.save(mlp(seed=seed), tmp_path / str(seed) / "m.onnx")
    return tmp_path / "0/m.onnx", tmp_path / "1/m.onnx"


@pytest.mark.slow
def test_killed_at_any_point(models: tuple[Path, Path], tmp_path: Path):
    first, second = models
    begun = time.monotonic()
    for model, name in ((first, "first"), (second, "second")):
        assert build(model, tmp_path / name).wait() == 0
    longest = (time.monotonic() - begun) / 2 * 1.2
    whole = tree(tmp_path / "first"), tree(tmp_path / "second")
    assert whole[0] != whole[1]
    times = random.Random(7)

    def kill_one(index: int) -> bool:
        """Builds the second model where the first one's bundle is, and kills that; whether the second one is there."""
        place = tmp_path / f"place{index}"
        place.mkdir()
        for name, data in whole[0].items():
            (place / "b" / name).parent.mkdir(parents=True, exist_ok=True)
            (place / "b" / name).write_bytes(data)
        running = build(second, place / "b")
        time.sleep(after[index])
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert (place / "b").is_dir(), f"nothing is left after {after[index]:.2f} s"
        found = tree(place / "b")
        assert found in whole, f"a bundle that is neither after {after[index]:.2f} s"
        return found == whole[1]

    after = [times.uniform(0, longest) for _ in range(KILLS)]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(kill_one, range(KILLS)))
    assert not all(done), "no build was killed in time"
    assert build(second, tmp_path / "place0/b").wait() == 0
    assert tree(tmp_path / "place0/b") == whole[1]


def test_two_builds_at_once_of_the_same_place(models: tuple[Path, Path], tmp_path: Path):
    cache = str(tmp_path / "cache")
    running = [build(models[0], tmp_path / "b", EDGEORT_CACHE=cache) for _ in range(2)]
    assert 0 in [one.wait() for one in running]
    assert build(models[0], tmp_path / "alone").wait() == 0
    assert tree(tmp_path / "b") == tree(tmp_path / "alone")


def test_another_day_and_another_folder_give_the_same_bytes(models: tuple[Path, Path], tmp_path: Path):
    for name, date in (("a", 0), ("b/c", 4_000_000_000)):
        os.utime(models[0], (date, date))
        cache = str(tmp_path / f"cache-{date}")
        assert build(models[0], tmp_path / name, EDGEORT_CACHE=cache, SOURCE_DATE_EPOCH=str(date)).wait() == 0
    assert tree(tmp_path / "a") == tree(tmp_path / "b/c")


@pytest.mark.parametrize("damage", ["model.plan", "plan.json"])
def test_a_damaged_plan_of_the_cache_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str):
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path))
    feeds = {"x": np.ones((2, 8), np.float32)}
    (want,) = edgeort.InferenceSession(mlp()).run(None, feeds)
    for file in (tmp_path / "plans").glob(f"*/{damage}"):
        file.write_bytes(file.read_bytes()[:-20])
    (again,) = edgeort.InferenceSession(mlp()).run(None, feeds)
    assert np.array_equal(again, want)
    (folder,) = (tmp_path / "plans").iterdir()
    assert compiling._read(folder)
