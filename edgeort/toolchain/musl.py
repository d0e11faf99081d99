"""The part of musl that static programs need, from the sources inside ziglang.

For a program's first link zig compiles all of musl, one file after the other: 40 s of one core, for each target. The
harness and the probe need 81 of its 1300 files, and two libraries in Zig: `c.zig`, which stands for the others, and
`compiler_rt.zig`. A function that a program calls and that none of them has is an undefined symbol to the linker: its
file is missing in `_SOURCES`, which is of the ziglang that pyproject.toml pins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeort import zig
from edgeort.cache import cached
from edgeort.targets import Target
from edgeort.toolchain.objects import cpu

# Below musl's src; a file of that name for the processor goes before the one for all.
_SOURCES = {
    "conf": "sysconf",
    "env": "__environ __init_tls __libc_start_main",
    "errno": "__errno_location strerror",
    "exit": "_Exit exit",
    "fcntl": "open",
    "internal": "defsysinfo floatscan libc shgetc syscall_ret vdso",
    "linux": "sysinfo",
    "locale": "__lctrans",
    "math": "__fpclassifyl __signbitl scalbn scalbnl",
    "misc": "getauxval getrlimit syscall",
    "mman": "mmap mremap munmap",
    "multibyte": "wcrtomb wctomb",
    "sched": "affinity",
    "signal": "block",
    "stdio": "__fdopen __fmodeflags __lockfile __overflow __stdio_close __stdio_exit __stdio_read __stdio_seek "
    "__stdio_write __stdout_write __toread __towrite __uflow fclose fflush fgets fopen fprintf fputc fputs fread "
    "fwrite ofl ofl_add printf putchar puts snprintf stderr stdin stdout vfprintf vsnprintf",
    "stdlib": "strtod",
    "thread": "__lock __set_thread_area __syscall_cp __timedwait __unmapself __wait clone default_attr pthread_create "
    "pthread_join pthread_setcancelstate pthread_testcancel vmlock",
    "time": "clock_gettime",
    "unistd": "lseek read",
}

# As zig compiles musl.
_FLAGS = (
    "-c", "-g0", "-Os", "-w", "-std=c99", "-nostdinc", "-ffreestanding", "-fno-builtin", "-fexcess-precision=standard",
    "-frounding-math", "-ffp-contract=off", "-fno-strict-aliasing", "-ffunction-sections", "-fdata-sections",
    "-fno-sanitize=all", "-fno-stack-protector", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables",
    "-Wa,--noexecstack", "-D_XOPEN_SOURCE=700",
)  # fmt: skip


@dataclass(frozen=True)
class MuslUnit:
    """One object of musl."""

    source: Path
    triple: str
    flags: tuple[str, ...]

    def compile(self) -> Path:
        """The object, from the cache or made."""
        flags = (*_FLAGS, "-target", self.triple, *self.flags)

        def make(path: Path) -> None:
            zig.run([*flags, *_includes(self.triple), str(self.source), "-o", str(path)])

        return cached(f"{self.source.stem}.o", (zig.version(), self.source.read_bytes(), *flags), make)


@dataclass(frozen=True)
class ZigUnit:
    """One of zig's own libraries, as an archive."""

    source: Path
    triple: str
    flags: tuple[str, ...]

    def compile(self) -> Path:
        """The archive, from the cache or made."""
        flags = ("-target", self.triple, *self.flags, "-O", "ReleaseFast", "-fstrip", "-ffunction-sections")

        def make(path: Path) -> None:
            zig.run([*flags, str(self.source), f"-femit-bin={path}"], "build-lib")

        return cached(f"{self.source.stem}.a", (zig.version(), self.source.name, *flags), make)


def compiler_rt(to: Target) -> ZigUnit:
    """What the compiler calls where there is no instruction, such as divisions, and memcpy; for libraries, too."""
    return ZigUnit(_lib() / "compiler_rt.zig", to.exe_triple, (*cpu(to), "-fPIC"))


def musl_units(to: Target) -> list[MuslUnit | ZigUnit]:
    """What a static program of that target is linked with; of systems without musl: nothing."""
    if "-musl" not in to.exe_triple:
        return []
    start = MuslUnit(_lib() / "libc/musl/crt/crt1.c", to.exe_triple, (*cpu(to), "-DCRT"))
    units = [MuslUnit(source, to.exe_triple, cpu(to)) for source in _sources(_arch(to.exe_triple))]
    return [start, *units, ZigUnit(_lib() / "c.zig", to.exe_triple, (*cpu(to), "-lc")), compiler_rt(to)]


def _lib() -> Path:
    return Path(zig.program()).parent / "lib"


def _arch(triple: str) -> str:
    return triple.partition("-")[0].replace("thumb", "arm")  # the same, in another encoding


def _sources(arch: str) -> Iterator[Path]:
    for folder, names in _SOURCES.items():
        place = _lib() / "libc/musl/src" / folder
        for name in names.split():
            own = (place / arch / f"{name}.{suffix}" for suffix in ("c", "s", "S"))
            yield next((path for path in own if path.exists()), place / f"{name}.c")


def _includes(triple: str) -> Iterator[str]:
    libc = _lib() / "libc"
    parts = (f"arch/{_arch(triple)}", "arch/generic", "src/include", "src/internal", "include")
    folders = [libc / "musl" / part for part in parts]
    folders += [libc / "include" / f"{name}-musl" for name in (f"{_arch(triple)}-linux", "generic")]
    yield from (f"-I{folder}" for folder in folders)
    yield f"-isystem{_lib() / 'include'}"
