"""Compiles the runtime, all kernels and the drivers of this folder with the sanitizers of a system clang."""

from __future__ import annotations

import functools
import hashlib
import platform
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgeort import toolchain
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
_WRAPPED = (
    *("_ZN7edgeort14allocate_pagesEm", "_ZN7edgeort10free_pagesEPvm"),
    "_ZN7edgeort10run_streamERNS_5ModelERKNS_6StreamE",
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
        partial = target.with_suffix(".partial")
        done = subprocess.run([*command, "-c", str(source), "-o", str(partial)], capture_output=True, text=True)
        assert done.returncode == 0, f"{source}\n{done.stderr}"
        partial.replace(target)
    return target


def build() -> Path:
    """The program plan_fuzz, compiled where something changed."""
    runtime, clang, levels = toolchain.RUNTIME, compiler(), LEVELS[platform.machine()]
    assert clang
    headers = _headers()
    base = [clang, *_FLAGS, f"-I{runtime / 'core'}", f"-I{runtime / 'include'}"]
    operators = "-DOPERATORS=" + " ".join(f"X({name})" for name in sorted(toolchain.families()))
    tables = BUILT / "sanitized" / "tables.cc"
    tables.parent.mkdir(parents=True, exist_ok=True)
    tables.write_text(toolchain.tables(toolchain.all_kernels(), tuple(levels)))
    # The library's own table of operators gives way to the one of checked.cc.
    jobs = [([*base, "-DkOps=kUnwatchedOps"], tables), ([*base, "-fno-access-control", operators], HERE / "checked.cc")]
    jobs.append((base, HERE / "plan_fuzz.cc"))
    for source in [*sorted((runtime / "core").glob("*.cc")), *sorted((runtime / "kernels").glob("*/*.cc"))]:
        if source.name in ("bump.cc", "pages.cc"):
            continue  # checked.cc has its own
        own = toolchain.family_levels(source.parent.name, tuple(levels))
        table = "-DEDGEORT_LEVELS(X, ...)=" + " ".join(f"X({level}, __VA_ARGS__)" for level in own)
        if source.name.endswith(".isa.cc"):
            jobs += [([*base, levels[level], f"-DEDGEORT_ISA={level}"], source) for level in own]
        else:
            jobs.append(([*base, table], source))
    with ThreadPoolExecutor() as pool:
        objects = list(pool.map(lambda job: _compile(*job, headers), jobs))
    return _link("plan_fuzz", objects, [f"-Wl,--wrap={symbol}" for symbol in _WRAPPED])


def build_wordpiece() -> Path:
    """The program wordpiece_fuzz."""
    runtime, clang = toolchain.RUNTIME, compiler()
    assert clang
    sources = (
        *sorted((runtime / "text").glob("*.cc")),
        runtime / "core" / "platform_posix.cc",
        HERE / "wordpiece_fuzz.cc",
    )
    base = [clang, *_FLAGS, f"-I{runtime / 'core'}", f"-I{runtime / 'include'}"]
    return _link("wordpiece_fuzz", [_compile(base, source, _headers()) for source in sources])


def build_adapter(engine: str) -> Path:
    """The program edgeort_bench over the library of another engine."""
    runtime, clang = toolchain.RUNTIME, compiler()
    assert clang
    adapters = runtime / "adapters"
    common = (adapters / f"{name}.cc" for name in ("adapter", "loading", "settings"))
    sources = (
        *common,
        *sorted(adapters.glob(f"{engine}*.cc")),
        *sorted((runtime / "harness").glob("*.cc")),
        runtime / "core" / "platform_posix.cc",
    )
    base = [clang, *_FLAGS, f"-I{runtime / 'core'}", f"-I{runtime / 'include'}"]
    objects = [_compile(base, source, _headers()) for source in sources]
    return _link(f"{engine}_bench", objects, ["-ldl"])


def _headers() -> bytes:
    files = (path for suffix in ("h", "inc") for path in sorted(toolchain.RUNTIME.rglob(f"*.{suffix}")))
    return b"".join(path.read_bytes() for path in (*files, HERE / "checked.h"))


def _link(name: str, objects: Sequence[Path], flags: Sequence[str] = ()) -> Path:
    digest = hashlib.sha256("".join(one.name for one in objects).encode()).hexdigest()[:16]
    program = BUILT / "sanitized" / f"{name}-{digest}"
    if not program.exists():
        partial = program.with_suffix(".partial")
        command = [str(compiler()), *_FLAGS, *map(str, objects), *flags, "-lpthread", "-o", str(partial)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        partial.replace(program)
    return program
