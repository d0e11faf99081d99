"""Models of one plan: those of one buffer run on several threads at once, those of one file share its pages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeort.compiling import plan_of
from edgeort.device_profiles import load
from edgeort.engine import Engine
from edgeort.session import open_plan
from tests.kernels.support import same_bits
from tests.models import mlp
from tests.runtime.driver import program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the program is built for Linux")
THREADS, RUNS = 4, 8


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    """A plan with weights of several pages, and the kernels that it calls."""
    folder = tmp_path_factory.mktemp("sharing")
    (folder / "m.onnx").write_bytes(mlp(hidden=500).SerializeToString())
    made, _ = plan_of(folder / "m.onnx", load("host"))
    (folder / "model.plan").write_bytes(made.to_bytes())
    return folder / "model.plan", tuple(made.ops)


@pytest.mark.slow
def test_models_of_one_buffer_run_at_once_without_a_race(plan: tuple[Path, tuple[str, ...]]) -> None:
    path, kernels = plan
    made = program("shared_plan", kernels, ("-fsanitize=thread",))
    # Without address randomisation: TSan's shadow has no room for every layout.
    command = ["setarch", "-R", str(made), str(path), str(THREADS), str(RUNS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]


def mapped(path: Path) -> list[dict[str, int]]:
    """What the system says of each mapping of the file in this process, in kB."""
    parts = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())
    ours = (part for part in parts if part.partition("\n")[0].endswith(f" {path}"))
    return [{key: int(value) for key, value in re.findall(r"(?m)^(\w+): +(\d+) kB", part)} for part in ours]


def test_models_of_one_file_share_its_pages(plan: tuple[Path, tuple[str, ...]]) -> None:
    path, kernels = plan
    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 8)
    opened: list[Engine] = [open_plan(path, kernels, threads=1) for _ in range(2)]
    first, second = (engine.run([x])[0] for engine in opened)
    found = mapped(path)
    assert same_bits(first, second)
    assert len(found) == 2
    for one in found:
        assert one["Rss"] >= 16 and one["Private_Dirty"] == 0
        assert one["Pss"] <= one["Rss"] / 2 + 4  # each page is counted by half: the other mapping has it, too
    for engine in opened:
        engine.close()
    assert mapped(path) == []
