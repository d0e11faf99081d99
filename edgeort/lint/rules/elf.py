"""Rules of ELF shared libraries, of Android and of Linux.

Sources: bionic's "Android changes for NDK developers", elf(5), the Android SELinux policy.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgeort.lint.exports import beyond_prefix, runtime_names
from edgeort.lint.rule import Rule, listed
from edgeort.lint.subjects import ElfLibrary


def _text_relocations(library: ElfLibrary) -> Iterator[str]:
    if library.has_text_relocations:
        yield "its code has relocations (DT_TEXTREL)"


def _executable_stack(library: ElfLibrary) -> Iterator[str]:
    stacks = library.of_kind("gnu_stack")
    if not stacks:
        yield "it has no PT_GNU_STACK, which loaders take for an executable stack"
    elif any(stack.executable for stack in stacks):
        yield "its PT_GNU_STACK is executable"


def _writable_code(library: ElfLibrary) -> Iterator[str]:
    for segment in library.of_kind("load"):
        if segment.writable and segment.executable:
            yield f"the segment at {segment.address:#x} is writable and executable"


def _relro(library: ElfLibrary) -> Iterator[str]:
    if not library.of_kind("gnu_relro"):
        yield "it has no PT_GNU_RELRO"


def _bind_now(library: ElfLibrary) -> Iterator[str]:
    if not library.binds_now:
        yield "its functions are bound when first called (no DF_BIND_NOW, DF_1_NOW or DT_BIND_NOW)"


def _run_path(library: ElfLibrary) -> Iterator[str]:
    for path in library.run_paths:
        for part in path.split(":"):
            if not part.startswith("$ORIGIN") and not part.startswith("${ORIGIN}"):
                yield f"it looks for libraries in '{part}'"


def _exports(library: ElfLibrary) -> Iterator[str]:
    yield from beyond_prefix(library.exported, library.file_name, library.prefixes)


def _runtime(library: ElfLibrary) -> Iterator[str]:
    yield from runtime_names(library.exported)


def _debug(library: ElfLibrary) -> Iterator[str]:
    found = [name for name in library.sections if name.startswith((".debug_", ".zdebug_"))]
    if found:
        yield f"it has {listed(found)}"


ELF: tuple[Rule[ElfLibrary], ...] = (
    Rule(
        "elf-text-relocations",
        "error",
        "Code that the loader must change cannot be shared or protected. Android refuses it in apps that target API "
        "level 23 "
        "or higher.",
        "compile every object with -fPIC, assembly too; `readelf -d` must show no TEXTREL",
        _text_relocations,
    ),
    Rule(
        "elf-executable-stack",
        "error",
        "Android's SELinux policy gives apps no executable stack, and glibc 2.41 and newer refuse to make one when a "
        "library is opened.",
        'link with -Wl,-z,noexecstack, and end assembly files with .section .note.GNU-stack,"",%progbits',
        _executable_stack,
    ),
    Rule(
        "elf-writable-code",
        "error",
        "Android refuses segments that are both writable and executable in apps that target API level 26 or higher.",
        "link with the default segments: no -Wl,-N, no --omagic, no linker script that joins code and data",
        _writable_code,
    ),
    Rule(
        "elf-relro",
        "warning",
        "Without it, the tables of function addresses stay writable for as long as the app runs.",
        "link with -Wl,-z,relro",
        _relro,
    ),
    Rule(
        "elf-bind-now",
        "warning",
        "Lazy binding keeps the table of function addresses writable. Android's linker binds at once anyway; others "
        "do not.",
        "link with -Wl,-z,now",
        _bind_now,
    ),
    Rule(
        "elf-run-path",
        "warning",
        "A folder of the machine that built it means nothing on a device, or is one where another program may put a "
        "library.",
        "link with -Wl,-rpath,'$ORIGIN' or with none",
        _run_path,
    ),
    Rule(
        "elf-exports",
        "warning",
        "All libraries of a process share their names: an exported helper replaces, or is replaced by, another "
        "library's.",
        "compile with -fvisibility=hidden and mark the API, or link with a version script; --prefix NAME says what "
        "is meant",
        _exports,
    ),
    Rule(
        "elf-cxx-runtime",
        "warning",
        "An exported copy of a C++ runtime may be used by other libraries, and theirs by this one: exceptions and "
        "memory then "
        "cross between two versions.",
        "link with -Wl,--exclude-libs,ALL, or with the runtime that the app shares",
        _runtime,
    ),
    Rule(
        "elf-debug-sections",
        "warning",
        "Debug information is most of such a file's size, and devices do not read it.",
        "llvm-strip --strip-debug FILE, and keep the original for stack traces",
        _debug,
    ),
)
