"""Rules of DLLs."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeort.errors import InputError
from edgeort.lint import lint
from edgeort.lint.rules.pe import PE
from tests.lint import making

pytest.importorskip("lief")

TARGET = ("-target", "x86_64-windows-gnu", "-shared", "-nostdlib", "-s")
SHOWN = "__declspec(dllexport)"
SOURCE = (
    "int __stdcall DllMainCRTStartup(void* a, unsigned b, void* c) { (void)a; (void)b; (void)c; return 1; }\n"
    f"{SHOWN} int good_sum(int a, int b) {{ return a + b; }}\n"
)


def dll(folder: Path, more: str = "", change: Callable[[bytearray, int], None] | None = None) -> Path:
    path = making.zig(folder, "good.dll", TARGET, SOURCE + more)
    data = bytearray(path.read_bytes())
    if change is not None:
        change(data, struct.unpack_from("<I", data, 60)[0])
    path.write_bytes(data)
    return path


def without(flag: int) -> Callable[[bytearray, int], None]:
    """Takes a flag out of DllCharacteristics, 70 bytes into the optional header behind a header of 24."""

    def change(data: bytearray, at: int) -> None:
        (flags,) = struct.unpack_from("<H", data, at + 24 + 70)
        struct.pack_into("<H", data, at + 24 + 70, flags & ~flag)

    return change


def writable_code(data: bytearray, at: int) -> None:
    """The first section, .text, gets the right to be written."""
    (size,) = struct.unpack_from("<H", data, at + 20)
    place = at + 24 + size + 36
    (flags,) = struct.unpack_from("<I", data, place)
    struct.pack_into("<I", data, place, flags | 0x80000000)


def redistributable(folder: Path) -> Path:
    source = f"{SHOWN} int other(void) {{ return 1; }}\n" + SOURCE.split("\n")[0]
    making.zig(folder, "vcruntime140.dll", [*TARGET, "-Wl,--out-implib,vcruntime140.lib"], source)
    calls = f"__declspec(dllimport) int other(void);\n{SHOWN} int good_call(void) {{ return other(); }}\n"
    return making.zig(folder, "good.dll", TARGET, SOURCE + calls, [folder / "vcruntime140.lib"])


BREAKS: dict[str, Callable[[Path], Path]] = {
    "pe-dynamic-base": lambda to: dll(to, change=without(0x0040)),
    "pe-no-execute": lambda to: dll(to, change=without(0x0100)),
    "pe-writable-code": lambda to: dll(to, change=writable_code),
    "pe-redistributable": redistributable,
    "pe-exports": lambda to: dll(to, f"{SHOWN} void helper(void) {{}}\n"),
    "pe-cxx-runtime": lambda to: dll(to, f"{SHOWN} void _ZdlPv(void* p) {{ (void)p; }}\n"),
}


def broken(path: Path) -> set[str]:
    return {finding.rule.id for finding in lint(path).findings}


def test_a_good_library_breaks_nothing(tmp_path: Path):
    assert broken(dll(tmp_path)) == set()


@pytest.mark.parametrize("rule", [rule.id for rule in PE])
def test_each_rule_is_broken_alone(rule: str, tmp_path: Path):
    assert broken(BREAKS[rule](tmp_path)) == {rule}


def test_damaged(tmp_path: Path):
    path = dll(tmp_path)
    data = path.read_bytes()
    for keep in (0, 2, 64, 200, len(data) // 2):
        path.write_bytes(data[:keep])
        with pytest.raises(InputError, match="good.dll: (not a|a damaged) DLL"):
            lint(path)
    for at in range(0, 700, 3):
        path.write_bytes(data[:at] + b"\xff\xff" + data[at + 2 :])
        with contextlib.suppress(InputError):
            lint(path)
