"""The C API over another engine (runtime/adapters), and the harness on the same."""

from __future__ import annotations

from pathlib import Path

from edgeort.families import RUNTIME
from edgeort.targets import BIONIC_ENGINES, Target
from edgeort.toolchain.android import bionic_stub
from edgeort.toolchain.linking import link
from edgeort.toolchain.objects import Unit, compile_all, cpu, placing


def adapter_and_harness(to: Target, engine: str) -> tuple[Path, Path]:
    """A library with the C API of edgeort.h over another engine (runtime/adapters), and the harness on the same.

    Neither is static: they load the engine's own library when a model is opened.
    """
    base = (*placing(to), *cpu(to))
    adapters = RUNTIME / "adapters"
    platform = sorted((RUNTIME / "core").glob("platform_*.cc"))
    shared_parts = (adapters / f"{name}.cc" for name in ("adapter", "loading", "settings"))
    own = [*shared_parts, *sorted(adapters.glob(f"{engine}*.cc")), *platform]
    rest = sorted((RUNTIME / "harness").glob("*.cc"))
    triple = to.exe_triple if to.os == "android" else to.triple  # Android's libc has no headers here
    objects = compile_all([Unit(path, triple, base) for path in (*own, *rest)])
    shared = ["-target", to.triple, "-shared", "-s", "-O3", *to.library_flags]
    program = ["-target", to.triple, "-s", "-O3", *(flag for flag in to.exe_flags if flag != "-static")]
    ends: list[Path] = []
    if to.os == "android":
        start = Unit(adapters / "start_android.cc", triple, base).compile()
        ends = [bionic_stub(to, *names) for names in BIONIC_ENGINES.items()]
        shared.append("-nostdlib")
        program += [
            "-nostdlib",
            "-pie",
            "-Wl,-dynamic-linker=/system/bin/linker64",
            "-Wl,-z,max-page-size=16384",
            str(start),
        ]
    return link(to.library, shared, [*objects[: len(own)], *ends]), link(to.exe, program, [*objects, *ends])
