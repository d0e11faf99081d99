"""Bundles for microcontrollers: what a firmware links, and the firmware of the example on emulated boards of Arm."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

import edgeort
from edgeort import sample
from edgeort.bundle import Vocabulary
from edgeort.errors import UnsupportedError
from edgeort.families import functions
from edgeort.pipeline import Accuracy
from tests.bundle.test_development import need, run
from tests.models import HOST

EXAMPLE = Path(__file__).parents[2] / "examples/microcontroller"
# Of C, and of the compiler (Arm, Run-time ABI for the Arm Architecture), which every toolchain for these cores has.
C_LIBRARY = {"memcmp", "memcpy", "memmove", "memset", "strcmp", "strlen", "vsnprintf", "snprintf"}
MATH = {"truncf", "floorf", "ceilf", "rintf", "roundevenf", "nearbyintf", "sqrtf", "fmaf", "fma", "sqrt"}
BOARDS = {"cortex-m4": ("mps2-an386", "fpv4-sp-d16"), "cortex-m7": ("mps2-an500", "fpv5-sp-d16")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where bundles are built, with samples of the model's pictures."""
    made = tmp_path_factory.mktemp("micro")
    np.savez(made / "samples.npz", image=np.random.default_rng(0).uniform(0, 16, (20, 1, 8, 8)).astype(np.float32))
    return made


def built(folder: Path, device: str, precision: str) -> Path:
    """The bundle of the sample, with the model in it."""
    to = folder / f"{device}-{precision}"
    if not to.exists():
        accuracy = Accuracy(precision=precision, data=folder / "samples.npz") if precision == "int8" else None  # type: ignore[arg-type]
        edgeort.build(sample.path(), device, to, accuracy=accuracy, embed_model=True)
    return to


def names(archive: Path) -> tuple[set[str], set[str]]:
    """What the objects of a static library define for others, and ask of others: elf(5), 32 bits."""
    defined: set[str] = set()
    asked: set[str] = set()
    data = archive.read_bytes()
    at = data.index(b"\x7fELF")
    while at >= 0:
        sections_at, (size, count) = (
            struct.unpack_from("<I", data, at + 32)[0],
            struct.unpack_from("<HH", data, at + 46),
        )
        sections = [struct.unpack_from("<IIIIIIIIII", data, at + sections_at + i * size) for i in range(count)]
        (symbols,) = [section for section in sections if section[1] == 2]
        strings = at + sections[symbols[6]][4]
        for place in range(at + symbols[4], at + symbols[4] + symbols[5], 16):
            name, _, _, info, other, section = struct.unpack_from("<IIIBBH", data, place)
            text = data[strings + name : data.index(b"\0", strings + name)].decode()
            if info >> 4 and section == 0:
                asked.add(text)
            elif info >> 4 and not other & 3:
                defined.add(text)
        at = data.find(b"\x7fELF", at + 1)
    return defined, asked - defined


def test_a_firmware_gets_the_api_and_is_asked_for_c_alone(folder: Path):
    defined, asked = names(built(folder, "cortex-m4", "float32") / "lib/libedgeort.a")
    declared = set(functions(["edgeort.h", "edgeort_memory.h", "edgeort_embedded.h"]))
    assert declared <= defined
    own = {name for name in asked if not name.startswith(("__aeabi_", "edgeort_plan"))}
    assert own <= C_LIBRARY | MATH, own - C_LIBRARY - MATH


def test_its_code_leaves_room_in_flash(folder: Path):
    """Depthwise kernels unrolled as for larger cores would take 120 kB."""
    for precision in ("float32", "int8"):
        archive = built(folder, "cortex-m4", precision) / "lib/libedgeort.a"
        assert archive.stat().st_size < 460_000  # with names, relocations and the model


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_code_gives_the_golden_bytes_of_another_core(folder: Path, precision: str):
    """Those of AVX, of the same model: the harness for the core runs as a program for Linux."""
    need("qemu-arm-static")
    bundle = built(folder, "cortex-m4", precision)
    (here,) = edgeort.InferenceSession(sample.path()).run(None, {"image": np.load(bundle / "golden/input0.npy")})
    harness = (bundle / "bin/edgeort_bench", bundle / "model.plan", "--runs", "1")
    run("qemu-arm-static", "-cpu", "max", *harness, "--inputs", bundle / "golden", "--outputs", folder, cwd=folder)
    answer = np.load(folder / "output0.npy")
    assert answer.tobytes() == np.load(bundle / "golden/output0.npy").tobytes()
    assert precision == "int8" or answer.tobytes() == here.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("device", BOARDS)
def test_the_example_gives_the_golden_bytes_on_a_board(folder: Path, device: str, precision: str, tmp_path: Path):
    need("arm-none-eabi-gcc", "qemu-system-arm", "make")
    bundle, (board, unit) = built(folder, device, precision), BOARDS[device]
    place = tmp_path / "example"
    shutil.copytree(EXAMPLE, place)
    made = ("make", f"BUNDLE={bundle}", f"BOARD={board}", f"CORE={device}", f"FPU={unit}")
    run(*made, "firmware.elf", cwd=place)
    done = subprocess.run(
        [*made, "-s", "run"],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    line, told = done.stdout.splitlines()[:2]
    answer = np.array([int(word, 16) for word in line.split()], np.uint32).view(np.float32)
    assert answer.tobytes() == np.load(bundle / "golden/output0.npy").tobytes()
    assert 0 < int(told.split()[1]) < 256 * 1024


def test_a_tokenizer_is_refused(tmp_path: Path):
    """It opens a file. A build would be of a library whose `edgeort_wordpiece_open` always fails."""
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\n")
    with pytest.raises(UnsupportedError, match=r"--vocab\) reads its vocabulary from a file"):
        edgeort.build(sample.path(), "cortex-m4", tmp_path / "b", vocabulary=Vocabulary(tmp_path / "vocab.txt"))
    assert not (tmp_path / "b").exists()


def test_zeros_of_weights_stay_in_flash(folder: Path):
    """A plan for other devices leaves them out, and widens them into memory when it is opened."""
    edgeort.build(sample.path(), HOST, folder / "host")
    micro, host = (
        (bundle / "model.plan").stat().st_size for bundle in (built(folder, "cortex-m4", "float32"), folder / "host")
    )
    assert micro > host + 4096


@pytest.mark.parametrize("device", ["cortex-m4", "browser"])
def test_more_threads_than_there_are_is_refused(folder: Path, device: str):
    with pytest.raises(UnsupportedError, match=f"the code for {device} has one thread, and 4 are asked for"):
        edgeort.build(sample.path(), device, folder / "refused", threads=4)
    assert not (folder / "refused").exists()
