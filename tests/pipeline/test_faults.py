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
from tests.pipeline.nursery import Nursery
from tests.reference.build import compile_with_zig

KILLS = 50


def build(model: Path, out: Path, *options: str, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edgeort", "build", str(model), *ON_HOST, "-o", str(out), *options]
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
@pytest.mark.skipif(os.name != "posix", reason="the builds are forked")
def test_killed_at_any_point(models: tuple[Path, Path], tmp_path: Path):
    """At random moments, before each of the last changes of the file system, and before some of the others."""
    first, second = models

    def command(model: Path, out: Path) -> list[str | Path]:
        return ["build", model, *ON_HOST, "-o", out]

    scratch = str(tmp_path)  # what the killed leave behind goes there
    with Nursery(TMPDIR=scratch) as one, Nursery(TMPDIR=scratch) as other:
        for nursery in (one, other):  # where what they need is imported
            assert nursery.run(command(first, tmp_path / "first")).status == 0
        begun = time.monotonic()
        ended = one.run(command(second, tmp_path / "second"))
        longest, changes = (time.monotonic() - begun) * 1.5, ended.changes  # two at once
        assert ended.status == 0
        whole = tree(tmp_path / "first"), tree(tmp_path / "second")
        assert whole[0] != whole[1]
        times = random.Random(7)
        last = range(changes - KILLS // 2, changes + 1)  # where the bundle comes to its place
        deaths = [{"event": event} for event in last]
        deaths += [{"event": event} for event in times.sample(range(changes - KILLS // 2), KILLS // 5)]
        deaths += [{"seconds": times.uniform(0, longest)} for _ in range(KILLS - len(deaths))]

        def kill_one(nursery: Nursery, index: int) -> bool:
            """Builds the second model where the first one's bundle is, and kills that; whether it is there now."""
            place = tmp_path / f"place{index}"
            for name, data in whole[0].items():
                (place / "b" / name).parent.mkdir(parents=True, exist_ok=True)
                (place / "b" / name).write_bytes(data)
            status = nursery.run(command(second, place / "b"), **deaths[index]).status
            assert status in (0, -signal.SIGKILL, -signal.SIGALRM)
            assert (place / "b").is_dir(), f"nothing is left after {deaths[index]}"
            found = tree(place / "b")
            assert found in whole, f"a bundle that is neither after {deaths[index]}"
            assert status or found == whole[1]
            return found == whole[1]

        def kill_some(nursery: Nursery, indices: range) -> list[bool]:
            return [kill_one(nursery, index) for index in indices]

        with ThreadPoolExecutor(2) as pool:
            halves = pool.map(kill_some, (one, other), (range(0, len(deaths), 2), range(1, len(deaths), 2)))
            done = [is_new for half in halves for is_new in half]
        assert 0 < sum(done) < len(done), "all were killed before, or after"
        assert one.run(command(second, tmp_path / "place0/b")).status == 0
    assert tree(tmp_path / "place0/b") == whole[1]


@pytest.mark.slow
def test_builds_at_once(models: tuple[Path, Path], tmp_path: Path):
    """Two of the same place, one of another, with a cache in which there is nothing yet."""
    cache = str(tmp_path / "cache")
    running = [build(models[0], tmp_path / name, EDGEORT_CACHE=cache) for name in ("b", "b", "c")]
    assert [0 in [one.wait() for one in running[:2]], running[2].wait()] == [True, 0]
    assert build(models[0], tmp_path / "alone").wait() == 0
    assert tree(tmp_path / "b") == tree(tmp_path / "c") == tree(tmp_path / "alone")


@pytest.fixture(scope="module")
def clock() -> Path:
    """A library under which the time of day jumps."""
    if sys.platform != "linux":
        pytest.skip("LD_PRELOAD is Linux's")
    return compile_with_zig([Path(__file__).parent / "jumping_clock.c"], ["-shared", "-fPIC", "-O1", "-ldl"])


@pytest.mark.slow
def test_another_time_and_another_folder_give_the_same_bytes(models: tuple[Path, Path], tmp_path: Path, clock: Path):
    """Float in a folder, int8 in an archive; also with a clock that jumps, a file of another age, and nothing cached.

    (For float: to compile the kernels of int8, too, would take long and show nothing more.)
    """
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).standard_normal((16, 8)).astype(np.float32))
    int8 = ("--precision", "int8", "--data", str(tmp_path / "rows.npy"))
    jumping = {"LD_PRELOAD": str(clock)}
    empty = {"EDGEORT_CACHE": str(tmp_path / "cache")}
    for where, date, environment, cache in (("here", 0, {}, {}), ("there/below", 4_000_000_000, jumping, empty)):
        os.utime(models[0], (date, date))
        (tmp_path / where).mkdir(parents=True)
        assert build(models[0], tmp_path / where / "b", **environment, **cache).wait() == 0
        assert build(models[0], tmp_path / where / "b.zip", *int8, **environment).wait() == 0
    assert tree(tmp_path / "here/b") == tree(tmp_path / "there/below/b")
    archives = [(tmp_path / where / "b.zip").read_bytes() for where in ("here", "there/below")]
    assert archives[0] == archives[1]


def test_the_clock_jumps(clock: Path):
    """Else the test above would show nothing."""
    code = "import time; print(len({int(time.time()) // 86400 for _ in range(20)}))"
    environment = {**os.environ, "LD_PRELOAD": str(clock)}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout
    assert int(told) > 10


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
