"""Rules of Windows DLLs.

Sources: Microsoft's "Windows App Certification Kit tests" (BinScope's checks) and the documentation of the PE format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgeort.lint.exports import beyond_prefix, runtime_names
from edgeort.lint.rule import Rule, listed
from edgeort.lint.subjects import PeLibrary

_REDISTRIBUTABLE = re.compile(r"(msvcp|vcruntime|vcomp|concrt)\d+(_\w+)?\.dll", re.IGNORECASE)


def _moves(library: PeLibrary) -> Iterator[str]:
    if not library.moves:
        yield "it is not built with DYNAMIC_BASE"


def _no_execute(library: PeLibrary) -> Iterator[str]:
    if not library.has_no_execute:
        yield "it is not built with NX_COMPAT"


def _writable_code(library: PeLibrary) -> Iterator[str]:
    if library.writable_code:
        yield f"{listed(library.writable_code)} is writable and executable"


def _redistributable(library: PeLibrary) -> Iterator[str]:
    found = [name for name in library.needed if _REDISTRIBUTABLE.fullmatch(name)]
    if found:
        yield f"it needs {listed(found)}"


def _exports(library: PeLibrary) -> Iterator[str]:
    yield from beyond_prefix(library.exported, library.file_name, library.prefixes)


def _runtime(library: PeLibrary) -> Iterator[str]:
    yield from runtime_names(library.exported)


PE: tuple[Rule[PeLibrary], ...] = (
    Rule(
        "pe-dynamic-base",
        "error",
        "The Microsoft Store's tests refuse code that cannot be put at a random address.",
        "link with /DYNAMICBASE (-Wl,--dynamicbase)",
        _moves,
    ),
    Rule(
        "pe-no-execute",
        "error",
        "The Microsoft Store's tests refuse code whose data could be executed.",
        "link with /NXCOMPAT (-Wl,--nxcompat)",
        _no_execute,
    ),
    Rule(
        "pe-writable-code",
        "error",
        "The Microsoft Store's tests refuse sections that are both writable and executable.",
        "keep data out of .text: no /SECTION:...,ERW and no #pragma that joins sections",
        _writable_code,
    ),
    Rule(
        "pe-redistributable",
        "warning",
        "Windows does not come with Visual C++'s runtime: on a fresh machine the DLL does not load.",
        "compile with /MT, or install the redistributable package with the app",
        _redistributable,
    ),
    Rule(
        "pe-exports",
        "warning",
        "What is exported is the DLL's API, and callers come to depend on it.",
        "mark the API with __declspec(dllexport), or link with a .def file; --prefix NAME says what is meant",
        _exports,
    ),
    Rule(
        "pe-cxx-runtime",
        "warning",
        "Exported instances of std's classes tie callers to one version of one compiler.",
        "export C functions",
        _runtime,
    ),
)
