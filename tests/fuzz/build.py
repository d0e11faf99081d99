"""Compiles the runtime, all kernels and the drivers of this folder with the sanitizers of a system clang."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgeort import toolchain
from edgeort.families import families_of
from tests.reference.build import BUILT, ROOT

HERE = Path(__file__).parent
COMPILERS = ("clang++", *(f"clang++-{version}" for version in range(30, 17, -1)))
LEVELS = {
    "x86_64": {"v3": "-march=x86-64-v3", "v4": "-march=x86-64-v4", "avx512_vnni": "-march=cascadelake"},
    "aarch64": {"neon": "-march=armv8-a", "dotprod": "-march=armv8.2-a+dotprod"},
}
_FLAGS = (
    *(
        "-std=c++17",
        "-O1",
        "-gline-tables-only",
        "-fno-omit-frame-pointer",
        "-fno-exceptions",
        "-fno-rtti",
        "-ffp-contract=off",
        "-fno-math-errno",
    ),
    *("-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"),
)
_FAST = "-O3"  # of what is soon compiled: whole loops over a few words then need no checks
_BLIND = {"signature": "-fno-sanitize-coverage=trace-cmp"}  # to numbers whose bits are as good as random
_WATCHED = "-fsanitize=fuzzer-no-link"  # what libFuzzer goes by; not in the inner loops, where it would only cost time
# In the inner loops the address sanitizer finds what these find, and they cost two thirds of the time to compile.
_INNER = "-fno-sanitize=null,object-size,pointer-overflow"
_WRAPS = tuple(
    f"-Wl,--wrap={symbol}"
    for symbol in (
        "_ZN7edgeort14allocate_pagesEm",
        "_ZN7edgeort10free_pagesEPvm",
        "_ZN7edgeort10run_streamERNS_5ModelERKNS_6StreamE",
    )
)


@functools.cache
def compiler() -> str | None:
    """A clang that knows __builtin_elementwise_fma and has the sanitizers; zig's clang has not."""
    source = "typedef float v __attribute__((vector_size(16)));"
    source += "v f(v x) { return __builtin_elementwise_fma(x, x, x); } int main() {}"
    for name in filter(shutil.which, COMPILERS):
        command = [name, "-x", "c++", "-", "-fsanitize=address,undefined", "-o", "/dev/null"]
        if subprocess.run(command, input=source, text=True, capture_output=True).returncode == 0:
            return name
    return None


def _compile(command: list[str], source: Path, headers: bytes) -> Path:
    digest = hashlib.sha256("\0".join(command).encode() + source.read_bytes() + headers).hexdigest()[:16]
    target = BUILT / "sanitized" / f"{source.parent.name}-{source.stem}-{digest}.o"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{os.getpid()}")
        done = subprocess.run([*command, "-c", str(source), "-o", str(partial)], capture_output=True, text=True)
        assert done.returncode == 0, f"{source}\n{done.stderr}"
        partial.replace(target)
    return target


def build() -> Path:
    """The program plan_fuzz, compiled where something changed."""
    return _link("plan_fuzz", [*_runtime(toolchain.all_kernels()), *_compiled(_own("plan_fuzz", "mutator"))], _WRAPS)


def build_wordpiece() -> Path:
    """The program wordpiece_fuzz."""
    sources = [*sorted((toolchain.RUNTIME / "text").glob("*.cc")), toolchain.RUNTIME / "core/platform_posix.cc"]
    return _link("wordpiece_fuzz", _compiled([*_plain(sources), *_own("wordpiece_fuzz")]))


# What stands beside NAME_target.cc in each of libFuzzer's programs: the runtime with these kernels, or parts of it.
_KERNELS: dict[str, tuple[str, ...]] = {"plan": toolchain.all_kernels(), "image": ("Picture",)}
_PARTS: dict[str, tuple[str, ...]] = {
    "reader": ("core/plan.cc", "core/constants.cc", "core/texts.cc"),
    "wordpiece": ("text/*.cc",),
    "npy": ("harness/npy.cc", "harness/data.cc"),
    "signature": ("signature/ed25519.cc", "signature/field25519.cc", "signature/sha512.cc"),
}


_building = threading.Lock()  # programs share objects, and each compiles on all cores


def build_target(name: str) -> Path:
    """libFuzzer's program of NAME_target.cc."""
    with _building:
        return _build_target(name)


