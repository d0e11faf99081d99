"""Compiles the runtime and the kernels that a plan uses, for any target, with the clang inside PyPI's ziglang.

Objects and libraries are cached by the hash of everything that goes into them. Link flags are fixed per target: every
other choice would make zig rebuild what it has of a libc (up to 50 CPU seconds); a kernel's ISA level is a matter of
its object alone.
"""

from __future__ import annotations

from edgeort.families import RUNTIME, all_kernels, families, family_levels, functions, held_levels, tables
from edgeort.targets import BIONIC, LEVELS, TARGETS, Target, target
from edgeort.toolchain.adapters import adapter_and_harness
from edgeort.toolchain.embedding import embedded_library, embedded_static_library
from edgeort.toolchain.libraries import STATIC, Binding, import_library, library, static_library
from edgeort.toolchain.programs import harness, library_and_harness, probe

__all__ = [
    "BIONIC", "Binding", "EMBEDDED", "LEVELS", "RUNTIME", "SIGNATURE", "STATIC", "TARGETS", "TEXT", "Target",
    "adapter_and_harness", "all_kernels", "embedded_library", "embedded_static_library", "families", "family_levels",
    "functions", "harness", "held_levels", "import_library", "library", "library_and_harness", "probe",
    "static_library", "tables", "target",
]  # fmt: skip

# Parts of the runtime that few bundles need: the folder, which is the rest of the name of the header, too.
TEXT, SIGNATURE, EMBEDDED = "text", "signature", "embedded"
