"""No plan, however broken, makes the runtime do worse than say no; valid plans run without a sanitizer's report."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edgeort.toolchain import families
from tests.contract.engines import int8_levels
from tests.fuzz import build
from tests.fuzz.corpus import ROLLED, UNFED, lowered, lowered_file, rolling, write_inputs
from tests.fuzz.plans import uncalled
from tests.generation import networks
from tests.real_models.find import find

MUTANTS = int(os.environ.get("EDGEORT_FUZZ_MUTANTS", "20000"))
SEED = int(os.environ.get("EDGEORT_FUZZ_SEED", "1"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or platform.machine() not in build.LEVELS,
        reason="the drivers are built for 64-bit Linux",
    ),
]


@pytest.fixture(scope="session")
def program() -> Path:
    if build.compiler() is None:
        pytest.skip(
            "needs a clang of version 18 or later with its sanitizers: apt-get install clang-19 libclang-rt-19-dev"
        )
    return build.build()


def levels() -> list[str]:
    return [level for level in build.LEVELS.get(platform.machine(), ()) if level in int8_levels()]


def run(program: Path, *arguments: str | Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, env=environment
    )


def said(done: subprocess.CompletedProcess[str]) -> str:
    return f"exit status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"


def test_the_plans_call_every_kernel(kernel_plans: Sequence[Path]) -> None:
    missing = uncalled(kernel_plans)
    assert len(missing) < len(families()) / 4, missing  # some kernels serve no node test that passes


@pytest.mark.parametrize("isa", levels())
@pytest.mark.parametrize("threads", [1, 3])
def test_valid_plans_keep_within_their_memory(
    program: Path, kernel_plans: Sequence[Path], isa: str, threads: int
) -> None:
    fed = [plan for plan in kernel_plans if not plan.stem.endswith(UNFED)]
    done = run(program, "run", isa, str(threads), *fed)
    assert done.returncode == 0, said(done)


def test_a_broken_memory_plan_is_found(program: Path, kernel_plans: Sequence[Path]) -> None:
    done = run(program, "sabotage", levels()[0], "1", kernel_plans[-1])
    assert done.returncode != 0, "tensors that share one place went unnoticed"


@pytest.mark.parametrize("layer", ROLLED)
def test_a_result_that_lies_a_line_too_far_is_found(
    program: Path, layer: tuple[str, int, dict[str, list[int]]], tmp_path: Path
) -> None:
    """Over what its stream reads. `run` makes each such result apart, too, and compares."""
    plan = tmp_path / "rolling.plan"
    plan.write_bytes(lowered(rolling([layer]), tmp_path).to_bytes())
    assert run(program, "run", levels()[0], "1", plan).returncode == 0
    done = run(program, "shorten", levels()[0], "1", plan)
    assert done.returncode != 0 and "other bytes where it lies over" in done.stderr, said(done)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("mobilenetv2_100", (1, 3, 224, 224)),
        ("deit_tiny_patch16_224", (1, 3, 224, 224)),
        ("yolov8n", (1, 3, 320, 320)),
        ("ppocr_det", (1, 3, 96, 160)),
        ("ppocr_rec", (2, 3, 48, 96)),
    ],
)
def test_real_models_keep_within_their_memory(program: Path, name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    plan = tmp_path / f"{name}.plan"
    plan.write_bytes(lowered_file(find(name)).to_bytes())
    write_inputs(plan, [np.random.default_rng(0).standard_normal(shape).astype(np.float32)])
    done = run(program, "run", levels()[-1], "2", plan)
    assert done.returncode == 0, said(done)


@pytest.fixture(scope="module")
def decoders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("decoders")
    plans = []
    for kv_heads, form in ((4, "float32"), (2, "int8"), (1, "int4")):
        plans.append(folder / f"{form}.plan")
        plans[-1].write_bytes(lowered_file(networks.write(folder, kv_heads, form)).to_bytes())
        write_inputs(plans[-1], [np.array([[3, 1, 4]])])
    return plans


@pytest.mark.parametrize("isa", levels())
@pytest.mark.parametrize("threads", [1, 3])
def test_states_keep_within_their_memory(program: Path, decoders: Sequence[Path], isa: str, threads: int) -> None:
    done = run(program, "states", isa, str(threads), *decoders)
    assert done.returncode == 0, said(done)


def test_mutated_decoders(program: Path, decoders: Sequence[Path]) -> None:
    done = run(program, "mutate", levels()[-1], str(SEED), "0", str(MUTANTS // 4), *decoders)
    assert done.returncode == 0, f"seed {SEED}: {said(done)}"


def test_mutated_plans(program: Path, kernel_plans: Sequence[Path]) -> None:
    isa = levels()[-1]
    done = run(program, "mutate", isa, str(SEED), "0", str(MUTANTS), *kernel_plans)
    assert done.returncode == 0, f"seed {SEED}: {said(done)}"
    counts = dict(zip(done.stdout.split()[::2], map(int, done.stdout.split()[1::2]), strict=True))
    assert sum(counts.values()) == MUTANTS
    assert counts["ran"] > MUTANTS / 10 and counts["refused"] > MUTANTS / 10, (
        counts
    )  # the mutations are neither idle nor too wild
    assert counts["late"] < MUTANTS / 100, counts


@pytest.fixture(scope="module")
def wordpiece() -> Path:
    if build.compiler() is None:
        pytest.skip("needs a clang of version 18 or later with its sanitizers")
    return build.build_wordpiece()


VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghij", "ab", "##c", "##ab", "é", "##é", "界", ".", "ᄒ", "##ᅡ"]


def test_tokenizer_takes_any_text(wordpiece: Path, tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(VOCABULARY), encoding="utf-8")
    done = run(wordpiece, path, SEED, 20000)
    assert done.returncode == 0, said(done)


def test_tokenizer_takes_any_vocabulary(wordpiece: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    whole = "\n".join(VOCABULARY).encode()
    files = []
    for index in range(300):
        data = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(0, len(data), rng.integers(0, 6))
        data[places] = rng.choice(np.array([0, 10, 13, 128, 255, 35], np.uint8), len(places))
        files.append(tmp_path / f"{index}.txt")
        files[-1].write_bytes(data.tobytes()[: rng.integers(0, len(data) + 1)])
    done = run(wordpiece, "open", *files)
    assert done.returncode == 0, said(done)