def _build_target(name: str) -> Path:
    own = _compiled(_own(f"{name}_target", *(("mutator",) if name in ("plan", "reader") else ())))
    if name in _KERNELS:
        return _link(f"{name}_target", [*_runtime(_KERNELS[name]), *own], (*_WRAPS, "-fsanitize=fuzzer"))
    sources = [path for part in _PARTS[name] for path in sorted(toolchain.RUNTIME.glob(part))]
    flags = (_FAST, *filter(None, (_BLIND.get(name),)))
    return _link(f"{name}_target", [*_compiled(_plain(sources, *flags)), *own], ("-fsanitize=fuzzer",))


_Job = tuple[list[str], Path]  # the command, but for what is compiled and where to


def _base() -> list[str]:
    clang, runtime = compiler(), toolchain.RUNTIME
    assert clang
    return [clang, *_FLAGS, *(f"-I{runtime / part}" for part in ("core", "include"))]


def _plain(sources: Sequence[Path], *flags: str) -> list[_Job]:
    return [([*_base(), _WATCHED, *flags], source) for source in sources]


def _own(*names: str) -> list[_Job]:
    """Sources of this folder; what they do themselves is of no interest to libFuzzer."""
    parts = (f"-I{toolchain.RUNTIME / part}" for part in ("harness", "signature"))
    return [([*_base(), *parts], HERE / f"{name}.cc") for name in names]


def _compiled(jobs: Sequence[_Job]) -> list[Path]:
    headers = _headers()
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda job: _compile(*job, headers), jobs))


def _runtime(kernels: Sequence[str]) -> list[Path]:
    """The objects of the runtime with these kernels, watched."""
    runtime, levels = toolchain.RUNTIME, LEVELS[platform.machine()]
    base = [*_base(), _WATCHED]
    held, families = sorted(set(kernels) & set(toolchain.families())), set(families_of(kernels))
    operators = "-DOPERATORS=" + " ".join(f"X({name})" for name in held)
    tables = BUILT / "sanitized" / f"tables-{hashlib.sha256(operators.encode()).hexdigest()[:8]}.cc"
    written(tables, toolchain.tables(kernels, tuple(levels)))
    # The library's own table of operators gives way to the one of watching.cc.
    jobs = [([*base, "-DkOps=kUnwatchedOps"], tables)]
    inside = [*_base(), "-fno-access-control", operators]
    jobs += [(inside, HERE / f"{name}.cc") for name in ("allocations", "checked", "filling", "watching")]
    sources = sorted((runtime / "core").glob("*.cc"))
    sources += [path for path in sorted((runtime / "kernels").glob("*/*.cc")) if path.parent.name in families]
    for source in sources:
        if source.name in ("bump.cc", "pages.cc"):
            continue  # allocations.cc has its own
        own = toolchain.family_levels(source.parent.name, tuple(levels))
        table = "-DEDGEORT_LEVELS(X, ...)=" + " ".join(f"X({level}, __VA_ARGS__)" for level in own)
        if source.name.endswith(".isa.cc"):
            jobs += [([*_base(), _INNER, levels[level], f"-DEDGEORT_ISA={level}"], source) for level in own]
        else:
            jobs.append(([*base, table], source))
    return _compiled(jobs)


def build_adapter(engine: str) -> Path:
    """The program edgeort_bench over the library of another engine."""
    runtime = toolchain.RUNTIME
    adapters = runtime / "adapters"
    common = (adapters / f"{name}.cc" for name in ("adapter", "loading", "settings"))
    sources = (
        *common,
        *sorted(adapters.glob(f"{engine}*.cc")),
        *sorted((runtime / "harness").glob("*.cc")),
        runtime / "core" / "platform_posix.cc",
    )
    return _link(f"{engine}_bench", _compiled(_plain(sources)), ["-ldl"])


def written(path: Path, text: str) -> Path:
    """The file of that text, there at once: another process may be compiling it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(text)
    return partial.replace(path)


def _headers() -> bytes:
    files = (path for suffix in ("h", "inc") for path in sorted(toolchain.RUNTIME.rglob(f"*.{suffix}")))
    return b"".join(path.read_bytes() for path in (*files, *sorted(HERE.glob("*.h"))))


def _link(name: str, objects: Sequence[Path], flags: Sequence[str] = ()) -> Path:
    digest = hashlib.sha256("".join(one.name for one in objects).encode()).hexdigest()[:16]
    program = BUILT / "sanitized" / f"{name}-{digest}"
    if not program.exists():
        partial = program.with_suffix(f".{os.getpid()}")
        command = [str(compiler()), *_FLAGS, *map(str, objects), *flags, "-lpthread", "-o", str(partial)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        partial.replace(program)
    return program
