"""The memory that a firmware gives (core/platform_bare.cc), and what models keep of it, compiled for this machine."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort import zig
from edgeort.compiling import plan_of
from edgeort.device_profiles import load
from edgeort.families import RUNTIME
from tests.kernels.support import parse
from tests.runtime.driver import program

LINE = 64
ROOM = 1 << 14


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    made = tmp_path_factory.mktemp("bare") / "memory.so"
    flags = (
        "-shared",
        "-fPIC",
        "-std=c++17",
        "-DEDGEORT_BARE",
        "-O1",
        "-nostdlib++",
        "-fno-exceptions",
        "-fno-rtti",
        f"-I{RUNTIME / 'include'}",
    )
    zig.run([*flags, *(str(RUNTIME / f"core/{name}.cc") for name in ("platform_bare", "pages")), "-o", str(made)])
    library = ctypes.CDLL(str(made))
    library.take = library._ZN7edgeort14allocate_pagesEm
    library.take.restype, library.take.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.give = library._ZN7edgeort10free_pagesEPvm
    library.give.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    for name in ("edgeort_memory_in_use", "edgeort_memory_peak"):
        getattr(library, name).restype = ctypes.c_size_t
    library.edgeort_use_memory.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.take_page = library._ZN7edgeort5Pages4takeEmb
    library.take_page.restype = ctypes.c_void_p
    library.take_page.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_bool]
    library.give_page = library._ZN7edgeort5Pages4giveEPvm
    library.give_page.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return library


def test_without_any_there_is_none(memory: ctypes.CDLL):
    room = ctypes.create_string_buffer(100)
    for place, size in ((None, 0), (None, 1000), (room, 100)):
        assert memory.edgeort_use_memory(place, size) == 0
        assert memory.take(1) is None
    assert memory.edgeort_memory_in_use() == 0


@settings(max_examples=60, deadline=None)
@given(
    offset=st.integers(0, LINE),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, ROOM // 4), st.integers(0, 1 << 16)), max_size=60),
)
def test_parts_are_apart_zeroed_and_come_back(memory: ctypes.CDLL, offset: int, steps: list[tuple[bool, int, int]]):
    room = ctypes.create_string_buffer(b"\xff" * (ROOM + 1), ROOM + 1)
    begin, size = ctypes.addressof(room) + offset, ROOM - LINE
    assert memory.edgeort_use_memory(begin, size) == 0
    whole = largest(memory)
    held: dict[int, int] = {}
    for gives, wanted, which in steps:
        if gives and held:
            place = list(held)[which % len(held)]
            memory.give(place, held.pop(place))
            continue
        place = memory.take(wanted)
        if place is None:
            continue
        assert place % LINE == 0 and begin <= place and place + wanted <= begin + size
        assert all(place + wanted <= other or other + held[other] <= place for other in held)
        assert ctypes.string_at(place, wanted) == bytes(wanted)
        ctypes.memset(place, 0xFF, wanted)
        held[place] = max(wanted, 1)
        assert memory.edgeort_use_memory(begin, size) != 0, "while a model has some of it"
        assert sum(held.values()) <= memory.edgeort_memory_in_use() <= memory.edgeort_memory_peak() <= size
    for place, wanted in held.items():
        memory.give(place, wanted)
    assert memory.edgeort_memory_in_use() == 0
    assert largest(memory) == whole, "nothing stays cut up"


def largest(memory: ctypes.CDLL) -> int:
    """The most that can be had at once."""
    for size in range(ROOM, 0, -LINE):
        place = memory.take(size)
        if place is not None:
            memory.give(place, size)
            return size
    return 0


def test_more_than_addresses_can_be_is_refused(memory: ctypes.CDLL):
    room = ctypes.create_string_buffer(ROOM)
    assert memory.edgeort_use_memory(room, ROOM) == 0
    for size in (ROOM, 2**63, 2**64 - 1, 2**64 - 64):
        assert memory.take(size) is None


def test_what_has_grown_and_just_fits_is_given(memory: ctypes.CDLL):
    """Room to grow once more is taken only where there is some."""
    room, pages = ctypes.create_string_buffer(ROOM), ctypes.create_string_buffer(8)
    assert memory.edgeort_use_memory(room, ROOM) == 0
    for size in (ROOM // 4, ROOM // 2, ROOM * 7 // 8):
        place = memory.take_page(pages, size, True)
        assert place is not None, size
        assert ctypes.string_at(place, size) == bytes(size)
        ctypes.memset(place, 0xFF, size)
        memory.give_page(pages, place, size)
    assert memory.take_page(pages, ROOM, True) is None
    assert memory.edgeort_memory_in_use() == 0


def test_there_are_no_files(memory: ctypes.CDLL, tmp_path: Path):
    class Mapping(ctypes.Structure):
        _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("handle", ctypes.c_void_p)]

    memory._ZN7edgeort8map_fileEPKcPS1_.restype = Mapping
    reason = ctypes.c_char_p()
    assert memory._ZN7edgeort8map_fileEPKcPS1_(b"model.plan", ctypes.byref(reason)).data is None
    assert b"edgeort_open_memory" in (reason.value or b"")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the program is built for Linux")
def test_what_suffices_for_a_shape_does_so_after_others(tmp_path: Path):
    """Though what those left is cut otherwise: larger tables, a smaller one in the place of activations."""
    text = """g (float[1,3,s,s] x) => (float[1,3,a,a] y) <float[4] scales = {1, 1, 3, 3}>
        { r = Relu(x) t = Resize <mode="cubic"> (r, , scales) y = Softmax(t) }"""
    (tmp_path / "m.onnx").write_bytes(parse(text).SerializeToString())
    made, _ = plan_of(tmp_path / "m.onnx", load("host"))
    (tmp_path / "m.plan").write_bytes(made.to_bytes())
    tried = program("bare_shapes", tuple(made.ops), ("-DEDGEORT_BARE",))
    for sides in ((9, 13), (12, 13), (3, 5, 7, 11, 13), (13, 5), (25, 6, 24), (20, 5, 20)):
        done = subprocess.run(
            [tried, tmp_path / "m.plan", *map(str, sides)], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (sides, done.stdout)
