"""Compiling and linking for every target with nothing but ziglang."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import struct
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edgeort import cache, toolchain, zig
from edgeort.errors import OutputError, ToolchainError, UnsupportedError
from edgeort.toolchain import android, objects

OPS = ("Gemm", "Elementwise", "uop:Relu")
HERE = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
HOST = toolchain.target("linux", HERE)
ANDROID = toolchain.target("android", "aarch64")

# First bytes of the files of each system.
MAGIC = {
    "linux": b"\x7fELF",
    "android": b"\x7fELF",
    "macos": b"\xcf\xfa\xed\xfe",
    "windows": b"MZ",
    "browser": b"\0asm",
    "none": b"\x7fELF",
}
ARCHIVE = b"!<arch>\n"
QUICK = {("linux", HERE), ("linux", "aarch64"), ("android", "aarch64")}  # zig has to build no other libc for these
PROBED = ("linux", "android")  # edgeort profiles probe refuses others
TARGETS = [
    pytest.param(to, id=f"{to.os}-{to.arch}", marks=() if (to.os, to.arch) in QUICK else (pytest.mark.slow,))
    for to in toolchain.TARGETS
    if to.exe
]


@dataclass
class Elf:
    """As much of a 64-bit little-endian ELF file as the tests look at."""

    loads: list[int]  # alignment of each PT_LOAD
    needed: list[str]
    soname: str
    undefined: set[str]
    defined: set[str]


def read_elf(path: Path) -> Elf:
    data = path.read_bytes()
    assert data[:6] == b"\x7fELF\x02\x01"
    ph_offset, sh_offset = struct.unpack_from("<QQ", data, 32)
    ph_size, ph_count, sh_size, sh_count = struct.unpack_from("<HHHH", data, 54)
    heads = [struct.unpack_from("<IIQQQQQQ", data, ph_offset + i * ph_size) for i in range(ph_count)]
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, sh_offset + i * sh_size) for i in range(sh_count)]
    (symbols,) = [s for s in sections if s[1] == 11]  # SHT_DYNSYM
    (dynamic,) = [s for s in sections if s[1] == 6]  # SHT_DYNAMIC
    strings = sections[symbols[6]][4]

    def text(offset: int) -> str:
        return data[strings + offset : data.index(b"\0", strings + offset)].decode()

    names: dict[bool, set[str]] = {True: set(), False: set()}
    for at in range(symbols[4] + 24, symbols[4] + symbols[5], 24):
        name, _, _, section = struct.unpack_from("<IBBH", data, at)
        names[section == 0].add(text(name))
    tags = [struct.unpack_from("<QQ", data, at) for at in range(dynamic[4], dynamic[4] + dynamic[5], 16)]
    return Elf(
        loads=[head[7] for head in heads if head[0] == 1],
        needed=[text(value) for tag, value in tags if tag == 1],
        soname=next((text(value) for tag, value in tags if tag == 14), ""),
        undefined=names[True],
        defined=names[False],
    )


@pytest.mark.parametrize("to", TARGETS)
def test_library_and_harness_link(to: toolchain.Target):
    library, harness = toolchain.library_and_harness(to, OPS)
    assert library.read_bytes().startswith(ARCHIVE if to.is_archive else MAGIC[to.os])
    assert harness.read_bytes().startswith(MAGIC[to.os])
    assert max(path.stat().st_size for path in (library, harness)) <= 300_000
    assert library == toolchain.library(to, OPS) and harness == toolchain.harness(to, OPS)


@pytest.mark.parametrize("to", [to for to in TARGETS if to.values[0].os in PROBED])
def test_probe_links(to: toolchain.Target):
    """Its loops hold vectors in registers by assembler: where a level's flags give none, they do not compile."""
    program = toolchain.probe(to)
    assert program.read_bytes().startswith(MAGIC[to.os])
    assert program.stat().st_size <= 300_000


def test_android_library_fits_the_phone():
    elf = read_elf(toolchain.library(ANDROID, OPS))
    assert elf.undefined <= set(toolchain.BIONIC["libc"])
    assert elf.needed == ["libc.so"] and elf.soname == "libedgeort.so"
    assert elf.loads and all(alignment == 16384 for alignment in elf.loads)


def test_libraries_export_the_c_api_and_nothing_else():
    header = (toolchain.RUNTIME / "include/edgeort.h").read_text()
    for to in (ANDROID, HOST):
        exported = {name for name in read_elf(toolchain.library(to, OPS)).defined if name}
        assert "edgeort_open" in exported
        assert all(name.startswith("edgeort_") and f"{name}(" in header for name in exported)


