"""Rules of ELF libraries: one that breaks none, and for each rule one that breaks just that."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeort.errors import InputError
from edgeort.lint import Options, lint
from edgeort.lint.rules.android import ANDROID, PAGE
from edgeort.lint.rules.elf import ELF
from tests.lint import making

pytest.importorskip("lief")

PT_LOAD, PT_GNU_STACK, PT_GNU_RELRO = 1, 0x6474E551, 0x6474E552
SHOWN = '__attribute__((visibility("default")))'
CALLS_DATA = making.SOURCE + f"int hidden;\n{SHOWN} int* const good_table[] = {{&hidden}};\n"
CALLS = f"{SHOWN} void other_function(void);\n{SHOWN} void good_call(void) {{ other_function(); }}\n"
# code that holds an address, which the loader must write there
TEXT_ADDRESS = making.SOURCE + '__asm__(".text\\n.p2align 3\\n.quad good_sum\\n");\n'
WRITABLE_CODE = making.SOURCE + '__asm__(".section .odd,\\"awxR\\"\\n.quad 1\\n");\n'


def needing(name: str, soname: str | None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        other = making.stub(folder / "stub", name, soname)
        moved = other.rename(folder / name) if soname else other
        return making.elf(folder, source=CALLS, needs=[moved])

    return make


def lazily(folder: Path) -> Path:
    other = making.stub(folder, "libc.so", "libc.so")
    return making.elf(folder, flags=["-Wl,-z,lazy"], source=CALLS, needs=[other])


BREAKS: dict[str, Callable[[Path], Path]] = {
    "elf-text-relocations": lambda to: making.elf(to, flags=["-Wl,-z,notext"], source=TEXT_ADDRESS),
    "elf-executable-stack": lambda to: making.with_segment(making.elf(to), PT_GNU_STACK, flags=7),
    "elf-writable-code": lambda to: making.elf(to, source=WRITABLE_CODE),
    "elf-relro": lambda to: making.without_segment(making.elf(to), PT_GNU_RELRO),
    "elf-bind-now": lazily,
    "elf-run-path": lambda to: making.elf(to, flags=["-Wl,-rpath,/home/someone/lib"]),
    "elf-exports": lambda to: making.elf(to, source=making.SOURCE + f"{SHOWN} void helper(void) {{}}\n"),
    "elf-cxx-runtime": lambda to: making.elf(
        to, source=making.SOURCE + f"{SHOWN} void _ZdlPv(void* p) {{ (void)p; }}\n"
    ),
    "elf-debug-sections": lambda to: making.elf(to, flags=["-g"]),
    "android-page-size": lambda to: making.elf(to, page=4096),
    "android-relro-end": lambda to: making.with_segment(making.elf(to, source=CALLS_DATA), PT_GNU_RELRO, shrink=64),
    "android-soname": lambda to: making.elf(to, soname=False),
    "android-private-library": needing("libssl.so", "libssl.so"),
    "android-library-level": needing("libaaudio.so", "libaaudio.so"),
    "android-needed-path": needing("libother.so", None),
    "android-needs-linux": needing("libc.so.6", "libc.so.6"),
    "android-needs-another": needing("libother.so", "libother.so"),
    "android-sections": lambda to: making.without_sections(making.elf(to)),
}


APP = Options(min_sdk=24)


def broken(path: Path, options: Options = APP) -> set[str]:
    return {finding.rule.id for finding in lint(path, options).findings}


def test_a_good_library_breaks_nothing(tmp_path: Path):
    other = making.stub(tmp_path, "libc.so", "libc.so")
    report = lint(making.elf(tmp_path, source=CALLS, needs=[other]), Options(min_sdk=24))
    assert report.findings == ()
    assert report.checked == len(ELF) + len(ANDROID)


@pytest.mark.parametrize("rule", [rule.id for rule in (*ELF, *ANDROID)])
def test_each_rule_is_broken_alone(rule: str, tmp_path: Path):
    assert broken(BREAKS[rule](tmp_path)) == {rule}


def test_a_stack_that_nothing_is_said_of_is_executable(tmp_path: Path):
    assert broken(making.without_segment(making.elf(tmp_path), PT_GNU_STACK)) == {"elf-executable-stack"}


def test_a_level_that_the_app_has_is_fine(tmp_path: Path):
    assert broken(BREAKS["android-library-level"](tmp_path), Options(min_sdk=26)) == set()


def test_prefixes_say_what_may_be_exported(tmp_path: Path):
    path = BREAKS["elf-exports"](tmp_path)
    assert broken(path, Options(("good_", "helper"), 24)) == set()
    (finding,) = lint(path, Options(("helper",), 24)).findings
    assert finding.what == "1 exported names do not begin with helper: good_sum"


def test_linux_has_no_rules_of_android(tmp_path: Path):
    target = ("-target", "x86_64-linux-gnu.2.28", "-shared", "-nostdlib")
    path = making.elf(tmp_path, target=target, page=4096, soname=False)
    assert broken(path, Options()) == set()
    assert broken(path) == {"android-page-size", "android-soname"}  # a level of Android's says that it is one


def test_32_bit_libraries_may_have_small_pages(tmp_path: Path):
    target = ("-target", "arm-linux-musleabi", "-shared", "-nostdlib", "-fno-builtin", "-fno-unwind-tables")
    path = making.elf(tmp_path, target=target, page=4096)
    assert broken(path) == set()


def test_page_is_that_of_the_segments(tmp_path: Path):
    (finding,) = lint(making.elf(tmp_path, page=4096), Options(min_sdk=24)).findings
    assert "aligned to 4096 bytes, not to 16384" in finding.what and PAGE == 16384


@pytest.mark.parametrize("keep", [0, 3, 16, 63, 64, 200, 1000, 0.5, 0.9])
def test_cut_off(keep: float, tmp_path: Path):
    path = making.elf(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(InputError, match="libgood.so: (not an ELF|a damaged ELF)"):
        lint(path)


def test_not_a_library(tmp_path: Path):
    path = making.zig(tmp_path, "x.o", ["-target", "aarch64-linux-none", "-c"])
    other = path.rename(tmp_path / "libx.so")
    with pytest.raises(InputError, match="no shared library"):
        lint(other)


def test_bytes_that_are_wrong_are_errors_or_findings(tmp_path: Path):
    path = making.elf(tmp_path, source=CALLS_DATA)
    data = path.read_bytes()
    for at in range(0, min(len(data), 1200), 6):
        for value in (0x00, 0x7F, 0xFF):
            path.write_bytes(data[:at] + bytes([value]) * 2 + data[at + 2 :])
            with contextlib.suppress(InputError):
                lint(path)


def test_a_table_beyond_the_file(tmp_path: Path):
    path = making.elf(tmp_path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, 32, 1 << 62)
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        lint(path)
