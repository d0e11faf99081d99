"""The systems that code can be compiled for from any machine: triples, ISA levels, link flags."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from edgeort.errors import UnsupportedError

# -mcpu of the objects of each ISA level.
LEVELS = {
    "v3": "x86_64_v3",
    "avx_vnni": "x86_64_v3+avxvnni",
    "v4": "x86_64_v4",
    "avx512_vnni": "x86_64_v4+avx512vnni",
    "neon": "generic",
    "dotprod": "generic+dotprod",
    "i8mm": "generic+dotprod+i8mm",
    "neon32": "cortex_a7",
    "m4f": "cortex_m4+vfp4d16sp",
    "wasm": "generic+bulk_memory+nontrapping_fptoint+sign_ext+simd128",
    "wasm_relaxed": "generic+bulk_memory+nontrapping_fptoint+sign_ext+simd128+relaxed_simd",
    "generic": "",
}

# Levels of int8 kernels alone, and the level that each stands on.
INT8_LEVELS = {"avx_vnni": "v3", "avx512_vnni": "v4", "dotprod": "neon", "i8mm": "dotprod"}

_X86 = ("v3", "avx_vnni", "v4", "avx512_vnni")
_ARM = ("neon", "dotprod", "i8mm")


@dataclass(frozen=True)
class Target:
    """How to compile and link for one (operating system, architecture).

    A `library` that ends in .a is an archive of objects, which an app links. `exe` is "" where there is no harness.
    """

    os: str
    arch: str
    triple: str  # of libraries
    exe_triple: str  # of the harness: static where the system allows it
    levels: tuple[str, ...]  # ISA levels in rising order
    library: str  # file name
    exe: str
    cpu: str = ""  # -mcpu of everything that is not a kernel
    compile_flags: tuple[str, ...] = ()
    library_flags: tuple[str, ...] = ()
    exe_flags: tuple[str, ...] = ()
    linked_as: tuple[str, ...] = ("-shared",)  # flags that make a library of objects
    is_wasm: bool = False  # a module is for one level: an engine refuses all of it for one instruction that it lacks

    @property
    def is_archive(self) -> bool:
        """Whether the library is one of objects."""
        return self.library.endswith(".a")

    @property
    def is_bare(self) -> bool:
        """Whether there is no operating system."""
        return self.os == "none"


_GC = ("-Wl,--gc-sections",)
_ELF = (*_GC, "-Wl,--hash-style=both", "-Wl,-z,max-page-size=16384", "-Wl,-z,defs", "-Wl,-soname,libedgeort.so")
# 64-bit cores have instructions for all that zig would compile its compiler_rt for (3 s).
_WITHOUT_RT = (*_ELF, "-rtlib=none")
_UNIX: dict[str, Any] = {"library": "libedgeort.so", "exe": "edgeort_bench", "library_flags": _WITHOUT_RT}
_STATIC: dict[str, Any] = {**_UNIX, "exe_flags": (*_GC, "-static")}
_DYLIB = ("-Wl,-dead_strip", "-Wl,-install_name,@rpath/libedgeort.dylib")
_MAC: dict[str, Any] = {"library": "libedgeort.dylib", "exe": "edgeort_bench", "library_flags": _DYLIB}
_WIN: dict[str, Any] = {"library": "edgeort.dll", "exe": "edgeort_bench.exe", "library_flags": _GC, "exe_flags": _GC}

# What a page calls; everything else is dropped.
_EXPORTS = (
    "edgeort_abi", "edgeort_open_memory", "edgeort_input_count", "edgeort_output_count", "edgeort_input",
    "edgeort_output", "edgeort_set_input", "edgeort_run", "edgeort_last_error", "edgeort_get_stats",
    "edgeort_get_node", "edgeort_arriving_size", "edgeort_open_arriving", "edgeort_run_arriving",
    "aligned_alloc", "free",
)  # fmt: skip
_STACK = ("-Wl,--gc-sections", "-Wl,-z,stack-size=1048576")
# A page makes the memory, for the plan lies in it: behind these pages, OWN_PAGES of runtime/javascript/engine.js.
_MEMORY = ("-Wl,--import-memory", f"-Wl,--initial-memory={64 << 16}")
_WASM: dict[str, Any] = {
    "library": "edgeort.wasm",
    "exe": "edgeort_bench.wasm",
    "cpu": LEVELS["wasm"],
    "library_flags": (*_STACK, *_MEMORY, "-Wl,--no-entry", *(f"-Wl,--export={name}" for name in _EXPORTS)),
    "exe_flags": _STACK,
    "linked_as": ("-mexec-model=reactor",),
    "is_wasm": True,
}

# Floats are passed in general registers. For such an ABI zig takes vfp2 away, and with it NEON, which needs it: kernels
# would multiply number by number.
_SOFT_CALLS = ("-mfloat-abi=softfp", "-Xclang", "-target-feature", "-Xclang", "+vfp2")

# Apple's linker alone makes programs for these.
_IOS: dict[str, Any] = {"library": "libedgeort.a", "exe": ""}

# Without an operating system the library is an archive, which a firmware links with its own libc. The harness is the
# same code as a program for Linux, and so for QEMU's user mode: cores of Cortex-A have all instructions of these.
_BARE: dict[str, Any] = {"library": "libedgeort.a", "exe": "edgeort_bench", "exe_flags": (*_GC, "-static")}
_SHORT_ENUMS = ("-fshort-enums",)  # as the ABI has it where there is no system, and the toolchains for it

# os, arch, triple of the library, triple of the harness, ISA levels. (Of Android, zig takes no API level below 29, and
# writes none into a library: what that may call is in BIONIC.)
TARGETS: tuple[Target, ...] = (
    Target("linux", "x86_64", "x86_64-linux-gnu.2.28", "x86_64-linux-musl", _X86, **_STATIC),
    Target("linux", "aarch64", "aarch64-linux-gnu.2.28", "aarch64-linux-musl", _ARM, **_STATIC),
    Target(
        "linux", "armv7", "arm-linux-gnueabihf.2.28", "arm-linux-musleabihf", ("neon32",), cpu="cortex_a7",
        **{**_STATIC, "library_flags": _ELF},
    ),
    Target("android", "aarch64", "aarch64-linux-android.29", "aarch64-linux-musl", _ARM, **_STATIC),
    Target(
        "android", "armv7", "arm-linux-androideabi.29", "arm-linux-musleabi", ("neon32",), cpu="cortex_a7",
        compile_flags=_SOFT_CALLS, **_STATIC,
    ),
    Target(  # an emulator may hide AVX2 from the system in it
        "android", "x86_64", "x86_64-linux-android.29", "x86_64-linux-musl", ("generic", *_X86), cpu="x86_64_v2",
        **_STATIC,
    ),
    Target("macos", "aarch64", "aarch64-macos.12.0", "aarch64-macos.12.0", _ARM, **_MAC),
    Target("windows", "x86_64", "x86_64-windows-gnu", "x86_64-windows-gnu", _X86, **_WIN),
    Target("ios", "aarch64", "aarch64-ios.15.0", "aarch64-ios.15.0", _ARM, **_IOS),
    Target("ios-simulator", "aarch64", "aarch64-ios.15.0-simulator", "aarch64-ios.15.0-simulator", _ARM, **_IOS),
    Target("ios-simulator", "x86_64", "x86_64-ios.15.0-simulator", "x86_64-ios.15.0-simulator", ("v3",), **_IOS),
    Target(
        "none", "armv7em", "thumb-freestanding-eabihf", "thumb-linux-musleabihf", ("m4f",), cpu=LEVELS["m4f"],
        compile_flags=_SHORT_ENUMS, **_BARE,
    ),
    Target("browser", "wasm32", "wasm32-wasi", "wasm32-wasi", ("wasm", "wasm_relaxed"), **_WASM),
)  # fmt: skip

# What the Android library may call, by the library of the phone that has it. Zig ships no Android libc, so ours is
# linked against stubs with exactly these: a call of anything else fails at link. Each is in bionic since API level 21
# and takes no struct whose layout musl and bionic could see differently. (On 32-bit Arm those of lseek, mmap and
# clock_gettime are different: core/platform_posix.cc does not call them there.)
BIONIC = {
    "libc": (
        "close", "clock_gettime", "free", "getauxval", "lseek", "malloc", "memcmp", "memcpy", "memmove", "memset",
        "mmap", "madvise", "munmap", "open", "pthread_create", "pthread_join", "read", "snprintf", "strcmp", "strlen",
        "strncmp", "strstr", "strtoul", "syscall", "vsnprintf",
    ),
    "libm": ("fma", "fmaf"),  # where the CPU has no such instruction
}  # fmt: skip

# What the adapters of other engines, and the harness over them, may call beside those, by the library that has it.
BIONIC_ENGINES = {
    "libc": (
        *BIONIC["libc"], "__libc_init", "calloc", "fclose", "fflush", "fgets", "fopen", "fprintf", "fputc", "fputs",
        "fread", "fwrite", "getenv", "printf", "putchar", "puts", "qsort", "stderr", "stdin", "stdout", "strchr",
        "strrchr", "strtod", "strtol", "strtoll", "strtoull",
    ),
    "libm": ("log10",),
    "libdl": ("dladdr", "dlopen", "dlsym"),
}  # fmt: skip


def levels_without(levels: Sequence[str], absent: Container[str] = INT8_LEVELS) -> tuple[str, ...]:
    """The levels of kernels, in a build for `levels`, that have none at the levels `absent`, of those of int8."""
    found = []
    for level in levels:
        while level in absent:
            level = INT8_LEVELS[level]
        found.append(level)
    return tuple(dict.fromkeys(found))


def target(os_name: str, arch: str) -> Target:
    """The target of that system and architecture; UnsupportedError when there is none."""
    for candidate in TARGETS:
        if (candidate.os, candidate.arch) == (os_name, arch):
            return candidate
    known = ", ".join(f"{t.os}/{t.arch}" for t in TARGETS)
    raise UnsupportedError(f"no CPU runtime for {os_name}/{arch}", hint=f"targets are {known}")