def test_android_refuses_a_function_that_phones_lack(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(toolchain.BIONIC, "libc", tuple(n for n in toolchain.BIONIC["libc"] if n != "mmap"))
    with pytest.raises(ToolchainError, match="mmap"):
        toolchain.library(ANDROID, OPS)


def test_harness_is_static():
    path = toolchain.harness(HOST, OPS)
    path.chmod(0o755)
    assert b"/ld-" not in path.read_bytes()
    assert subprocess.run([path, "--help"], env={}, capture_output=True).returncode == 0


def test_a_static_program_makes_the_compiler_build_no_libc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Zig would compile all of musl."""
    toolchain.harness(HOST, OPS)
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(tmp_path))
    other = replace(HOST, exe_flags=(*HOST.exe_flags, f"-Wl,-z,stack-size={2**20 + os.getpid()}"))  # not made yet
    program = toolchain.harness(other, OPS)
    assert subprocess.run([program, "--help"], capture_output=True).returncode == 0
    assert not list(tmp_path.rglob("libc.a"))
    program.unlink()


def test_only_the_kernels_asked_for_are_linked():
    few, more = (toolchain.library(HOST, ops) for ops in (OPS, toolchain.all_kernels()))
    assert few.stat().st_size < more.stat().st_size / 2


def test_a_second_build_compiles_nothing(monkeypatch: pytest.MonkeyPatch):
    made = toolchain.library_and_harness(HOST, OPS)

    def forbidden(arguments: object) -> None:
        raise AssertionError(f"the compiler ran: {arguments}")

    monkeypatch.setattr(zig, "run", forbidden)
    assert toolchain.library_and_harness(HOST, OPS) == made


def test_another_compiler_makes_other_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of every kind that is compiled, not only linked: what is linked has their names in its key."""
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path))
    monkeypatch.setattr(zig, "run", lambda arguments, tool="cc": Path(arguments[-1]).write_bytes(b""))
    found = []
    for version in ("zig 1", "zig 2"):
        monkeypatch.setattr(zig, "version", lambda version=version: version)
        unit = objects.Unit(toolchain.RUNTIME / "core/plan.cc", "aarch64-linux-musl", ())
        stub = android.bionic_stub(ANDROID, "libm", ("expf",))
        library = toolchain.import_library(toolchain.target("windows", "x86_64"), ("edgeort_abi",))
        found.append({unit.compile(), stub, library})
    assert not found[0] & found[1]


def test_what_takes_long_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(objects, "SILENT_S", -1.0)
    told: list[str] = []
    toolchain.library_and_harness(HOST, OPS, progress=told.append)
    assert len(told) > 100
    assert told == [f"compiling: {done} of {len(told)} sources" for done in range(1, len(told) + 1)]


def test_two_caches_hold_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = toolchain.library(HOST, OPS).read_bytes()
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path))
    second = toolchain.library(HOST, OPS).read_bytes()
    assert hashlib.sha256(first).hexdigest() == hashlib.sha256(second).hexdigest()


def test_an_unknown_kernel_is_named():
    with pytest.raises(UnsupportedError, match="no kernel Frobnicate"):
        toolchain.library(HOST, [*OPS, "Frobnicate"])


def test_an_unknown_target_lists_those_there_are():
    with pytest.raises(UnsupportedError, match="plan9/vax") as caught:
        toolchain.target("plan9", "vax")
    assert "linux/aarch64" in str(caught.value.hint)


def test_a_compiler_that_fails_says_why(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(objects, "COMPILE", (*objects.COMPILE, "-include", "/nowhere.h"))
    with pytest.raises(ToolchainError, match="nowhere.h"):
        toolchain.library(HOST, OPS)


def test_a_missing_compiler_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    zig.program.cache_clear()
    with pytest.raises(ToolchainError, match="not installed") as caught:
        zig.program()
    assert "pip install ziglang" in str(caught.value.hint)


def test_an_unwritable_cache_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot write to the cache") as caught:
        toolchain.library(HOST, OPS)
    assert "EDGEORT_CACHE" in str(caught.value.hint)


def test_a_compiler_that_fails_on_a_full_disk_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(path: Path) -> None:
        raise ToolchainError("the compiler failed:\nexit status 1")

    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path))
    with pytest.raises(ToolchainError, match="exit status 1"):
        cache.cached("a.o", ("key",), fail)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(OutputError, match=f"cache {tmp_path / 'objects'}: No space left on device"):
        cache.cached("a.o", ("key",), fail)


def test_the_compiler_keeps_its_libraries_where_it_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    assert "ZIG_GLOBAL_CACHE_DIR" not in zig.environment()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert zig.environment()["ZIG_GLOBAL_CACHE_DIR"] == str(tmp_path / "zig")
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", "/chosen")
    assert zig.environment()["ZIG_GLOBAL_CACHE_DIR"] == "/chosen"


@pytest.mark.skipif(os.name != "posix", reason="HOME is of POSIX")
def test_without_a_home_the_compiler_has_our_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("HOME", "XDG_CACHE_HOME", "ZIG_GLOBAL_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path))
    assert zig.environment()["ZIG_GLOBAL_CACHE_DIR"] == str(tmp_path / "zig")


def test_a_user_without_a_home_is_told_of_the_setting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("EDGEORT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "")

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    if os.name == "posix":
        assert cache.cache_dir().is_absolute()  # an empty setting is none
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    with pytest.raises(OutputError, match="no home") as found:
        cache.cache_dir()
    assert found.value.hint == "set EDGEORT_CACHE to a folder"
